//! What the user sees on stderr while media flows. Without a terminal there is no bar, only lines.

use std::{io::Write, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use super::{connection::Sent, summary::kilobits_per_second};

pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// `duration`: when sending will stop, if that is known.
    pub(super) fn new(duration: Option<Duration>) -> Self {
        let (bar, template) = match duration {
            Some(duration) => (
                ProgressBar::new(duration.as_millis() as u64),
                "sending {wide_bar} {msg}",
            ),
            None => (ProgressBar::new_spinner(), "sending {spinner} {msg}"),
        };
        let style = ProgressStyle::with_template(template).expect("the template is a constant and well formed");
        Self {
            bar: bar.with_style(style),
        }
    }

    pub(super) fn line(&self, text: &str) {
        // Nothing is left to tell the user if stderr is gone.
        self.bar.suspend(|| writeln!(std::io::stderr(), "{text}")).ok();
    }

    /// `time`: of the frame just sent.
    pub(super) fn show(&self, time: Duration, sent: Sent) {
        let milliseconds = time.as_millis() as u64;
        let kbits = kilobits_per_second(sent.bytes, milliseconds);
        self.bar.set_position(milliseconds);
        let seconds = time.as_secs();
        self.bar
            .set_message(format!("{}:{:02}, {kbits} kbit/s", seconds / 60, seconds % 60));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
