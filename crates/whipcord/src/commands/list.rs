//! `whipcord workers`, `streams`, `sessions`: what a cluster does now, as tables for people or as JSON for programs.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use comfy_table::{Table, presets};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    api::{self, Api, printable},
};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Config {
    #[command(flatten)]
    api: api::Config,
    /// Print what the gateway answers, one line of JSON
    #[arg(long)]
    json: bool,
    /// Print it again every two seconds, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Sessions {
    #[command(flatten)]
    list: Config,
    /// Of this stream only
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// On this worker only
    #[arg(long, value_name = "WORKER")]
    worker: Option<String>,
}

/// What is listed.
#[derive(Clone, Copy)]
struct View {
    /// Below `/api`, and the answer's one field.
    name: &'static str,
    heads: &'static [&'static str],
    rows: fn(&Value) -> Vec<Vec<String>>,
}

const WORKERS: View = View {
    name: "workers",
    heads: &["WORKER", "HEALTH", "SESSIONS", "OF", "ADDRESS"],
    rows: |workers| each(workers, worker_row),
};

const STREAMS: View = View {
    name: "streams",
    heads: &["STREAM", "SESSIONS"],
    rows: |streams| {
        let streams = streams.as_object().into_iter().flatten();
        streams
            .map(|(stream, sids)| vec![stream.clone(), each(sids, text).join(" ")])
            .collect()
    },
};

const SESSIONS: View = View {
    name: "sessions",
    heads: &[
        "SESSION", "STREAM", "WORKER", "STATE", "VIDEO", "AUDIO", "KBIT/S", "LOST", "KEYFRAME",
    ],
    rows: |sessions| each(sessions, session_row),
};

const WATCH_EVERY: Duration = Duration::from_secs(2);

pub(crate) async fn workers(config: &Config, stop: CancellationToken) -> Result<(), Failure> {
    show(config, WORKERS, &[], stop).await
}

pub(crate) async fn streams(config: &Config, stop: CancellationToken) -> Result<(), Failure> {
    show(config, STREAMS, &[], stop).await
}

pub(crate) async fn sessions(config: &Sessions, stop: CancellationToken) -> Result<(), Failure> {
    let filters = [("stream", &config.stream), ("worker", &config.worker)];
    let query: Vec<(&str, &str)> = filters
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
        .collect();
    show(&config.list, SESSIONS, &query, stop).await
}

async fn show(config: &Config, view: View, query: &[(&str, &str)], stop: CancellationToken) -> Result<(), Failure> {
    let api = Api::new(&config.api)?;
    loop {
        let Some(answer) = stop.run_until_cancelled(api.get(&[view.name], query)).await else {
            return Ok(());
        };
        let answer = answer?;
        let text = if config.json {
            json_line(&answer)
        } else {
            table(view, &answer[view.name]) + &missing(&answer)
        };
        print(&text, config.watch && !config.json).map_err(Failure::Stdout)?;
        if !config.watch
            || stop
                .run_until_cancelled(tokio::time::sleep(WATCH_EVERY))
                .await
                .is_none()
        {
            return Ok(());
        }
    }
}

/// On a terminal, each takes the place of the one before.
fn print(text: &str, replaces: bool) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if replaces && stdout.is_terminal() {
        // ECMA-48: erase the display, and go to its first line.
        write!(stdout, "\x1b[2J\x1b[H")?;
    }
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// serde_json escapes the control characters that JSON wants escaped; terminals know further ones (ECMA-48, 8.3).
pub(super) fn json_line(answer: &Value) -> String {
    let mut line = String::new();
    for character in answer.to_string().chars() {
        if character.is_control() {
            line.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            line.push(character);
        }
    }
    line
}

/// A sentence each for what the list does not show.
fn missing(answer: &Value) -> String {
    let mut sentences = String::new();
    let unanswered = each(&answer["unanswered"], text);
    if !unanswered.is_empty() {
        let names = unanswered.join(", ");
        sentences.push_str(&format!("\nThese workers did not answer, or not to the end: {names}."));
    }
    if answer["cut"] == true {
        sentences.push_str("\nThere are more, which do not fit into one answer: ask for one --worker.");
    }
    sentences
}

fn table(view: View, listed: &Value) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(view.heads);
    for row in (view.rows)(listed) {
        table.add_row(row);
    }
    table.trim_fmt()
}

fn worker_row(worker: &Value) -> Vec<String> {
    ["worker", "health", "sessions", "sessions_max", "address"]
        .map(|name| text(&worker[name]))
        .to_vec()
}

fn session_row(session: &Value) -> Vec<String> {
    let track = |kind: &str| {
        let tracks = session["tracks"].as_array().into_iter().flatten();
        let mut of_kind: Vec<&Value> = tracks.filter(|track| track["kind"] == kind).collect();
        // Of several layers the largest.
        of_kind.sort_by_key(|track| track["width"].as_u64());
        of_kind.pop()
    };
    let video = track("video").map_or_else(String::new, |track| {
        let codec = text(&track["codec"]);
        match (track["width"].as_u64(), track["height"].as_u64()) {
            (Some(width), Some(height)) => {
                let rate = track["frames_per_second"].as_f64().unwrap_or_default();
                format!("{codec} {width}x{height} {rate:.0}/s")
            }
            _ => codec,
        }
    });
    let keyframe = track("video").and_then(|track| track["keyframe_age_seconds"].as_f64());
    vec![
        text(&session["sid"]),
        text(&session["stream"]),
        text(&session["worker"]),
        text(&session["connection_state"]),
        video,
        track("audio").map_or_else(String::new, |track| text(&track["codec"])),
        (session["bitrate_bps"].as_u64().unwrap_or_default() / 1000).to_string(),
        text(&session["packets_lost"]),
        keyframe.map_or_else(String::new, |age| format!("{age:.1} s ago")),
    ]
}

fn each<T>(list: &Value, row: impl Fn(&Value) -> T) -> Vec<T> {
    list.as_array().into_iter().flatten().map(row).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_worker_writes_escape_sequences_to_a_terminal() {
        let evil = json!({"worker": "\u{1b}[2Jw\u{9b}31m1\u{7f}", "unanswered": ["\u{1b}]0;w2\u{7}"]});
        let line = json_line(&evil);
        assert_eq!(worker_row(&evil)[0], "[2Jw31m1");
        assert!(!missing(&evil).trim_start().contains(char::is_control));
        assert!(!line.contains(char::is_control), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), evil);
    }

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(missing(&json!({"sessions": [], "unanswered": [], "cut": false})), "");
        let all = missing(&json!({"unanswered": ["w1", "w2"], "cut": true}));
        assert!(all.contains("w1, w2") && all.contains("--worker"), "{all}");
    }

    #[test]
    fn a_session_is_one_line() {
        let session = json!({
            "sid": "dhoa_Is_r2unJVxASz3tkA", "stream": "studio", "worker": "w1", "connection_state": "connected",
            "bitrate_bps": 1_512_345, "packets_lost": 3, "tracks": [
                {"kind": "audio", "codec": "opus"},
                {"kind": "video", "codec": "VP8", "rid": "q", "width": 320, "height": 180, "frames_per_second": 15.0},
                {"kind": "video", "codec": "VP8", "rid": "f", "width": 1280, "height": 720, "frames_per_second": 29.9, "keyframe_age_seconds": 1.25},
            ]
        });
        let row = session_row(&session).join("|");
        assert_eq!(
            row,
            "dhoa_Is_r2unJVxASz3tkA|studio|w1|connected|VP8 1280x720 30/s|opus|1512|3|1.2 s ago"
        );
        let bare = json!({"sid": "x", "stream": "s", "worker": "w", "connection_state": "new", "tracks": []});
        assert_eq!(session_row(&bare).join("|"), "x|s|w|new|||0||");
    }

    /// As a gateway answers, held by its own tests: a field of another name would leave its column empty.
    #[test]
    fn a_gateways_answers_fill_every_column() {
        let table = [
            (
                WORKERS,
                include_str!("../../../gateway/tests/conformance/answers/workers.json"),
            ),
            (
                STREAMS,
                include_str!("../../../gateway/tests/conformance/answers/streams.json"),
            ),
            (
                SESSIONS,
                include_str!("../../../gateway/tests/conformance/answers/sessions.json"),
            ),
        ];
        for (view, answer) in table {
            let answer: Value = serde_json::from_str(answer).unwrap();
            let rows = (view.rows)(&answer[view.name]);
            assert_eq!(rows.len(), 1, "{}: {rows:?}", view.name);
            assert_eq!(rows[0].len(), view.heads.len(), "{}", view.name);
            for (head, cell) in view.heads.iter().zip(&rows[0]) {
                assert!(!cell.is_empty(), "{}: nothing below {head}", view.name);
            }
        }
    }
}
