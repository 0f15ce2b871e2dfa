//! What becomes of the media once it left the shard. A sink reads a [`crate::tap::Feed`], on a thread of its own.

pub(crate) mod record;
