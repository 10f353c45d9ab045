//! `PUT /public/v1/accounts/users/{id}` with a form. The boundary is `x`.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use patchbay::dialects::softwareone;

fuzz_target!(|body: &[u8]| {
    let form = softwareone::decode_form("multipart/form-data; boundary=x", Bytes::copy_from_slice(body));
    if let Ok((patch, icon)) = futures_executor::block_on(form) {
        patchbay_fuzz::apply(&patch);
        if let Some(icon) = icon {
            assert!(body.windows(icon.bytes.len()).any(|window| *window == *icon.bytes));
        }
    }
});
