//! `PATCH /unified/iam/users/{id}`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(patch) = patchbay::dialects::stackone::decode_update(body) {
        patchbay_fuzz::apply(&patch);
    }
});
