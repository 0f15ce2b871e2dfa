//! What was found, step by step: a verdict and one sentence each.

use std::fmt;

use serde::Serialize;

/// In the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    Dns,
    Tcp,
    Tls,
    Auth,
    Post,
    Stun,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// It works from here, and will not for some encoder, or on some day.
    Warn,
    Fail,
    /// Not tried, because a step before it failed.
    Skipped,
}

/// Its fields are a contract with scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub step: Step,
    pub verdict: Verdict,
    pub sentence: String,
}

impl Step {
    const ALL: [Self; 7] = [
        Self::Dns,
        Self::Tcp,
        Self::Tls,
        Self::Auth,
        Self::Post,
        Self::Stun,
        Self::End,
    ];

    pub(super) fn ok(self, sentence: impl Into<String>) -> Finding {
        self.finding(Verdict::Ok, sentence)
    }

    pub(super) fn warn(self, sentence: impl Into<String>) -> Finding {
        self.finding(Verdict::Warn, sentence)
    }

    pub(super) fn fail(self, sentence: impl Into<String>) -> Finding {
        self.finding(Verdict::Fail, sentence)
    }

    pub(super) fn finding(self, verdict: Verdict, sentence: impl Into<String>) -> Finding {
        Finding {
            step: self,
            verdict,
            sentence: sentence.into(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Post => "post",
            Self::Stun => "stun",
            Self::End => "end",
        }
    }

    /// Why nothing after it can be tried, once it has failed.
    fn blocks(self) -> &'static str {
        match self {
            Self::Dns => "the name has no address",
            Self::Tcp => "no address takes a TCP connection",
            Self::Tls => "there is no TLS connection to be trusted",
            Self::Auth => "the server does not let this client in",
            Self::Post | Self::Stun | Self::End => "there is no session with a usable answer",
        }
    }
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Skipped => "skip",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<4}  {:<4}  {}",
            self.verdict.name(),
            self.step.name(),
            self.sentence
        )
    }
}

/// The findings so far; each is told as it comes, because a step may wait for seconds.
pub(super) struct Report<F> {
    findings: Vec<Finding>,
    tell: F,
}

impl<F: FnMut(&Finding)> Report<F> {
    pub(super) fn new(tell: F) -> Self {
        Self {
            findings: Vec::new(),
            tell,
        }
    }

    /// `Err` with the step, if one of these is a failure.
    pub(super) fn add(&mut self, findings: impl IntoIterator<Item = Finding>) -> Result<(), Step> {
        let mut failed = Ok(());
        for finding in findings {
            if finding.verdict == Verdict::Fail {
                failed = Err(finding.step);
            }
            (self.tell)(&finding);
            self.findings.push(finding);
        }
        failed
    }

    /// Says of every later step why it is not tried.
    pub(super) fn skip_after(&mut self, failed: Step) {
        for step in Step::ALL.into_iter().filter(|step| *step > failed) {
            self.skip(step, failed);
        }
    }

    pub(super) fn skip(&mut self, step: Step, failed: Step) {
        let finding = step.finding(Verdict::Skipped, format!("not tried: {}", failed.blocks()));
        (self.tell)(&finding);
        self.findings.push(finding);
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_skips_what_comes_after_it_and_says_why() {
        let mut lines = Vec::new();
        let mut report = Report::new(|finding: &Finding| lines.push(finding.to_string()));
        assert_eq!(report.add([Step::Dns.ok("a.example has an address")]), Ok(()));
        assert_eq!(
            report.add([Step::Tcp.warn("one"), Step::Tcp.fail("two")]),
            Err(Step::Tcp)
        );
        report.skip_after(Step::Tcp);
        assert_eq!(report.into_findings().len(), 8);
        assert_eq!(
            lines,
            [
                "ok    dns   a.example has an address",
                "warn  tcp   one",
                "FAIL  tcp   two",
                "skip  tls   not tried: no address takes a TCP connection",
                "skip  auth  not tried: no address takes a TCP connection",
                "skip  post  not tried: no address takes a TCP connection",
                "skip  stun  not tried: no address takes a TCP connection",
                "skip  end   not tried: no address takes a TCP connection",
            ]
        );
    }

    #[test]
    fn scripts_read_lower_case_words() {
        let json = serde_json::to_string(&Step::Stun.fail("no")).unwrap();
        assert_eq!(json, r#"{"step":"stun","verdict":"fail","sentence":"no"}"#);
    }
}
