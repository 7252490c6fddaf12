//! What is read as a duration is printed as a text that reads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pool_core::duration::{parse, print};

fuzz_target!(|text: &str| {
    if let Some(duration) = parse(text) {
        assert_eq!(parse(&print(duration)), Some(duration), "{text}");
    }
});
