#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whipcord_fuzz::answer::run(data));
