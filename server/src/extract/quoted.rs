//! Header values with quoted strings in them (RFC 9110, section 5.6.4).

/// The pieces of a value between separators; a separator within a quoted string is none.
pub fn split(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == separator && !quoted,
        }
        false
    })
}

/// What a value such as `form-data; name="user"` says for one of its parameters, whose name goes letter case aside. `None` if it says
/// nothing, says it twice, or in a quoted string that does not end where it must.
pub fn parameter(value: &str, name: &str) -> Option<String> {
    let mut said = split(value, ';').skip(1).filter_map(|parameter| {
        let (own, value) = parameter.split_once('=')?;
        own.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    });
    let (first, second) = (said.next()?, said.next());
    unquoted(first).filter(|_| second.is_none())
}

fn unquoted(value: &str) -> Option<String> {
    let Some(quoted) = value.strip_prefix('"') else {
        return Some(value.to_owned());
    };
    let (mut text, mut rest) = (String::new(), quoted.chars());
    loop {
        match rest.next()? {
            '"' => return rest.next().is_none().then_some(text),
            '\\' => text.push(rest.next()?),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_separators_do_not_separate() {
        let pieces = |value| split(value, ',').collect::<Vec<_>>();
        assert_eq!(pieces("a, b"), ["a", " b"]);
        assert_eq!(pieces(r#"a="x, y", b"#), [r#"a="x, y""#, " b"]);
        assert_eq!(pieces(r#"a="x\", y", b"#), [r#"a="x\", y""#, " b"]);
        assert_eq!(pieces(r"a\,b"), [r"a\", "b"], "an escape counts in quotes only");
        assert_eq!(pieces(r#"a="x, b"#), [r#"a="x, b"#]);
    }

    #[test]
    fn a_parameter_is_found_by_its_name_wherever_it_stands() {
        let name = |value| parameter(value, "name");
        for value in [
            "form-data; name=user",
            r#"form-data; filename="my name=icon;.png"; NAME = "user""#,
            r#"form-data;;	filename="a\"; name=icon"; name="us\er""#,
            "form-data ; name=user; filename*=x",
        ] {
            assert_eq!(name(value).as_deref(), Some("user"), "{value}");
        }
        assert_eq!(name(r#"form-data; name="""#).as_deref(), Some(""));
        for value in [
            "name=user",
            "form-data; filename=user",
            r#"form-data; name="user"#,
            r#"form-data; name="us"er"#,
            r#"form-data; name="us"er; name=user"#,
            "form-data; name=user; name=user",
        ] {
            assert_eq!(name(value), None, "{value}");
        }
    }
}
