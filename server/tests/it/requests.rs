//! Odd requests to every operation: each dialect refuses them in its own words.

use axum::body::Body;
use patchbay::dialects::REGISTRY;

use crate::{
    coverage::{Operation, operations, walk},
    harness::{Answer, Patchbay, request},
};

/// Every operation, where there is something to read.
async fn walked() -> (Patchbay, Vec<Operation>) {
    let patchbay = Patchbay::new().await;
    let operations = operations(&patchbay);
    walk(&patchbay, &operations).await;
    (patchbay, operations)
}

impl Operation {
    /// The right call with one more header.
    async fn with(&self, patchbay: &Patchbay, header: (&'static str, &str)) -> Answer {
        let mut call = self.call(&self.path, Some(&self.right()), self.body());
        call.headers_mut().insert(header.0, header.1.parse().unwrap());
        patchbay.send(call).await
    }
}

#[tokio::test]
async fn encoded_bodies_are_refused_in_every_dialect() {
    let (patchbay, operations) = walked().await;
    for operation in operations.iter().filter(|operation| !operation.reads()) {
        for coding in ["gzip", "identity, br"] {
            let answer = operation.with(&patchbay, ("content-encoding", coding)).await;
            assert_eq!(answer.status, 415, "{} {coding}: {answer:?}", operation.name());
            let told = answer.json().to_string();
            assert!(told.contains("must not have a Content-Encoding"), "{told}");
        }
        let answer = operation.with(&patchbay, ("transfer-encoding", "gzip, chunked")).await;
        assert_eq!(answer.status, 415, "{}", operation.path);
        let answer = operation.with(&patchbay, ("transfer-encoding", "chunked")).await;
        assert!(answer.status.is_success(), "{}", operation.path);
        let answer = operation.with(&patchbay, ("content-encoding", "Identity")).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", operation.name());
    }
}

#[tokio::test]
async fn two_keys_are_none_in_every_dialect() {
    let (patchbay, operations) = walked().await;
    for operation in &operations {
        for second in ["Bearer other", &operation.authorization(&operation.right())] {
            let mut call = operation.call(&operation.path, Some(&operation.right()), operation.body());
            call.headers_mut().append("authorization", second.parse().unwrap());
            let answer = patchbay.send(call).await;
            assert_eq!(answer.status, 401, "{}: {answer:?}", operation.name());
        }
    }
}

#[tokio::test]
async fn if_match_is_honoured_by_every_read() {
    let (patchbay, operations) = walked().await;
    for operation in operations.iter().filter(|operation| operation.reads()) {
        let name = operation.name();
        let right = operation.right();
        let read = patchbay.send(operation.call(&operation.path, Some(&right), None)).await;
        let tag = read.header("etag").to_owned();
        assert!(tag.starts_with('"'), "{name}: {tag}");
        for holds in [tag.as_str(), "*", &format!("\"a,b\", {tag}")] {
            let answer = operation.with(&patchbay, ("if-match", holds)).await;
            assert_eq!(answer.status, 200, "{name} {holds}");
        }
        for stale in ["\"stale\"", "\"a,b\"", &format!("W/{tag}")] {
            let answer = operation.with(&patchbay, ("if-match", stale)).await;
            assert_eq!(answer.status, 412, "{name} {stale}");
            assert!(answer.json().is_object(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_long_path_or_query_is_refused_in_every_dialect() {
    let patchbay = Patchbay::new().await;
    for dialect in REGISTRY {
        for mount in dialect.mounts() {
            for path in [
                format!("{mount}/{}", "x".repeat(20_000)),
                format!("{mount}?x={}", "y".repeat(20_000)),
            ] {
                let answer = patchbay.send(request("GET", &path).body(Body::empty()).unwrap()).await;
                assert_eq!(answer.status, 414, "{mount}");
                let told = answer.json().to_string();
                assert!(told.contains("longer than 16384 bytes"), "{told}");
            }
        }
    }
}
