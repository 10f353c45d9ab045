//! `PATCH /api/users/{id}`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(patch) = patchbay::dialects::nerm::decode_update("0a5b7f0e-1111-4222-8333-444455556666", body) {
        patchbay_fuzz::apply(&patch);
    }
});
