//! `PUT /public/v1/accounts/accounts/{accountId}/users/{userId}`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok((patch, _)) = patchbay::dialects::softwareone::decode_account_user(body) {
        patchbay_fuzz::apply(&patch);
    }
});
