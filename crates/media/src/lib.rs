//! RTP payloads → frames → file bytes.
//!
//! Packets of one track go through `reorder`, their timestamps through `clock`, their payloads through
//! [`depacketise`]; the frames become a fragmented MP4 (`fmp4`) or a WebM file (`matroska`). `recording`
//! assembles all that. Everything here is pure: the caller passes time in and takes bytes out. This crate knows
//! nothing of sessions, sockets, files, threads or clocks.

mod clock;
pub mod depacketise;
mod fmp4;
mod fragment;
mod frame;
mod matroska;
pub mod params;
mod recording;
mod reorder;

pub use clock::SenderReport;
pub use frame::{Codec, Frame, Kind};
pub use params::PictureSize;
pub use recording::{Container, Recording, RtpPacket, Stats, TrackSpec, Unsupported};
