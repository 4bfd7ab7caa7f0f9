//! See `dmos_fuzz::messages`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dmos_fuzz::messages(bytes));
