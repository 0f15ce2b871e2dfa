//! The size of a track's pictures, from a parameter set or a keyframe's header.

use std::time::{Duration, Instant};

use whipcord_media::{Codec, PictureSize, depacketise::size_told};

/// A parameter set is read no more often: some 2 µs and an allocation, which whoever makes up another one for each packet would have
/// for each. An encoder that changes its size tells it with a keyframe, and these are seconds apart.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// As the last bytes that tell it did.
#[derive(Debug, Default)]
pub(super) enum Size {
    #[default]
    Untold,
    Told {
        /// The bytes that told it, as they came.
        by: Vec<u8>,
        at: Instant,
        /// None where they cannot be read.
        size: Option<PictureSize>,
    },
}

impl Size {
    /// Where these bytes are others than before, and those not of a moment ago.
    pub(super) fn read(&mut self, codec: Codec, header: &[u8], now: Instant) {
        let mut by = match self {
            Self::Told { by, at, .. } if *by == header || now.saturating_duration_since(*at) < READ_PAUSE => return,
            Self::Told { by, .. } => std::mem::take(by),
            Self::Untold => Vec::new(),
        };
        by.clear();
        by.extend_from_slice(header);
        let size = size_told(codec, header);
        *self = Self::Told { by, at: now, size };
    }

    pub(super) fn get(&self) -> Option<PictureSize> {
        match self {
            Self::Untold => None,
            Self::Told { size, .. } => *size,
        }
    }
}
