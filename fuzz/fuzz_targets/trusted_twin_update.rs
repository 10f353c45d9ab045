//! `PATCH /users/{user}`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(patch) = patchbay::dialects::trusted_twin::decode_update(body) {
        patchbay_fuzz::apply(&patch);
    }
});
