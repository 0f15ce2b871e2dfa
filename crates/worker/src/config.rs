//! What an operator chooses about a worker.

use std::{net::SocketAddr, path::PathBuf};

use whipcord_whip::{Codec, DataPolicy};

use crate::{advertise::Advertise, streams::STREAMS_MAX};

/// Options of a worker, as flags and as environment variables.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Config {
    /// UDP address for all media
    #[arg(long, value_name = "ADDR", env = "WHIPCORD_MEDIA", default_value = "0.0.0.0:8189", value_parser = address)]
    pub media: SocketAddr,

    /// IP address in answers (repeatable; default: the interfaces'), or "controller": whipcord controller tells it
    #[arg(long, value_name = "IP", env = "WHIPCORD_ADVERTISE", value_delimiter = ',')]
    pub advertise: Vec<Advertise>,

    /// Folder for recordings, {DIR}/{stream}/{session}.mp4; without it nothing is recorded.
    #[arg(long, value_name = "DIR", env = "WHIPCORD_RECORDINGS")]
    pub recordings: Option<PathBuf>,

    /// Codecs accepted, the preferred first
    #[arg(
        long,
        value_name = "NAMES",
        env = "WHIPCORD_CODECS",
        value_delimiter = ',',
        default_value = "H264,VP8,VP9,AV1,H265,opus"
    )]
    pub codecs: Vec<Codec>,

    /// Offered data channels: accept, echo, refuse
    #[arg(long, value_name = "WHAT", env = "WHIPCORD_DATA_CHANNEL", default_value = "accept")]
    pub data_channel: DataPolicy,

    /// Streams with own series at /metrics/streams
    #[arg(long, value_name = "N", env = "WHIPCORD_STREAM_METRICS", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=i64::from(STREAMS_MAX)))]
    pub stream_metrics: u32,

    /// Sessions accepted at once.
    #[arg(long, value_name = "N", env = "WHIPCORD_SESSIONS_MAX", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub sessions_max: u32,
}

fn address(text: &str) -> Result<SocketAddr, AddressError> {
    text.parse().map_err(|_| AddressError)
}

#[derive(Debug, thiserror::Error)]
#[error("it is IP:PORT, as in 0.0.0.0:8189")]
struct AddressError;
