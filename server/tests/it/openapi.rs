//! The checked-in OpenAPI documents equal the ones that the routes make.
//!
//! `PATCHBAY_BLESS=1 cargo nextest run -E 'test(openapi)'` rewrites them.

use std::{collections::BTreeSet, fs, path::PathBuf};

use patchbay::{
    dialects::{Dialect, REGISTRY},
    openapi,
    walkthrough::Sample,
};
use serde_json::Value;

use crate::{
    contracts,
    coverage::{self, Operation},
    harness::Patchbay,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../openapi")
}

#[test]
fn the_files_equal_the_routes() {
    let bless = std::env::var_os("PATCHBAY_BLESS").is_some();
    for dialect in REGISTRY {
        let file = folder().join(format!("{}.json", dialect.name()));
        let made = openapi::text(dialect).unwrap();
        if bless {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&file, &made).unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            kept == made,
            "{} is not what the routes make; `PATCHBAY_BLESS=1 cargo nextest run -E 'test(openapi)'` rewrites it",
            file.display()
        );
    }
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let files: BTreeSet<String> = files.map(|name| name.into_string().unwrap()).collect();
    let wanted: BTreeSet<String> = REGISTRY
        .iter()
        .map(|dialect| format!("{}.json", dialect.name()))
        .collect();
    assert_eq!(files, wanted, "one file per dialect and nothing else");
}

/// Every operation says what it is called, asks for a key, and lies under its dialect's mounts.
#[test]
fn every_operation_is_described() {
    let mut ids = BTreeSet::new();
    for dialect in REGISTRY {
        let document = serde_json::to_value(openapi::document(dialect)).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert!(!paths.is_empty(), "{} has no routes", dialect.name());
        for (path, item) in paths {
            let mounted = dialect
                .mounts()
                .iter()
                .any(|mount| path.starts_with(&format!("{mount}/")));
            assert!(mounted, "{path} is outside the mounts of {}", dialect.name());
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap_or_default();
                assert!(
                    ids.insert(format!("{} {id}", dialect.name())),
                    "{method} {path}: {id} twice"
                );
                assert!(
                    operation["responses"].get("401").is_some(),
                    "{method} {path} does not say 401"
                );
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let words = answer["description"].as_str().unwrap_or_default();
                    assert!(!words.is_empty(), "{method} {path} {status} has no description");
                }
            }
        }
        let schemas = document["components"]["schemas"].to_string();
        assert!(
            !schemas.contains("\"default\":"),
            "{} tells clients what to send",
            dialect.name()
        );
    }
}

/// Every operation asks for a key, in a way that its document declares and that its dialect's calls are made in.
#[tokio::test]
async fn every_operation_says_how_a_key_is_shown() {
    let patchbay = Patchbay::new().await;
    for dialect in REGISTRY {
        let document = serde_json::to_value(openapi::document(dialect)).unwrap();
        let shown = shown(dialect, &patchbay.sample);
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let asked = operation["security"].as_array().into_iter().flatten();
                let names: Vec<&String> = asked.flat_map(|one| one.as_object().unwrap().keys()).collect();
                assert!(!names.is_empty(), "{method} {path} asks for no key");
                for name in names {
                    let scheme = &document["components"]["securitySchemes"][name];
                    assert!(fits(scheme, &shown), "{method} {path}: {name} is {scheme}");
                }
            }
        }
    }
}

/// The `Authorization` header of the dialect's own calls.
fn shown(dialect: &dyn Dialect, sample: &Sample) -> String {
    let mut headers = dialect.walkthrough(sample).into_iter().flat_map(|step| step.headers);
    let found = headers.find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    found.expect("the calls show a key").1
}

/// True if a client that goes by this scheme shows its key as in this header.
fn fits(scheme: &Value, authorization: &str) -> bool {
    let (word, key) = authorization.split_once(' ').unwrap_or_default();
    match scheme["type"].as_str() {
        Some("http") => scheme["scheme"]
            .as_str()
            .is_some_and(|name| name.eq_ignore_ascii_case(word)),
        Some("apiKey") => scheme["in"] == "header" && scheme["name"] == "Authorization" && key.is_empty(),
        _ => false,
    }
}

/// Whatever an operation is seen to answer stands in its document: the status, the media type and the entity tag.
#[tokio::test]
async fn what_is_answered_is_declared() {
    let patchbay = Patchbay::new().await;
    let operations = coverage::operations(&patchbay);
    coverage::walk(&patchbay, &operations).await;
    for operation in &operations {
        let document = serde_json::to_value(openapi::document(operation.dialect)).unwrap();
        let declared = &document["paths"][&operation.template][operation.method.to_lowercase()];
        let mut answers = contracts::answers(&patchbay, operation).await;
        answers.push(("too long", patchbay.send(too_long(operation)).await));
        for (what, answer) in answers {
            let response = &declared["responses"][answer.status.as_str()];
            let name = format!("{}, {what}: {}", operation.name(), answer.status);
            assert!(response.is_object(), "{name} is not declared");
            let media = answer.header("content-type");
            assert!(
                response["content"].get(media).is_some(),
                "{name} has undeclared {media}"
            );
            let tagged = answer.status.is_success() && !answer.header("etag").is_empty();
            assert_eq!(tagged, response["headers"]["ETag"].is_object(), "{name}, its ETag");
        }
        for name in ["If-Match", "If-None-Match"] {
            let mut parameters = declared["parameters"].as_array().unwrap().iter();
            assert!(
                parameters.any(|parameter| parameter["name"] == name),
                "{}: {name} is not declared",
                operation.name()
            );
        }
    }
}

fn too_long(operation: &Operation) -> axum::extract::Request {
    let path = format!("{}?x={}", operation.path, "x".repeat(20_000));
    operation.call(&path, Some(&operation.right()), operation.body())
}
