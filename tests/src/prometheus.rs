//! A Prometheus of Debian's, and `promtool` beside it.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::{eventually, http, root};

/// It reads its write-ahead log in no time, as that is empty; a loaded machine gets this long.
const READY: Duration = Duration::from_secs(30);

/// Killed when dropped.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

/// What it reads, every second.
#[derive(Debug)]
pub struct Job<'a> {
    pub name: &'a str,
    pub path: &'a str,
    /// `host:port` of each.
    pub targets: Vec<String>,
}

/// One series of an answer: its labels, and its values with their times.
#[derive(Debug, Deserialize)]
pub struct Series {
    #[serde(default)]
    pub metric: Value,
    #[serde(alias = "value", deserialize_with = "one_or_more")]
    pub values: Vec<(f64, String)>,
}

/// Where `tests/install test` unpacks it, or else wherever it is found.
fn command(program: &str) -> Command {
    let unpacked = root().join(".cache/prometheus/usr/bin").join(program);
    Command::new(if unpacked.exists() { unpacked } else { program.into() })
}

/// `promtool` with these arguments.
pub fn promtool(arguments: &[&str]) -> Command {
    let mut command = command("promtool");
    command.args(arguments);
    command
}

/// Whether a program of Debian's package is there. Says aloud, past the test runner, what is not tested where it is not.
pub fn is_missing(program: &str, what: &str) -> bool {
    let found = command(program).arg("--version").output();
    let missing = !found.is_ok_and(|output| output.status.success());
    if missing {
        let line = format!("SKIPPED: {what}: there is no {program}; tests/install test installs it\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    missing
}

impl Prometheus {
    /// Reads these jobs, and evaluates these rules, each second.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(address: SocketAddr, jobs: &[Job<'_>], rules: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).expect("a file can be written");
            file
        };
        write("rules.yaml", rules);
        let config = write("prometheus.yaml", &config(jobs));
        let child = command("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("prometheus: {error}; run tests/install test"));
        let prometheus = Self {
            child,
            address,
            _folder: folder,
        };
        eventually("Prometheus is ready", READY, || {
            let ready = http::attempt("GET", &format!("http://{address}/-/ready"), &[], "");
            ready.is_ok_and(|response| response.status == 200).then_some(())
        });
        prometheus
    }

    /// What a query says at this moment.
    ///
    /// # Panics
    /// When it is no query.
    #[track_caller]
    pub fn query(&self, query: &str) -> Vec<Series> {
        self.ask(&format!("query?query={}", encoded(query)), query)
    }

    /// What it says for each second from then until now.
    ///
    /// # Panics
    /// When it is no query.
    #[track_caller]
    pub fn since(&self, begun: SystemTime, query: &str) -> Vec<Series> {
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.expect("the clock is right").as_secs_f64()
        };
        let (from, to) = (seconds(begun), seconds(SystemTime::now()));
        let path = format!(
            "query_range?query={}&start={from:.3}&end={to:.3}&step=1",
            encoded(query)
        );
        self.ask(&path, query)
    }

    #[track_caller]
    fn ask(&self, path: &str, query: &str) -> Vec<Series> {
        #[derive(Deserialize)]
        struct Answer {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            result: Vec<Series>,
        }
        let answer = self.get(path);
        let parsed: Result<Answer, _> = serde_json::from_str(&answer);
        parsed
            .unwrap_or_else(|error| panic!("{query}: {error}: {answer}"))
            .data
            .result
    }

    /// Of an alert that is pending or fires: its name, its state, and all that it says.
    pub fn alerts(&self) -> Vec<(String, String, String)> {
        #[derive(Deserialize)]
        struct Answer {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            alerts: Vec<Alert>,
        }
        #[derive(Deserialize)]
        struct Alert {
            labels: Value,
            state: String,
            annotations: Value,
        }
        let answer = self.get("alerts");
        let parsed: Answer = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("alerts: {error}: {answer}"));
        let told = |alert: Alert| {
            let name = alert.labels["alertname"].as_str().unwrap_or_default().to_owned();
            (name, alert.state, alert.annotations.to_string())
        };
        parsed.data.alerts.into_iter().map(told).collect()
    }

    fn get(&self, path: &str) -> String {
        let response = http::request("GET", &format!("http://{}/api/v1/{path}", self.address), &[], "");
        match response.header("transfer-encoding") {
            Some("chunked") => joined(&response.body),
            _ => response.body,
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(jobs: &[Job<'_>]) -> String {
    let mut text = "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n\
        rule_files: [rules.yaml]\nscrape_configs:\n"
        .to_owned();
    for Job { name, path, targets } in jobs {
        let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        text.push_str(&format!(
            "  - {{job_name: {name}, metrics_path: {path}, static_configs: [{{targets: [{}]}}]}}\n",
            targets.join(", ")
        ));
    }
    text
}

/// As it stands in a URL (RFC 3986 §2.1).
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The chunks of a body (RFC 9112 §7.1); what is in them is ASCII but for values of labels, which are of ours.
fn joined(body: &str) -> String {
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a chunk has a length");
        if length == 0 {
            break;
        }
        let (chunk, after) = after.split_at(length);
        whole.push_str(chunk);
        rest = after.trim_start_matches("\r\n");
    }
    whole
}

fn one_or_more<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<(f64, String)>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Values {
        More(Vec<(f64, String)>),
        One((f64, String)),
    }
    Ok(match Values::deserialize(deserializer)? {
        Values::More(values) => values,
        Values::One(value) => vec![value],
    })
}
