//! `whipcord explain SID|STREAM`: what is the matter, what to do about it, and what happened.

use std::io::{self, Write as _};

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use whipcord_identity::{SessionId, StreamName};

use super::{
    Failure,
    api::{self, Api, printable},
    list::json_line,
};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Config {
    /// A session's id, or a stream: of that what lives, else what came last
    #[arg(value_name = "SID|STREAM", value_parser = subject)]
    subject: Subject,
    #[command(flatten)]
    api: api::Config,
    /// Print what the gateway answers, one line of JSON
    #[arg(long)]
    json: bool,
}

/// No stream's last segment has the shape of a session's id.
#[derive(Clone, Debug)]
enum Subject {
    Session(SessionId),
    Stream(StreamName),
}

fn subject(text: &str) -> Result<Subject, String> {
    let session = text.parse().map(Subject::Session);
    session
        .or_else(|_| text.parse().map(Subject::Stream))
        .map_err(|error: whipcord_identity::stream::Error| error.to_string())
}

pub(crate) async fn run(config: &Config, stop: CancellationToken) -> Result<(), Failure> {
    let api = Api::new(&config.api)?;
    let (kind, name) = match &config.subject {
        Subject::Session(sid) => ("sessions", sid.to_string()),
        Subject::Stream(stream) => ("streams", stream.to_string()),
    };
    let path = [kind, &name, "explain"];
    let Some(answer) = stop.run_until_cancelled(api.get(&path, &[])).await else {
        return Ok(());
    };
    let answer = answer?;
    let text = if config.json {
        json_line(&answer) + "\n"
    } else {
        told(&answer)
    };
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(Failure::Stdout)
}

/// The sentence first, the action next, and then what happened.
fn told(answer: &Value) -> String {
    let mut lines = vec![sentence(&answer["sentence"]), text(&answer["action"])];
    if answer["before_end"].is_object() {
        let before = &answer["before_end"];
        lines.push(format!("Before that: {}", sentence(&before["sentence"])));
        lines.push(text(&before["action"]));
    }
    let session = &answer["session"];
    if session.is_object() {
        lines.push(String::new());
        lines.push(heading(session));
        lines.extend(timeline(session));
    }
    let refused = answer["refused"].as_array().map_or(&[][..], Vec::as_slice);
    if !refused.is_empty() {
        lines.push(String::new());
        lines.push("refused within the last hour:".to_owned());
        lines.extend(refused.iter().map(refusal));
    }
    if answer["refused_by"] == "gateway" {
        lines.push(String::new());
        lines.push("The directory does not answer: what other gateways refused is not known.".to_owned());
    }
    let unanswered: Vec<String> = answer["unanswered"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    if !unanswered.is_empty() {
        lines.push(String::new());
        lines.push(format!("These workers did not answer: {}.", unanswered.join(", ")));
    }
    lines.join("\n") + "\n"
}

fn heading(session: &Value) -> String {
    let [sid, stream, worker] = ["sid", "stream", "worker"].map(|name| text(&session[name]));
    let lasted = session["age_seconds"].as_f64().unwrap_or_default();
    let standing = match session["ended_seconds_ago"].as_f64() {
        Some(ago) => format!("lasted {lasted:.0} s, ended {ago:.0} s ago"),
        None => format!("lives for {lasted:.0} s"),
    };
    format!("session {sid} of {stream} on {worker}, {standing}:")
}

fn timeline(session: &Value) -> Vec<String> {
    let moments = session["timeline"].as_array().into_iter().flatten();
    let mut lines: Vec<String> = moments
        .map(|moment| {
            let at = moment["seconds"].as_f64().unwrap_or_default();
            let (event, detail) = (text(&moment["event"]).replace('_', " "), text(&moment["detail"]));
            format!("  {at:>10.3} s  {event} {detail}").trim_end().to_owned()
        })
        .collect();
    if let Some(left_out @ 1..) = session["left_out"].as_u64() {
        lines.push(format!("  ({left_out} more between them are left out)"));
    }
    lines
}

fn refusal(refused: &Value) -> String {
    let ago = refused["seconds_ago"].as_f64().unwrap_or_default();
    let [method, reason] = ["method", "reason"].map(|name| text(&refused[name]));
    let stranger = if refused["proven"] == false {
        "; it proved nothing by a token"
    } else {
        ""
    };
    let sentence = text(&refused["sentence"]);
    format!("  {ago:>6.0} s ago  {method}: {sentence} ({reason}){stranger}")
}

/// With a capital and a full stop.
fn sentence(value: &Value) -> String {
    let text = text(value);
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

fn text(value: &Value) -> String {
    value.as_str().map(printable).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sentence_comes_first_and_nothing_writes_to_the_terminal_but_we() {
        let answer = json!({
            "diagnosis": "no_stun", "sentence": "no STUN check came", "action": "Open UDP.\u{1b}[2J", "before_end": null,
            "session": {
                "sid": "s", "stream": "live/cam", "worker": "w", "age_seconds": 30.2, "ended_seconds_ago": 5.0,
                "timeline": [
                    {"seconds": 0.0, "event": "created", "detail": null},
                    {"seconds": 30.1, "event": "ended", "detail": "no_stun\u{9b}"},
                ],
                "left_out": 0,
            },
            "refused": [{
                "method": "POST", "reason": "expired_token", "sentence": "its token has expired", "seconds_ago": 12.0, "proven": false,
            }],
            "refused_by": "gateway", "unanswered": ["worker-1"],
        });
        let expected = "\
No STUN check came.
Open UDP.[2J

session s of live/cam on w, lasted 30 s, ended 5 s ago:
       0.000 s  created
      30.100 s  ended no_stun

refused within the last hour:
      12 s ago  POST: its token has expired (expired_token); it proved nothing by a token

The directory does not answer: what other gateways refused is not known.

These workers did not answer: worker-1.
";
        assert_eq!(told(&answer), expected);
    }
}
