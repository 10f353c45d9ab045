//! `PUT /public/v1/accounts/users/{id}` with a JSON body.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(patch) = patchbay::dialects::softwareone::decode_user(body) {
        patchbay_fuzz::apply(&patch);
    }
});
