//! See `dmos_fuzz::log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dmos_fuzz::log(bytes));
