//! WebM (RFC 9559, the subset that WebM allows) with VP8 and Opus.
//!
//! The file is an EBML header and one Segment of unknown size, with Info, Tracks and then a Cluster for each fragment. It
//! plays up to its last whole block wherever it is cut off, because nothing written before is ever changed. For the
//! same reason it has neither Cues nor a Duration.
//!
//! Elements are written here rather than by a crate: those that exist build a tree or seek back to fill sizes in, and
//! what an append-only live writer needs of EBML (RFC 8794) is one function per data type.

mod ebml;

use ebml::{element, float, master, string, uint};

use crate::{
    fragment::{OpusTrack, Run},
    frame::Kind,
    params::PictureSize,
};

/// Element IDs with their length marker (RFC 9559 §5.1, RFC 8794 §11.2).
mod id {
    pub(super) const EBML: u32 = 0x1A45_DFA3;
    pub(super) const EBML_VERSION: u32 = 0x4286;
    pub(super) const EBML_READ_VERSION: u32 = 0x42F7;
    pub(super) const EBML_MAX_ID_LENGTH: u32 = 0x42F2;
    pub(super) const EBML_MAX_SIZE_LENGTH: u32 = 0x42F3;
    pub(super) const DOC_TYPE: u32 = 0x4282;
    pub(super) const DOC_TYPE_VERSION: u32 = 0x4287;
    pub(super) const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub(super) const SEGMENT: u32 = 0x1853_8067;
    pub(super) const INFO: u32 = 0x1549_A966;
    pub(super) const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
    pub(super) const MUXING_APP: u32 = 0x4D80;
    pub(super) const WRITING_APP: u32 = 0x5741;
    pub(super) const TRACKS: u32 = 0x1654_AE6B;
    pub(super) const TRACK_ENTRY: u32 = 0xAE;
    pub(super) const TRACK_NUMBER: u32 = 0xD7;
    pub(super) const TRACK_UID: u32 = 0x73C5;
    pub(super) const TRACK_TYPE: u32 = 0x83;
    pub(super) const FLAG_LACING: u32 = 0x9C;
    pub(super) const CODEC_ID: u32 = 0x86;
    pub(super) const CODEC_PRIVATE: u32 = 0x63A2;
    pub(super) const SEEK_PRE_ROLL: u32 = 0x56BB;
    pub(super) const VIDEO: u32 = 0xE0;
    pub(super) const PIXEL_WIDTH: u32 = 0xB0;
    pub(super) const PIXEL_HEIGHT: u32 = 0xBA;
    pub(super) const AUDIO: u32 = 0xE1;
    pub(super) const SAMPLING_FREQUENCY: u32 = 0xB5;
    pub(super) const CHANNELS: u32 = 0x9F;
    pub(super) const CLUSTER: u32 = 0x1F43_B675;
    pub(super) const TIMESTAMP: u32 = 0xE7;
    pub(super) const SIMPLE_BLOCK: u32 = 0xA3;
}

const TRACK_VIDEO: u8 = 1;
const TRACK_AUDIO: u8 = 2;

/// A decoder that begins in the middle needs 80 ms to converge (RFC 9559 §5.1.4.1.26, RFC 7845 §4.6), in nanoseconds.
const OPUS_PRE_ROLL: u64 = 80_000_000;

/// Timestamps in a cluster are relative to it in 16 bits, signed, in milliseconds.
const CLUSTER_SPAN: u64 = i16::MAX as u64;

/// A VP8 track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vp8Track {
    /// RTP clock units in a second.
    pub clock_rate: u32,
    pub size: PictureSize,
}

/// Writes the file after its header.
#[derive(Debug)]
pub(crate) struct Writer {
    video_rate: u32,
    audio_rate: u32,
}

impl Writer {
    /// Begins a file: appends everything up to the first cluster.
    pub(crate) fn new(video: Option<Vp8Track>, audio: Option<OpusTrack>, out: &mut Vec<u8>) -> Self {
        master(out, id::EBML, |out| {
            uint(out, id::EBML_VERSION, 1);
            uint(out, id::EBML_READ_VERSION, 1);
            uint(out, id::EBML_MAX_ID_LENGTH, 4);
            uint(out, id::EBML_MAX_SIZE_LENGTH, 8);
            string(out, id::DOC_TYPE, "webm");
            uint(out, id::DOC_TYPE_VERSION, 4);
            uint(out, id::DOC_TYPE_READ_VERSION, 2);
        });
        ebml::unknown_size(out, id::SEGMENT);
        master(out, id::INFO, |out| {
            // In nanoseconds: all times are in milliseconds.
            uint(out, id::TIMESTAMP_SCALE, 1_000_000);
            string(out, id::MUXING_APP, "whipcord");
            string(out, id::WRITING_APP, "whipcord");
        });
        master(out, id::TRACKS, |out| {
            if let Some(video) = video {
                master(out, id::TRACK_ENTRY, |out| video_track(out, video));
            }
            if let Some(audio) = audio {
                master(out, id::TRACK_ENTRY, |out| audio_track(out, audio));
            }
        });
        // Of a track that does not exist no sample comes.
        let rate = |rate: Option<u32>| rate.unwrap_or_default().max(1);
        Self {
            video_rate: rate(video.map(|video| video.clock_rate)),
            audio_rate: rate(audio.map(|audio| audio.clock_rate)),
        }
    }

    /// Appends a fragment: one cluster, or more where it spans over half a minute.
    pub(crate) fn fragment(&mut self, runs: &[Run<'_>], out: &mut Vec<u8>) {
        let mut blocks = self.blocks(runs);
        // Stable: video before audio of the same millisecond.
        blocks.sort_by_key(|block| block.time);
        let mut rest = blocks.as_slice();
        while let Some(first) = rest.first() {
            let (cluster, later) = rest.split_at(rest.partition_point(|block| block.time - first.time <= CLUSTER_SPAN));
            master(out, id::CLUSTER, |out| {
                uint(out, id::TIMESTAMP, first.time);
                for block in cluster {
                    block.write(first.time, out);
                }
            });
            rest = later;
        }
    }

    fn blocks<'a>(&self, runs: &[Run<'a>]) -> Vec<Block<'a>> {
        let mut blocks = Vec::new();
        for run in runs {
            let (track, rate) = match run.kind {
                Kind::Video => (TRACK_VIDEO, self.video_rate),
                Kind::Audio => (TRACK_AUDIO, self.audio_rate),
            };
            let mut time = run.start;
            for sample in run.samples {
                let milliseconds = (u128::from(time) * 1000 + u128::from(rate) / 2) / u128::from(rate);
                blocks.push(Block {
                    track,
                    time: milliseconds as u64,
                    keyframe: sample.keyframe,
                    data: &sample.data,
                });
                time += u64::from(sample.duration);
            }
        }
        blocks
    }
}

struct Block<'a> {
    track: u8,
    /// In milliseconds.
    time: u64,
    keyframe: bool,
    data: &'a [u8],
}

impl Block<'_> {
    /// RFC 9559 §10.2: track number as a variable-size integer, relative time, flags.
    fn write(&self, cluster: u64, out: &mut Vec<u8>) {
        let [high, low] = ((self.time - cluster) as i16).to_be_bytes();
        let header = [0x80 | self.track, high, low, if self.keyframe { 0x80 } else { 0 }];
        element(out, id::SIMPLE_BLOCK, &[&header, self.data]);
    }
}

fn video_track(out: &mut Vec<u8>, video: Vp8Track) {
    track(out, TRACK_VIDEO, 1, "V_VP8");
    master(out, id::VIDEO, |out| {
        uint(out, id::PIXEL_WIDTH, video.size.width.into());
        uint(out, id::PIXEL_HEIGHT, video.size.height.into());
    });
}

fn audio_track(out: &mut Vec<u8>, audio: OpusTrack) {
    track(out, TRACK_AUDIO, 2, "A_OPUS");
    // The identification header of RFC 7845 §5.1: version 1, no pre-skip, 48 kHz, no gain, mapping family 0. There is no
    // pre-skip because we begin in the middle of a stream.
    let mut head = *b"OpusHead\x01\x00\x00\x00\x80\xbb\x00\x00\x00\x00\x00";
    head[9] = audio.channels;
    element(out, id::CODEC_PRIVATE, &[&head]);
    uint(out, id::SEEK_PRE_ROLL, OPUS_PRE_ROLL);
    master(out, id::AUDIO, |out| {
        float(out, id::SAMPLING_FREQUENCY, 48_000.0);
        uint(out, id::CHANNELS, audio.channels.into());
    });
}

/// What every track has. Types: 1 video, 2 audio.
fn track(out: &mut Vec<u8>, number: u8, track_type: u64, codec: &str) {
    uint(out, id::TRACK_NUMBER, number.into());
    uint(out, id::TRACK_UID, number.into());
    uint(out, id::TRACK_TYPE, track_type);
    uint(out, id::FLAG_LACING, 0);
    string(out, id::CODEC_ID, codec);
}

#[cfg(test)]
mod tests;
