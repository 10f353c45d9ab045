//! One vendor's OpenAPI document, brought to JSON Schema 2020-12.

use serde_json::{Map, Value, json};

/// Schemas whose every member may be null although the document does not say so.
///
/// NERM: "nulls occur" in the vendor's own published answer (notes, section 3).
const NULLS_OCCUR: [(&str, &str); 1] = [("nerm", "User-2")];

/// A vendor's document.
pub struct Contract {
    document: Value,
    /// The path of the server's URL, which the document's paths leave out.
    base: String,
}

impl Contract {
    /// Converts a document: `nullable` and the other keywords of OpenAPI 3.0 become their JSON Schema counterparts.
    pub fn new(name: &str, mut document: Value) -> Self {
        for (_, schema) in NULLS_OCCUR.iter().filter(|(contract, _)| *contract == name) {
            let members = document["components"]["schemas"][schema]["properties"]
                .as_object_mut()
                .unwrap();
            members.values_mut().for_each(|member| member["nullable"] = json!(true));
        }
        let url = document["servers"][0]["url"].as_str().unwrap_or_default();
        let host = url.split_once("://").map_or(url, |(_, rest)| rest);
        let base = host
            .find('/')
            .map_or("", |at| &host[at..])
            .trim_end_matches('/')
            .to_owned();
        convert(&mut document);
        Self { document, base }
    }

    /// The description of an operation; parameters may have other names here.
    pub fn operation(&self, method: &str, template: &str) -> Option<&Value> {
        let paths = self.document["paths"].as_object()?;
        let same = |path: &str| {
            let (a, b) = (format!("{}{path}", self.base), template.to_owned());
            let parameter = |part: &str| part.starts_with('{');
            let equal = |(a, b): (&str, &str)| a == b || (parameter(a) && parameter(b));
            a.split('/').count() == b.split('/').count() && a.split('/').zip(b.split('/')).all(equal)
        };
        let item = paths.iter().find(|(path, _)| same(path))?.1;
        item.get(method.to_lowercase())
    }

    /// The schema of an answer with this status. A refusal with a status that is not documented has the shape of one that
    /// is: vendors describe their error body once per status, if at all.
    pub fn answer(&self, operation: &Value, status: u16) -> Option<Value> {
        let responses = operation["responses"].as_object()?;
        let other = responses
            .iter()
            .filter(|(code, _)| status >= 400 && code.starts_with('4'));
        let exact = responses.get(&status.to_string());
        let mut candidates = exact.into_iter().chain(other.map(|(_, response)| response));
        candidates.find_map(|response| self.body(response))
    }

    /// True if a body is documented for success.
    pub fn documents_success(&self, operation: &Value) -> bool {
        let responses = operation["responses"].as_object().into_iter().flatten();
        let mut successes = responses.filter(|(code, _)| code.starts_with('2'));
        successes.any(|(_, response)| self.body(response).is_some())
    }

    fn body(&self, response: &Value) -> Option<Value> {
        let response = match response["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.strip_prefix('#')?)?,
            None => response,
        };
        let (_, content) = response["content"]
            .as_object()?
            .iter()
            .find(|(media, _)| media.contains("json"))?;
        content.get("schema").cloned()
    }

    /// What of a body is not as a schema of this document wants it.
    pub fn problems(&self, schema: &Value, body: &Value) -> Vec<String> {
        let root = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": self.document["components"],
        });
        let validator = jsonschema::options().should_validate_formats(true).build(&root);
        let validator = validator.unwrap_or_else(|error| panic!("the schema cannot be used: {error}"));
        let problems = validator
            .iter_errors(body)
            .map(|error| format!("{}: {error}", error.instance_path()));
        problems.collect()
    }
}

/// Brings every schema within a value to JSON Schema 2020-12.
fn convert(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(convert),
        Value::Object(members) => {
            members.values_mut().for_each(convert);
            // `required: true` inside a member is no JSON Schema; nor are the 3.0 booleans of exclusive bounds.
            for keyword in ["required", "exclusiveMinimum", "exclusiveMaximum"] {
                if members.get(keyword).is_some_and(Value::is_boolean) {
                    members.remove(keyword);
                }
            }
            // Alternatives in which everything is optional all match at once (NERM, 400).
            if let Some(alternatives) = members.remove("oneOf") {
                members.insert("anyOf".to_owned(), alternatives);
            }
            if members.get("nullable") == Some(&Value::Bool(true)) {
                *value = or_null(std::mem::take(members));
            }
        }
        _ => {}
    }
}

fn or_null(mut schema: Map<String, Value>) -> Value {
    schema.remove("nullable");
    let kind = schema.get("type").and_then(Value::as_str).map(str::to_owned);
    match kind {
        Some(kind) if !schema.contains_key("enum") => {
            schema.insert("type".to_owned(), json!([kind, "null"]));
            Value::Object(schema)
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

#[test]
fn nullable_becomes_a_union() {
    let mut schema = json!({
        "properties": {
            "a": { "type": "string", "nullable": true },
            "b": { "allOf": [{ "$ref": "#/x" }], "nullable": true },
            "c": { "type": "string", "enum": ["x"], "nullable": true, "required": true },
            "nullable": { "type": "boolean" },
        }
    });
    convert(&mut schema);
    assert_eq!(
        schema["properties"],
        json!({
            "a": { "type": ["string", "null"] },
            "b": { "anyOf": [{ "allOf": [{ "$ref": "#/x" }] }, { "type": "null" }] },
            "c": { "anyOf": [{ "type": "string", "enum": ["x"] }, { "type": "null" }] },
            "nullable": { "type": "boolean" },
        })
    );
}
