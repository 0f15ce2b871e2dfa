#![no_main]

use whipcord_media::Codec;

libfuzzer_sys::fuzz_target!(|data: &[u8]| whipcord_fuzz::depacketise::run(Codec::H265, data));
