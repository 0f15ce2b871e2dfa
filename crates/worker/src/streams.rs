//! Series of single streams, for operators who ask for them (`--stream-metrics N`). Every label of theirs is one more series for whoever
//! stores them: so there are N streams' at most, the oldest, and one series says how many are left out.
//!
//! Not instruments of OpenTelemetry, which remember what ended: a text of this moment (Prometheus, text format 0.0.4).

use std::{
    fmt::{Display, Write as _},
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use tokio::{sync::Mutex, time::timeout};
use whipcord_identity::SessionId;
use whipcord_whip::Kind;

use crate::{
    control::Control,
    journal,
    snapshot::{Info, Snapshot},
};

/// Streams that may have series of their own: 9 each are 9000, a fifth of what a small Prometheus keeps.
pub(crate) const STREAMS_MAX: u32 = 1000;

/// Sessions that the shard is asked for at once: 0.1 ms of its time.
const ASKED_AT_ONCE: usize = 100;

/// A shard answers within a turn.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// Their rates are of a second, too. Each look is time that the shard does not have for media.
const FRESH: Duration = Duration::from_secs(1);

/// The series of a worker's streams. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StreamSeries {
    control: Arc<Control>,
    limit: usize,
    /// The last text, and when it was made.
    shown: Arc<Mutex<Option<(Instant, String)>>>,
}

/// A family of series: its name, and what it says.
#[derive(Clone, Copy)]
struct Family(&'static str, &'static str);

const STATE: Family = Family(
    "whipcord_stream_state",
    "1 for the state that the session's connection is in",
);
const CREATED: Family = Family(
    "whipcord_stream_created_seconds",
    "When its session was made, since 1970",
);
const BITRATE: Family = Family("whipcord_stream_bitrate_bps", "Bits of payload in the last second");
const LOST: Family = Family(
    "whipcord_stream_packets_lost",
    "Packets that did not come, so far; those that come late are taken off again",
);
const JITTER: Family = Family(
    "whipcord_stream_jitter_seconds",
    "Of the track that has most, while media comes",
);
const KEYFRAME_AGE: Family = Family(
    "whipcord_stream_keyframe_age_seconds",
    "Since the last keyframe of any layer",
);
const OMITTED: Family = Family(
    "whipcord_streams_omitted",
    "Live sessions beyond --stream-metrics, which have no series here",
);

impl StreamSeries {
    pub(crate) fn new(control: Arc<Control>, limit: u32) -> Self {
        Self {
            control,
            limit: limit.min(STREAMS_MAX) as usize,
            shown: Arc::default(),
        }
    }

    /// All of them, as text. However many ask, it is made once a second.
    pub async fn text(&self) -> String {
        let mut shown = self.shown.lock().await;
        if let Some((at, text)) = shown.as_ref()
            && at.elapsed() < FRESH
        {
            return text.clone();
        }
        let text = self.now().await;
        *shown = Some((Instant::now(), text.clone()));
        text
    }

    async fn now(&self) -> String {
        let mut infos = self.control.sessions.infos();
        let all = infos.len();
        // The same ones at each look, whoever comes and goes after them.
        infos.sort_by_key(|info| (info.created_at, info.sid));
        infos.truncate(self.limit);
        let mut shown = Vec::new();
        for infos in infos.chunks(ASKED_AT_ONCE) {
            let sids: Vec<SessionId> = infos.iter().map(|info| info.sid).collect();
            let Ok(Ok(snapshots)) = timeout(ANSWER_MAX, self.control.shard.snapshots(sids)).await else {
                break;
            };
            shown.extend(snapshots.into_iter().filter_map(|(sid, snapshot)| {
                let info = infos.iter().find(|info| info.sid == sid)?;
                Some((Arc::clone(info), snapshot))
            }));
        }
        let omitted = all.saturating_sub(shown.len());
        render(&shown, omitted)
    }
}

fn render(shown: &[(Arc<Info>, Snapshot)], omitted: usize) -> String {
    let mut text = String::new();
    family(&mut text, STATE, shown, |info, snapshot, series| {
        series.put(info, Some(("state", snapshot.journal.state.as_str())), 1);
    });
    family(&mut text, CREATED, shown, |info, _, series| {
        let since = info.created_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        series.put(info, None, format_args!("{:.3}", since.as_secs_f64()));
    });
    of_kinds(&mut text, BITRATE, shown, |snapshot, tracks| {
        let flows = snapshot.flows.iter();
        let of_kind = flows.filter(|flow| tracks.iter().any(|track| track.id == flow.track));
        Some(of_kind.map(|flow| flow.bitrate_bps).sum::<u64>().to_string())
    });
    of_kinds(&mut text, LOST, shown, |snapshot, tracks| {
        let counted = snapshot.stats.tracks.iter();
        let of_kind = counted.filter(|counted| tracks.iter().any(|track| track.id == counted.track));
        Some(of_kind.map(|counted| counted.lost).sum::<u64>().to_string())
    });
    of_kinds(&mut text, JITTER, shown, |snapshot, tracks| {
        let kind = tracks.first()?.kind;
        let of_kind = snapshot.arriving().filter(|arriving| arriving.kind == kind);
        let most = of_kind.map(|arriving| arriving.jitter).max()?;
        Some(format!("{:.6}", most.as_secs_f64()))
    });
    family(&mut text, KEYFRAME_AGE, shown, |info, snapshot, series| {
        if let Some(age) = snapshot.flows.iter().filter_map(|flow| flow.keyframe_age).min() {
            series.put(info, None, format_args!("{:.3}", age.as_secs_f64()));
        }
    });
    head(&mut text, OMITTED);
    line(&mut text, format_args!("{} {omitted}", OMITTED.0));
    text
}

/// The series of one family.
struct Series<'t> {
    text: &'t mut String,
    name: &'static str,
}

impl Series<'_> {
    fn put(&mut self, info: &Info, label: Option<(&str, &str)>, value: impl Display) {
        let (name, stream, sid) = (self.name, escaped(info.stream.as_str()), info.sid);
        let label = label.map_or_else(String::new, |(name, value)| format!(",{name}=\"{}\"", escaped(value)));
        line(
            self.text,
            format_args!("{name}{{stream=\"{stream}\",sid=\"{sid}\"{label}}} {value}"),
        );
    }
}

fn family(
    text: &mut String,
    family: Family,
    shown: &[(Arc<Info>, Snapshot)],
    each: impl Fn(&Info, &Snapshot, &mut Series<'_>),
) {
    head(text, family);
    let mut series = Series { text, name: family.0 };
    for (info, snapshot) in shown {
        each(info, snapshot, &mut series);
    }
}

/// Of audio and of video, where there are tracks of it.
fn of_kinds(
    text: &mut String,
    of: Family,
    shown: &[(Arc<Info>, Snapshot)],
    value: impl Fn(&Snapshot, &[&journal::Track]) -> Option<String>,
) {
    family(text, of, shown, |info, snapshot, series| {
        for kind in [Kind::Audio, Kind::Video] {
            let tracks: Vec<_> = snapshot
                .journal
                .tracks
                .iter()
                .filter(|track| track.kind == kind)
                .collect();
            if let Some(value) = value(snapshot, &tracks).filter(|_| !tracks.is_empty()) {
                series.put(info, Some(("kind", kind.as_str())), value);
            }
        }
    });
}

fn head(text: &mut String, Family(name, help): Family) {
    line(text, format_args!("# HELP {name} {help}"));
    line(text, format_args!("# TYPE {name} gauge"));
}

fn line(text: &mut String, line: impl Display) {
    // Memory takes what is written.
    let _ = writeln!(text, "{line}");
}

/// A label's value, as it stands between quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

#[cfg(test)]
mod tests;
