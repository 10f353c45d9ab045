//! JSON bodies: what reads, reads again as it is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchbay::extract;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let Ok(value) = extract::json::<Value>(body) else {
        return;
    };
    let text = value.to_string();
    // Keys that mark a number of any precision change their meaning when members are sorted; records refuse them.
    if !text.contains("$serde_json::private::") {
        assert_eq!(
            extract::json::<Value>(text.as_bytes()).expect("JSON reads again"),
            value
        );
    }
});
