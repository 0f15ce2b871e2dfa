//! The limits of connections, requests and calls, with their reasons. Those of one thing alone stand beside it.

use std::time::Duration;

pub(crate) use whipcord_proto::limits::{METADATA_BYTES_MAX, PAGE_MAX};
pub(crate) use whipcord_whip::{fragment::FRAGMENT_BYTES_MAX, offer::OFFER_BYTES_MAX};

/// A connection costs some 20 KiB, and 14 KiB more for each answer that waits in it: 2 GiB in the very worst minute. Encoders keep
/// none open while they publish. Fewer where the process may not open twice as many files.
pub(crate) const CONNECTIONS_MAX: usize = 4096;
/// A connection without a request for this long is closed. An encoder's next request, after its POST and a trickled candidate or
/// two, is its DELETE: it opens another connection for that. A proxy's pool finds out and opens another, too.
pub(crate) const CONNECTION_IDLE: Duration = Duration::from_secs(60);
/// A request is answered, and its answer taken, within this: its body's 10 s, the worker's 7 s, [`UNREAD_TIMEOUT`], and some. A recording
/// takes as long as it takes, and each 32 KiB of it no longer than this.
pub(crate) const REQUEST_MAX: Duration = Duration::from_secs(60);
/// An answer of which nothing is read for this long ends its connection.
pub(crate) const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A request's head arrives within this, and a new connection's first one: an encoder sends it at once.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A request's body arrives within this: 64 KiB take 5 s at 100 kbit/s.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// A token of 8 KiB fits, and so does the metadata of a query.
pub(crate) const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Requests of one HTTP/2 connection at once: a proxy's, which shares it among encoders.
pub(crate) const HTTP2_STREAMS_MAX: u32 = 32;
/// An HTTP/2 connection is pinged this often; one that does not answer within [`HEAD_TIMEOUT`] is closed.
pub(crate) const HTTP2_PING: Duration = Duration::from_secs(30);
/// At shutdown requests in flight may end within this: longer than any deadline below.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// What is read of a body nobody wants before the connection is closed, so that its sender reads our answer rather than a reset.
pub(crate) const DISCARD_BYTES_MAX: usize = 4 * 1024 * 1024;
pub(crate) const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// Query parameters of one POST; [`METADATA_BYTES_MAX`] bounds their bytes.
pub(crate) const METADATA_ENTRIES_MAX: usize = 64;

/// A POST is answered within this, however many workers it asks: OBS gives up after 8 s.
pub(crate) const CREATE_TIMEOUT: Duration = Duration::from_secs(7);
/// What a POST that waited for the directory leaves of that to the worker, which takes milliseconds.
pub(crate) const CREATE_REST: Duration = Duration::from_secs(1);
/// One worker answers a CreateSession within this; it takes milliseconds.
pub(crate) const CREATE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// A POST waits this long for a worker with room, because OBS does not try again after a first POST that failed: a worker that
/// starts, or an encoder that goes, may make room meanwhile. As long it waits for a directory that is being rebuilt.
pub(crate) const ROOM_WAIT: Duration = Duration::from_secs(5);
/// How often it looks: what it looks at, the directory's view, is as old as that.
pub(crate) const ROOM_LOOK: Duration = Duration::from_millis(250);
/// POSTs that wait at once, each with an offer of at most 64 KiB.
pub(crate) const WAITING_MAX: usize = 1024;
/// Of those, with one token: three quarters are left to others, and a studio's encoders are far fewer.
pub(crate) const WAITING_PER_BEARER_MAX: usize = WAITING_MAX / 4;
/// Workers asked for one POST.
pub(crate) const CREATE_ATTEMPTS_MAX: usize = 3;
/// A worker answers any other call within this.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Answers of `/whip-stats` made or being read at once: with 1000 sessions and the most metadata, 16 MiB each.
pub(crate) const STATS_MAX: usize = 8;
/// Recordings handed out at once: some 300 KiB each, and a part of the connection to their worker ([`crate::workers`]). One address and
/// one recording have a part of them ([`crate::recordings::Places`]).
pub(crate) const DOWNLOADS_MAX: usize = 32;
/// Sessions in one answer of `/whip-stats`: some 500 bytes each.
pub(crate) const STATS_SESSIONS_MAX: usize = 50_000;

/// After this a request that found no worker may be repeated: a lease's worth of beats tells of a new one.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Of a worker's reports, one a second, two are missing: it is given nothing more. With the age of the view of the workers, 0.5 s, that
/// is known everywhere before its lease is over, which is what tells that it is dead.
pub(crate) const REPORT_SILENCE: Duration = Duration::from_secs(2);
/// An unread answer blocks a worker's report stream, not this gateway's memory.
pub(crate) const REPORT_RESPONSES_MAX: usize = 16;
