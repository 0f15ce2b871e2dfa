//! RTCP (RFC 3550 §6 and its feedback messages): what encoders report, what we answer, and the trackers that know what to answer.
//!
//! The readers borrow, the writers append to the caller's buffer, the trackers are bounded and take the time as an argument. Own
//! code, because rtc-rtcp boxes each packet and copies each list; it serves as an oracle in tests.
//! Not here: keys, when to send (see `peer::feedback`), what is persisted.

mod parse;

pub mod nack;
pub mod reception;
pub mod remb;
pub mod twcc;
pub mod write;

pub use parse::{SenderReport, sender_reports};

/// Packet types (RFC 3550 §12.1, RFC 4585 §6.1).
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

#[cfg(test)]
mod tests;
