#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whipcord_fuzz::check::run(data));
