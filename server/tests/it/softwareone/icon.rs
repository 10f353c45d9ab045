//! Pictures: recognised, bounded, stored, served back.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use patchbay_core::icon::Icon;
use serde_json::json;

use super::{FORM, HAN, HAN_IN_REBELS, ICON, JPEG, MON, PNG, USER, assert_problem, call, get, get_as, put, put_form};
use crate::harness::Patchbay;

const HANS_ICON: &str = "/public/v1/accounts/users/USR-0000-0001/icon";

#[tokio::test]
async fn a_picture_is_served_back_with_type_tag_and_caching() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    assert_problem(&get_as(&patchbay, &key, HANS_ICON).await, 404, None);
    assert_eq!(get(&patchbay, HAN).await.get("icon"), None);

    let mut tags = Vec::new();
    // The content decides, not the name or the announced type.
    for (bytes, announced, media) in [(PNG, "image/jpeg", "image/png"), (JPEG, "image/png", "image/jpeg")] {
        assert_eq!(put_form(&patchbay, HAN, &[(ICON, announced, bytes)]).await.status, 200);
        let icon = get_as(&patchbay, &key, HANS_ICON).await;
        assert_eq!((icon.status.as_u16(), icon.bytes.as_slice()), (200, bytes));
        assert_eq!(icon.header("content-type"), media);
        assert_eq!(icon.header("content-length"), bytes.len().to_string());
        assert_eq!(icon.header("x-content-type-options"), "nosniff");
        assert_eq!(icon.header("cache-control"), "private, no-cache");
        tags.push(icon.header("etag").to_owned());
    }
    assert_ne!(tags[0], tags[1]);
    for (tag, status) in [(&tags[1], 304), (&tags[0], 200), (&"*".to_owned(), 304)] {
        let answer = call(
            &patchbay,
            &key,
            ("GET", HANS_ICON),
            &[("if-none-match", tag)],
            Body::empty(),
        )
        .await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("etag")),
            (status, tags[1].as_str())
        );
    }
    let by_mail = get_as(&patchbay, &key, "/public/v1/accounts/users/han.solo@example.com/icon").await;
    assert_eq!(by_mail.bytes, JPEG);
}

#[tokio::test]
async fn null_takes_the_picture_away() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    for path in [HAN, HAN_IN_REBELS] {
        put_form(&patchbay, HAN, &[(ICON, "image/png", PNG)]).await;
        let answer = put(&patchbay, path, &json!({"icon": null})).await;
        assert_eq!((answer.status.as_u16(), answer.json().get("icon")), (200, None));
        assert_problem(&get_as(&patchbay, &key, HANS_ICON).await, 404, None);
    }
    let parts = [
        (ICON, "image/png", PNG),
        (USER, "application/json", br#"{"icon":null}"#),
    ];
    put_form(&patchbay, HAN, &parts).await;
    assert_eq!(
        get_as(&patchbay, &key, HANS_ICON).await.bytes,
        PNG,
        "the part says more"
    );
}

/// The read-only `user` of an account user, which is what the wrapper of seed 003's example is called too.
#[tokio::test]
async fn null_in_a_users_short_form_takes_no_picture_away() {
    let patchbay = Patchbay::new().await;
    put_form(&patchbay, HAN, &[(ICON, "image/png", PNG)]).await;
    let short = json!({"id": "USR-0000-0001", "name": "x", "icon": null});
    for change in [json!({"status": "Active", "user": short}), json!({"user": short})] {
        let answer = put(&patchbay, HAN, &change).await;
        assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"2\""));
        assert!(answer.json()["icon"].is_string());
    }
    let whole = json!({"user": {"id": "USR-0000-0001", "firstName": "Ben", "icon": null}});
    assert_eq!(put(&patchbay, HAN, &whole).await.json().get("icon"), None);
}

#[tokio::test]
async fn an_update_without_the_part_leaves_the_picture_and_the_same_again_is_no_change() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    put_form(&patchbay, HAN, &[(ICON, "image/png", PNG)]).await;
    put_form(
        &patchbay,
        HAN,
        &[(USER, "application/json", br#"{"firstName":"Ben","icon":"/v1/x"}"#)],
    )
    .await;
    put(
        &patchbay,
        HAN,
        &json!({"lastName": "x", "icon": "/v1/accounts/users/USR-0000-0001/icon"}),
    )
    .await;
    assert_eq!(get_as(&patchbay, &key, HANS_ICON).await.bytes, PNG);
    assert_eq!(
        put_form(&patchbay, HAN, &[(ICON, "image/png", PNG)])
            .await
            .header("etag"),
        "\"4\""
    );
}

#[tokio::test]
async fn what_is_neither_png_nor_jpeg_is_refused() {
    let patchbay = Patchbay::new().await;
    for bytes in [&b"GIF89a"[..], b"<svg/>", b"", b"\x89PNG"] {
        let parts = [
            (USER, "application/json", &br#"{"firstName":"Half"}"#[..]),
            (ICON, "image/png", bytes),
        ];
        assert_problem(&put_form(&patchbay, HAN, &parts).await, 400, Some("icon"));
    }
    assert_eq!(get(&patchbay, HAN).await["firstName"], "Han");
}

#[tokio::test]
async fn five_mebibytes_and_not_one_byte_more() {
    let patchbay = Patchbay::new().await;
    let mut largest = PNG.to_vec();
    largest.resize(Icon::MAX_BYTES, 0);
    assert_eq!(
        put_form(&patchbay, HAN, &[(ICON, "image/png", &largest)]).await.status,
        200
    );
    let key = patchbay.sample.keys.operations.clone();
    assert_eq!(get_as(&patchbay, &key, HANS_ICON).await.bytes, largest);
    largest.push(0);
    let parts = [
        (ICON, "image/png", &largest[..]),
        (USER, "application/json", br#"{"firstName":"Half"}"#),
    ];
    assert_problem(&put_form(&patchbay, HAN, &parts).await, 413, Some("icon"));
    assert_eq!(get(&patchbay, HAN).await["firstName"], "Han");
}

#[tokio::test]
async fn the_json_part_and_the_whole_are_bounded_too() {
    let patchbay = Patchbay::new().await;
    let big = vec![b' '; patchbay.app.config.max_body_bytes + 1];
    assert_problem(
        &put_form(&patchbay, HAN, &[(USER, "application/json", &big)]).await,
        413,
        Some("user"),
    );
    let huge = vec![b' '; 7 << 20];
    assert_problem(
        &put_form(&patchbay, HAN, &[("name=\"x\"", "text/plain", &huge)]).await,
        413,
        None,
    );
    let key = patchbay.sample.keys.operations.clone();
    let announced = [FORM, ("content-length", "7000000000")];
    assert_problem(
        &call(&patchbay, &key, ("PUT", HAN), &announced, Body::empty()).await,
        413,
        None,
    );
    let json = [("content-type", "application/json")];
    assert_problem(&call(&patchbay, &key, ("PUT", HAN), &json, big).await, 413, None);
}

/// A body that never ends: `first`, then `more` for ever. Counts what was taken of it.
fn endless(first: Bytes, more: Bytes) -> (Body, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    let chunks = stream::once(async move { first }).chain(stream::repeat(more));
    // As from a socket: there is not always something to read.
    let chunks = chunks.then(async |chunk| {
        tokio::task::yield_now().await;
        chunk
    });
    let body = Body::from_stream(chunks.map(move |chunk| {
        count.fetch_add(chunk.len(), Ordering::SeqCst);
        Ok::<_, std::convert::Infallible>(chunk)
    }));
    (body, taken)
}

#[tokio::test]
async fn an_endless_picture_is_refused_once_it_passes_the_bound() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    let mut head = form_head(ICON);
    head.extend_from_slice(PNG);
    let (body, taken) = endless(head.into(), vec![0; 64 * 1024].into());
    let answer = call(&patchbay, &key, ("PUT", HAN), &[FORM], body).await;
    assert_problem(&answer, 413, Some("icon"));
    let taken = taken.load(Ordering::SeqCst);
    assert!(taken < Icon::MAX_BYTES + 256 * 1024, "{taken} bytes were read");
}

#[tokio::test]
async fn an_endless_form_of_anything_is_refused() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    let bound = Icon::MAX_BYTES + patchbay.app.config.max_body_bytes + 256 * 1024;
    let heads = [form_head("name=\"x\""), b"--b\r\nX: ".to_vec(), b"no boundary".to_vec()];
    for head in heads {
        let (body, taken) = endless(head.into(), vec![b'x'; 64 * 1024].into());
        assert_problem(&call(&patchbay, &key, ("PUT", HAN), &[FORM], body).await, 413, None);
        let taken = taken.load(Ordering::SeqCst);
        assert!(taken < bound, "{taken} bytes were read");
    }
}

fn form_head(disposition: &str) -> Vec<u8> {
    format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn pictures_of_those_one_may_not_see_are_not_found() {
    let patchbay = Patchbay::new().await;
    put_form(&patchbay, MON, &[(ICON, "image/png", PNG)]).await;
    let client = patchbay.sample.keys.client.clone();
    assert_problem(&get_as(&patchbay, &client, &format!("{MON}/icon")).await, 404, None);
    assert_problem(&get_as(&patchbay, "wrong", &format!("{MON}/icon")).await, 401, None);
    let own = [FORM];
    let body = super::form(&[(ICON, "image/png", PNG)]);
    let answer = call(&patchbay, &client, ("PUT", super::LEIA), &own, body).await;
    assert_eq!(answer.status, 200, "one's own picture may be set");
}
