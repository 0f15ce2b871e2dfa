//! Every stored input of the fuzz targets, through the code that the targets run.

#![allow(
    clippy::disallowed_methods,
    reason = "the inputs are files, and simulated clocks begin somewhere"
)]
#![allow(unreachable_pub, reason = "the modules are the fuzz targets' as well")]

#[path = "../../../tests/fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../../tests/fuzz/src/depacketise.rs"]
mod depacketise;
#[path = "../../../tests/fuzz/src/input.rs"]
mod input;
#[path = "../../../tests/fuzz/src/recording.rs"]
mod recording;

use whipcord_media::Codec;

#[test]
fn h264_payloads_become_whole_frames() {
    corpus::replay("h264", |data| depacketise::run(Codec::H264, data));
}

#[test]
fn vp8_payloads_become_whole_frames() {
    corpus::replay("vp8", |data| depacketise::run(Codec::Vp8, data));
}

#[test]
fn av1_payloads_become_whole_frames() {
    corpus::replay("av1", |data| depacketise::run(Codec::Av1, data));
}

#[test]
fn vp9_payloads_become_whole_frames() {
    corpus::replay("vp9", |data| depacketise::run(Codec::Vp9, data));
}

#[test]
fn h265_payloads_become_whole_frames() {
    corpus::replay("h265", |data| depacketise::run(Codec::H265, data));
}

#[test]
fn opus_payloads_become_frames() {
    corpus::replay("opus", |data| depacketise::run(Codec::Opus, data));
}

#[test]
fn recordings_can_be_read() {
    corpus::replay("recording", recording::run);
}
