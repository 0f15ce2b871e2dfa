//! `whipcord publish`: a WHIP client (RFC 9725) that sends a file, or a test pattern, in real time or some times as fast.
//!
//! [`run`] is the whole way: open the source, offer, connect, send, end the session.

mod connection;
mod feedback;
mod packetise;
mod progress;
mod source;
mod summary;

use std::{ffi::OsString, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    connection::Connection,
    progress::Progress,
    source::{Manner, Source},
};
pub use self::{
    connection::ConnectionError,
    source::{
        Codec, FileError, FrameRate, FrameRateError, H264Error, H265Error, Input, IvfError, MatroskaError, Mp4Error,
        OggError, SelectionError,
    },
    summary::Summary,
};
use crate::{
    token,
    whip::{Endpoint, HttpError, Session},
};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// WHIP endpoint, such as http://127.0.0.1:8080/whip/studio.
    pub url: String,
    /// What to send: an MP4, MOV, WebM, Matroska, Ogg Opus, IVF or Annex B file, or `test` for a generated picture and
    /// beep. Video: H.264 or H.265 without B-frames, or VP8. Audio: Opus, mono or stereo; other audio is left out.
    #[arg(value_name = "FILE|test")]
    pub input: Input,
    #[command(flatten)]
    pub token: token::Config,
    /// Stop after this much media: 10s, 500ms, 2m, 1h. Without it, at the end of the file, or at Ctrl-C.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Send the file again and again, as one stream without end. The test picture has no end by itself.
    #[arg(long = "loop")]
    pub repeat: bool,
    /// Send the test picture in three sizes: rid q with 320x180, h with 640x360, f with 1280x720.
    #[arg(long)]
    pub simulcast: bool,
    /// Send at the media's own pace, as `ffmpeg -re` does. This is the default.
    #[arg(long, conflicts_with = "speed")]
    pub realtime: bool,
    /// Send so many times as fast, 1 to 16: a long recording is made in a short time. Its length stays the media's own.
    #[arg(long, value_name = "TIMES", default_value_t = 1, hide_default_value = true, value_parser = clap::value_parser!(u32).range(SPEEDS))]
    pub speed: u32,
    /// Pictures a second of an Annex B file, which has no times: 25, 29.97, 30000/1001. Without it, what the file says.
    #[arg(long, value_name = "RATE")]
    pub fps: Option<FrameRate>,
    /// Refused without being quoted, as `clap` would: the second word of `--token Bearer TOKEN` arrives here.
    #[arg(hide = true)]
    pub surplus: Vec<OsString>,
}

/// 16 times 6 Mbit/s is what a keyframe's bursts are limited to. More would be lost on the way, not sent faster.
const SPEEDS: std::ops::RangeInclusive<i64> = 1..=16;

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Token(#[from] token::ReadError),
    #[error("there are more arguments than URL and FILE|test; try --help")]
    Surplus,
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// After media was sent.
    #[error("{cause}")]
    CutShort {
        summary: Box<Summary>,
        #[source]
        cause: ConnectionError,
    },
    #[error("stopped before any media was sent")]
    NothingSent,
    #[error("media was sent, but the session did not end properly: {0}")]
    NotEnded(#[source] HttpError),
}

/// Publishes until the source ends, `duration` is over, or `stop` is cancelled; then ends the session. `Ok` means that the
/// connection stood, media went out, and the server confirmed the end.
pub async fn run(config: Config, stop: CancellationToken) -> Result<Summary, PublishError> {
    let token = config.token.read()?;
    if !config.surplus.is_empty() {
        return Err(PublishError::Surplus);
    }
    let endpoint = Endpoint::new(&config.url, token)?;
    let manner = Manner {
        rate: config.fps,
        repeat: config.repeat,
        simulcast: config.simulcast,
    };
    let source = Source::open(&config.input, manner)?;
    let progress = Progress::new(config.duration);
    for note in source.notes() {
        progress.line(note);
    }
    let mut connection = Connection::new(&source.tracks(), source.layers(), endpoint.address()).await?;
    let offer = connection.offer().await?;
    let started = Instant::now();
    let session = tokio::select! {
        session = endpoint.post(&offer) => session?,
        () = stop.cancelled() => return Err(PublishError::NothingSent),
    };
    progress.line(&format!("{} accepted the offer; connecting", endpoint.host()));

    // From here on the server holds a session: whatever happens, it is ended.
    let mut publication = Publication {
        connection,
        source,
        progress,
        stop,
        duration: config.duration,
        speed: config.speed,
    };
    let connected = publication.connect(&session, started).await;
    let start = Instant::now();
    let sent = match connected {
        Ok(_) => publication.send(start).await,
        Err(_) => Ok(()),
    };
    let duration = start.elapsed();
    let ended = endpoint.delete(&session).await;
    publication.connection.close().await;
    publication.progress.finish();

    let summary = publication.summary(endpoint.host(), connected?, duration);
    match sent.and_then(|()| confirmed(ended)) {
        Err(PublishError::Connection(cause)) if summary.packets_sent > 0 => Err(PublishError::CutShort {
            summary: Box::new(summary),
            cause,
        }),
        Err(error) => Err(error),
        Ok(()) if summary.packets_sent == 0 => Err(PublishError::NothingSent),
        Ok(()) => Ok(summary),
    }
}

/// What the answer to the DELETE means, where all went well until then.
fn confirmed(ended: Result<(), HttpError>) -> Result<(), PublishError> {
    match ended {
        // No such session any more: the server ended it just now.
        Err(HttpError::Refused(refusal)) if refusal.is_not_found() => Err(ConnectionError::Ended.into()),
        ended => ended.map_err(PublishError::NotEnded),
    }
}

/// One source on its way to one session.
struct Publication {
    connection: Connection,
    source: Source,
    progress: Progress,
    stop: CancellationToken,
    duration: Option<Duration>,
    speed: u32,
}

impl Publication {
    /// Returns how long it took since `started`.
    async fn connect(&mut self, session: &Session, started: Instant) -> Result<Duration, ConnectionError> {
        self.connection.accept(&session.answer).await?;
        tokio::select! {
            connected = self.connection.connected() => connected?,
            // Ended like any session that has sent nothing.
            () = self.stop.cancelled() => {}
        }
        Ok(started.elapsed())
    }

    /// Sends each frame when it is due after `start`, late ones at once.
    async fn send(&mut self, start: Instant) -> Result<(), PublishError> {
        let mut interrupted = false;
        while !self.stop.is_cancelled() {
            if self.connection.take_keyframe_request() {
                self.source.request_keyframe();
            }
            // Reads from a disk of this machine, a frame at a time: short enough for a task that does nothing else.
            let Some(frame) = self.source.next()? else { break };
            if self.duration.is_some_and(|duration| frame.time >= duration) {
                break;
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                lost = self.connection.lost() => return Err(lost.into()),
                () = tokio::time::sleep_until(start + frame.time / self.speed) => {}
            }
            if self.connection.is_interrupted() != interrupted {
                interrupted = !interrupted;
                self.progress.line(if interrupted {
                    "nothing is heard from the server; it may come back"
                } else {
                    "the server is heard again"
                });
            }
            self.connection.send(&frame).await?;
            self.progress.show(frame.time, self.connection.sent());
        }
        self.connection.flush().await;
        Ok(())
    }

    fn summary(&self, server: String, connected: Duration, duration: Duration) -> Summary {
        let sent = self.connection.sent();
        let feedback = self.connection.feedback();
        Summary {
            server,
            connected_ms: connected.as_millis() as u64,
            duration_ms: duration.as_millis() as u64,
            frames_sent: sent.video_frames,
            audio_frames_sent: sent.audio_frames,
            packets_sent: sent.packets,
            bytes_sent: sent.bytes,
            plis: feedback.keyframe_requests(),
            nacks: feedback.nacked_packets(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a time is a whole number with a unit, such as 500ms, 10s, 2m or 1h")]
struct DurationError;

fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or(DurationError)?;
    let (number, unit) = text.split_at(unit_at);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        _ => return Err(DurationError),
    };
    let number: u64 = number.parse().map_err(|_| DurationError)?;
    number
        .checked_mul(milliseconds)
        .map(Duration::from_millis)
        .ok_or(DurationError)
}

#[cfg(test)]
mod tests;
