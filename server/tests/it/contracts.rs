//! Facade answers against the vendors' published schemas.
//!
//! The schemas are not ours to ship: they are read from `$PATCHBAY_CONTRACTS`, by default `../shared/contracts` beside the workspace.
//! Without them one line says that the check was left out; with `CI=true` it fails.

mod schema;

use std::{collections::BTreeMap, fs, path::PathBuf};

use axum::{
    extract::Request,
    http::header::{AUTHORIZATION, CONTENT_TYPE},
};
use patchbay_core::policy::Action;
use serde_json::{Value, json};

use self::schema::Contract;
use crate::{
    coverage::{self, Operation},
    harness::{Answer, Patchbay},
};

/// Whether the contracts are there.
fn folder() -> Option<PathBuf> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/contracts");
    let folder = std::env::var_os("PATCHBAY_CONTRACTS").map_or_else(default, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "no vendor schemas at {}: set PATCHBAY_CONTRACTS to the folder that has them",
        folder.display()
    );
    eprintln!(
        "LEFT OUT: no vendor schemas at {} (PATCHBAY_CONTRACTS)",
        folder.display()
    );
    None
}

/// Every contract, by the name of its file.
fn contracts(folder: &PathBuf) -> BTreeMap<String, Contract> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let documents = files.filter_map(|file| {
        let name = file
            .file_name()?
            .to_str()?
            .strip_suffix(".openapi.json")?
            .replace('-', "_");
        let text = fs::read_to_string(&file).unwrap();
        Some((name.clone(), Contract::new(&name, serde_json::from_str(&text).unwrap())))
    });
    documents.collect()
}

#[tokio::test]
async fn answers_are_as_the_vendors_document_them() {
    let Some(folder) = folder() else { return };
    let contracts = contracts(&folder);
    let patchbay = Patchbay::new().await;
    let operations = coverage::operations(&patchbay);
    coverage::walk(&patchbay, &operations).await;
    let mut wrong = Vec::new();
    for operation in &operations {
        let of_dialect = contracts
            .iter()
            .filter(|(name, _)| name.starts_with(operation.dialect.name()));
        let found = of_dialect.map(|(_, contract)| contract).find_map(|contract| {
            let documented = contract.operation(&operation.method, &operation.template)?;
            Some((contract, documented))
        });
        let (contract, documented) = found.unwrap_or_else(|| panic!("no contract documents {}", operation.name()));
        let mut checked = [0, 0];
        for (what, answer) in answers(&patchbay, operation).await {
            let Some(schema) = contract.answer(documented, answer.status.as_u16()) else {
                continue;
            };
            if !answer.header("content-type").contains("json") {
                wrong.push(format!("{}, {what}: {} is not JSON", operation.name(), answer.status));
                continue;
            }
            checked[usize::from(!answer.status.is_success())] += 1;
            let answer = (answer.status, answer.json());
            for problem in contract.problems(&schema, &answer.1) {
                wrong.push(format!(
                    "{}, {what}: {} {problem}\n  {}",
                    operation.name(),
                    answer.0,
                    answer.1
                ));
            }
        }
        let success = usize::from(contract.documents_success(documented));
        assert!(
            checked[0] >= success && checked[1] >= 4,
            "{}: only {checked:?} answers checked",
            operation.name()
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The success and every refusal that can be had of an operation without knowing what it does.
pub async fn answers(patchbay: &Patchbay, operation: &Operation) -> Vec<(&'static str, Answer)> {
    let right = operation.right();
    let right = Some(right.as_str());
    let path = operation.path.as_str();
    let nobody = nobody(operation);
    let action = if operation.reads() {
        Action::GetUser
    } else {
        Action::UpdateUser
    };
    let powerless = coverage::key_without(patchbay, action).await;
    let body = || operation.body();
    let mut calls = vec![
        ("done", operation.call(path, right, body())),
        ("no key", operation.call(path, None, body())),
        ("no right", operation.call(path, Some(&powerless), body())),
        ("unknown user", operation.call(&nobody, right, body())),
    ];
    let mut conditional = operation.call(path, right, body());
    conditional.headers_mut().insert("if-match", "\"999\"".parse().unwrap());
    let mut malformed = operation.call(path, right, body());
    let header = if operation.reads() { "if-none-match" } else { "if-match" };
    malformed.headers_mut().insert(header, "999".parse().unwrap());
    calls.push(("bad condition", malformed));
    let bare = only_needed(operation.call(path, right, body()));
    calls.push(("no further headers", bare));
    if !operation.reads() {
        let sent = |text: String| Some(("application/json".to_owned(), text.into_bytes()));
        calls.push(("stale", conditional));
        calls.push(("not JSON", operation.call(path, right, sent("{".to_owned()))));
        calls.push(("not an object", operation.call(path, right, sent("[1]".to_owned()))));
        if let Some((media, bytes)) = body().filter(|(media, _)| media == "application/json") {
            let mut wrong: Value = serde_json::from_slice(&bytes).unwrap();
            twist(&mut wrong);
            calls.push((
                "wrong types",
                operation.call(path, right, Some((media, wrong.to_string().into_bytes()))),
            ));
        }
    }
    let mut answers = Vec::new();
    for (what, call) in calls {
        answers.push((what, patchbay.send(call).await));
    }
    answers
}

/// A call without the headers that only its dialect asks for.
fn only_needed(mut call: Request) -> Request {
    let needed = [AUTHORIZATION, CONTENT_TYPE].map(|name| (name.clone(), call.headers().get(name).cloned()));
    call.headers_mut().clear();
    for (name, value) in needed {
        call.headers_mut().extend(value.map(|value| (name, value)));
    }
    call
}

/// The path with another user in it: every digit of the last parameter becomes a nine.
fn nobody(operation: &Operation) -> String {
    let parts: Vec<&str> = operation.template.split('/').collect();
    let last = parts.iter().rposition(|part| part.starts_with('{'));
    let parts = operation.path.split('/').enumerate().map(|(at, part)| {
        if Some(at) == last {
            part.chars()
                .map(|letter| if letter.is_ascii_digit() { '9' } else { letter })
                .collect()
        } else {
            part.to_owned()
        }
    });
    parts.collect::<Vec<String>>().join("/")
}

/// Gives every text and number another type.
fn twist(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(twist),
        Value::Array(items) => items.iter_mut().for_each(twist),
        other => *other = json!({ "twisted": [true] }),
    }
}
