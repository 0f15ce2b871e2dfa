//! Every stored input of the fuzz targets, through the code that the targets run.

#![allow(
    clippy::disallowed_methods,
    reason = "the inputs are files, and simulated clocks begin somewhere"
)]
#![allow(unreachable_pub, reason = "the modules are the fuzz targets' as well")]

#[path = "../../../tests/fuzz/src/checkpoint.rs"]
mod checkpoint;
#[path = "../../../tests/fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../../tests/fuzz/src/input.rs"]
mod input;
#[path = "../../../tests/fuzz/src/mux.rs"]
mod mux;
#[path = "../../../tests/fuzz/src/rtcp.rs"]
mod rtcp;
#[path = "../../../tests/fuzz/src/rtp.rs"]
mod rtp;
#[path = "../../../tests/fuzz/src/sctp.rs"]
mod sctp;
#[path = "../../../tests/fuzz/src/session.rs"]
mod session;
#[path = "../../../tests/fuzz/src/srtp_open.rs"]
mod srtp_open;
#[path = "../../../tests/fuzz/src/stun.rs"]
mod stun;

#[test]
fn stun_requests_are_refused_or_answered() {
    corpus::replay("stun", stun::run);
}

#[test]
fn rtp_headers_are_read_within_the_packet() {
    corpus::replay("rtp", rtp::run);
}

#[test]
fn rtcp_is_read_and_written_whole() {
    corpus::replay("rtcp", rtcp::run);
}

#[test]
fn srtp_opens_only_what_was_sealed() {
    corpus::replay("srtp_open", srtp_open::run);
}

#[test]
fn data_channels_outlive_any_packets() {
    corpus::replay("sctp", sctp::run);
}

#[test]
fn checkpoints_are_refused_or_adopted() {
    corpus::replay("checkpoint", checkpoint::run);
}

#[test]
fn ports_outlive_any_datagrams() {
    corpus::replay("mux", mux::run);
}
