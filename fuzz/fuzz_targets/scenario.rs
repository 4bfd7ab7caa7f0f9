//! See `dmos_fuzz::scenario`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dmos_fuzz::scenario(bytes));
