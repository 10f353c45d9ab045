//! `patchbay account`: linked accounts, their secrets, what is refused.

use super::*;

#[test]
fn accounts_are_added_listed_switched_and_removed() {
    let (folder, data, _) = sample();
    let secret = folder.path().join("secret");
    fs::write(&secret, "s3cr3t-of-the-remote\n").unwrap();
    let secret = secret.to_str().unwrap();
    let printed = link_with(&data, "https://a.example.com/x/", &["--secret-file", secret, "--json"]).ok();
    let made: Value = serde_json::from_str(&printed).unwrap();
    let id = made["id"].as_str().unwrap();
    assert!(id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
    let status = || {
        let listed = run(&data, &["account", "list", "--data", "DATA", "--json"]).ok();
        let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
        let found = listed.into_iter().find(|account| account["id"] == id)?;
        assert_eq!(found["base_url"], "https://a.example.com/x");
        assert_eq!(found["dialect"], "nerm");
        Some(found["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(status().as_deref(), Some("active"));
    let table = run(&data, &["account", "list", "--data", "DATA"]).ok();
    assert!(table.contains(id) && table.contains("embedded directory"), "{table}");
    run(&data, &["account", "disable", "--data", "DATA", id]).ok();
    assert_eq!(status().as_deref(), Some("disabled"));
    run(&data, &["account", "enable", "--data", "DATA", id]).ok();
    assert_eq!(status().as_deref(), Some("active"));
    run(&data, &["account", "remove", "--data", "DATA", id]).ok();
    assert_eq!(status(), None);
    let complaint = run(&data, &["account", "remove", "--data", "DATA", id]).refused();
    assert!(complaint.contains(id), "{complaint}");
    let told = run(&data, &["audit", "--data", "DATA", "--user", id, "--json"]).ok();
    let actions: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .collect();
    let names: Vec<&str> = actions.iter().map(|event| event["action"].as_str().unwrap()).collect();
    let expected = [
        "add_linked_account",
        "update_linked_account",
        "update_linked_account",
        "remove_linked_account",
    ];
    assert_eq!(names, expected);
    assert!(
        actions
            .iter()
            .all(|event| event["actor"]["name"] == "operator" && event["dialect"] == "console")
    );
    assert!(!told.contains("s3cr3t"));
    assert_eq!(actions[1]["changes"][0]["before"], "active");
    assert_eq!(actions[1]["changes"][0]["after"], "disabled");
}

#[test]
fn an_account_s_secret_is_sealed_at_rest() {
    let (_folder, data, _) = sample();
    let arguments = [
        "account",
        "add",
        "--dialect",
        "nerm",
        "--base-url",
        "https://a.example.com",
        "--data",
    ];
    let mut command = patchbay();
    command
        .args(arguments)
        .arg(&data)
        .env("PATCHBAY_ACCOUNT_SECRET", "s3cr3t-in-the-environment");
    Ran::of(command.output().unwrap()).ok();
    let mut command = patchbay();
    command.args(arguments).arg(&data).args(["--secret-file", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"s3cr3t-on-the-input").unwrap();
    Ran::of(child.wait_with_output().unwrap()).ok();
    for entry in fs::read_dir(&data).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for needle in [&b"s3cr3t"[..], b"733363723374"] {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle));
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data.join("seal.key")), 0o600);
        assert_eq!(mode(&data), 0o700);
        // From then on the server refuses to work with a key that others may read.
        fs::set_permissions(data.join("seal.key"), fs::Permissions::from_mode(0o644)).unwrap();
        let complaint = run(&data, &["serve", "--data", "DATA", "--listen", "127.0.0.1:0"]).refused();
        assert!(complaint.contains("chmod 600"), "{complaint}");
    }
}

#[test]
fn a_key_file_is_the_same_wherever_a_command_is_called() {
    let (folder, data, _) = sample();
    let secret = folder.path().join("secret");
    fs::write(&secret, "key").unwrap();
    for place in [folder.path(), &data] {
        let mut command = patchbay();
        command.current_dir(place).env("PATCHBAY_SEAL__KEY_FILE", "own.key");
        let address = "https://a.example.com";
        command.args(["account", "add", "--dialect", "nerm", "--base-url", address, "--data"]);
        let added = command.arg(&data).arg("--secret-file").arg(&secret).output().unwrap();
        let added = Ran::of(added);
        assert_eq!(added.err, "");
        added.ok();
    }
    assert!(data.join("own.key").exists() && !folder.path().join("own.key").exists());
}

#[test]
fn the_help_names_the_dialects_and_their_settings() {
    let help = run(Path::new("x"), &["account", "add", "--help"]).ok();
    for dialect in REGISTRY {
        assert!(help.contains(dialect.name()), "{help}");
        for setting in dialect.settings() {
            assert!(help.contains(&format!("--setting {setting}=VALUE")), "{help}");
        }
    }
}

#[test]
fn unknown_settings_are_refused_with_the_known_ones() {
    let (folder, data, _) = sample();
    let secret = folder.path().join("secret");
    fs::write(&secret, "key").unwrap();
    for dialect in REGISTRY {
        let known: Vec<String> = dialect
            .settings()
            .iter()
            .map(|name| format!("--setting={name}=1"))
            .collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let add = |setting: &[&str]| {
            let place = [
                "account",
                "add",
                "--data",
                "DATA",
                "--base-url",
                "https://a.example.com",
                "--secret-file",
            ];
            let what = [secret.to_str().unwrap(), "--dialect", dialect.name()];
            run(&data, &[&place[..], &what, &known, setting].concat())
        };
        let complaint = add(&["--setting", "bogus=1"]).refused();
        assert!(complaint.contains("no setting bogus"), "{complaint}");
        assert!(
            dialect.settings().iter().all(|name| complaint.contains(name)),
            "{complaint}"
        );
        add(&[]).ok();
        for name in dialect.settings() {
            let complaint = add(&[&format!("--setting={name}=2")]).refused();
            assert!(complaint.contains("given twice"), "{complaint}");
        }
    }
}

#[test]
fn what_travels_unencrypted_is_said() {
    let (folder, data, _) = sample();
    let secret = folder.path().join("secret");
    fs::write(&secret, "key").unwrap();
    for (url, noted) in [
        ("http://a.example.com", true),
        ("https://a.example.com", false),
        ("http://10.0.0.1", false),
    ] {
        let added = link(&data, url, &secret);
        assert_eq!(added.err.contains("unencrypted"), noted, "{url}: {}", added.err);
        added.ok();
    }
}

#[test]
fn what_is_refused_is_told_without_a_note() {
    let (folder, data, _) = sample();
    let secret = folder.path().join("secret");
    fs::write(&secret, "key").unwrap();
    let needy = REGISTRY.iter().find(|dialect| !dialect.settings().is_empty()).unwrap();
    let arguments = [
        "--base-url",
        "http://a.example.com",
        "--dialect",
        needy.name(),
        "--secret-file",
    ];
    let add = [
        &["account", "add", "--data", "DATA"][..],
        &arguments,
        &[secret.to_str().unwrap()],
    ]
    .concat();
    let complaint = run(&data, &add).refused();
    assert!(complaint.contains(needy.settings()[0]), "{complaint}");
}

#[test]
fn what_is_done_is_told_though_the_output_cannot_be_written() {
    let (_folder, data, _) = sample();
    let unheard = |arguments: &[&str]| {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = patchbay();
        command.args(arguments).arg("--data").arg(&data).stdout(full);
        command.env("PATCHBAY_ACCOUNT_SECRET", "key");
        Ran::of(command.output().unwrap()).refused()
    };
    let base_url = "https://a.example.com";
    let told = unheard(&["account", "add", "--dialect", "nerm", "--base-url", base_url]);
    let listed = run(&data, &["account", "list", "--data", "DATA", "--json"]).ok();
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let id = listed.iter().find(|account| account["base_url"] == base_url).unwrap()["id"]
        .as_str()
        .unwrap();
    assert!(told.contains(&format!("{id} is added")), "{told}");
    let told = unheard(&["account", "disable", id]);
    assert!(told.contains("is disabled now"), "{told}");
    let told = unheard(&["account", "remove", id]);
    assert!(told.contains("is removed"), "{told}");
}

#[test]
fn the_example_in_the_help_works() {
    let (_folder, data, _) = sample();
    let help = run(Path::new("x"), &["account", "add", "--help"]).ok();
    let (_, example) = help.split_once("| patchbay ").unwrap();
    let words = example.lines().next().unwrap().split_whitespace();
    let folder = data.to_str().unwrap();
    let words = words.map(|word| if word == "./patchbay-data" { folder } else { word });
    let mut command = patchbay();
    command
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"key").unwrap();
    Ran::of(child.wait_with_output().unwrap()).ok();
}

#[test]
fn accounts_that_cannot_work_are_refused() {
    let (folder, data, sample) = sample();
    let secret = folder.path().join("secret");
    fs::write(&secret, "key").unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    let (secret, empty) = (secret.to_str().unwrap(), empty.to_str().unwrap());
    let url = "https://a.example.com";
    for (dialect, base_url, secret, expected) in [
        ("nosuch", url, secret, "no dialect nosuch"),
        ("nerm", "ftp://a.example.com", secret, "--base-url"),
        ("nerm", "a.example.com", secret, "--base-url"),
        ("nerm", "https://u:p@a.example.com", secret, "--base-url"),
        ("nerm", url, "/nonexistent", "/nonexistent"),
        ("nerm", url, empty, "secret"),
    ] {
        let arguments = ["--dialect", dialect, "--base-url", base_url, "--secret-file", secret];
        let complaint = run(&data, &[&["account", "add", "--data", "DATA"][..], &arguments].concat()).refused();
        assert!(complaint.contains(expected), "{complaint}");
    }
    let complaint = link_with(&data, url, &[]).refused();
    assert!(complaint.contains("PATCHBAY_ACCOUNT_SECRET"), "{complaint}");
    // What is wrong with the command line is told before a secret is asked for.
    let unknown = [
        "account",
        "add",
        "--data",
        "DATA",
        "--base-url",
        url,
        "--dialect",
        "nosuch",
    ];
    let complaint = run(&data, &unknown).refused();
    assert!(complaint.contains("no dialect nosuch"), "{complaint}");
    let embedded = sample["stackone"]["account_id"].as_str().unwrap();
    let complaint = run(&data, &["account", "remove", "--data", "DATA", embedded]).refused();
    assert!(complaint.contains("disable"), "{complaint}");
    let listed = run(&data, &["account", "list", "--data", "DATA", "--json"]).ok();
    assert_eq!(serde_json::from_str::<Vec<Value>>(&listed).unwrap().len(), 1);
}

#[test]
fn several_tenants_make_account_commands_ask_which() {
    let folder = TempDir::new().unwrap();
    let quickstart = ["quickstart", "--data", "DATA", "--listen", "127.0.0.1:0", "--once"];
    run(folder.path(), &quickstart).ok();
    run(folder.path(), &quickstart).ok();
    let complaint = run(folder.path(), &["account", "list", "--data", "DATA"]).refused();
    let (_, ids) = complaint.trim_end().split_once("--tenant: ").unwrap();
    for id in ids.split(", ") {
        let listed = run(
            folder.path(),
            &["account", "list", "--data", "DATA", "--tenant", id, "--json"],
        )
        .ok();
        assert_eq!(serde_json::from_str::<Vec<Value>>(&listed).unwrap().len(), 1);
    }
    let unknown = [
        "account",
        "list",
        "--data",
        "DATA",
        "--tenant",
        "00000000-0000-0000-0000-000000000000",
    ];
    assert!(run(folder.path(), &unknown).refused().contains("holds no tenant"));
}
