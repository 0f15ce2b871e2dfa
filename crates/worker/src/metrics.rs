//! What a worker counts. Instruments of OpenTelemetry; attributes are of closed sets, never a stream, a session or an address:
//! docs/telemetry.md lists them.
//!
//! Once per notice, and for what flows once per look of the chronicle: nothing here is called on a shard.

use std::{
    sync::{Arc, Weak, atomic::Ordering::Relaxed},
    time::Duration,
};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram, Meter},
};
use whipcord_peer::{EndReason, stats};
use whipcord_udp::Counters;

use crate::{
    control::Control,
    setup::{Passed, Stage},
    sinks::record::Totals,
    tally::{Counts, Media},
};

/// Seconds of a stage: a round trip on the spot, a handshake over the world, and the 30 s after which it is given up.
const STAGE_BOUNDARIES: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Seconds of a session: an encoder that tries again, a show, a camera that never stops.
const SESSION_BOUNDARIES: [f64; 9] = [1.0, 10.0, 60.0, 600.0, 1800.0, 3600.0, 14_400.0, 43_200.0, 86_400.0];

#[derive(Debug)]
pub(crate) struct Metrics {
    ended: Counter<u64>,
    stages: Histogram<f64>,
    lasted: Histogram<f64>,
    bytes: Counter<u64>,
    packets: Counter<u64>,
    lost: Counter<u64>,
    nacks: Counter<u64>,
    keyframe_requests: Counter<u64>,
    dropped: Counter<u64>,
}

/// Counts a session that was made.
pub(crate) fn created() -> Counter<u64> {
    counter("whipcord.session.created", "{session}", "Sessions made")
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let seconds = |name, description, boundaries: &[f64]| {
            meter()
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(boundaries.to_vec())
                .build()
        };
        Self {
            ended: counter("whipcord.session.ended", "{session}", "Sessions that ended"),
            stages: seconds(
                "whipcord.session.setup.duration",
                "A stage of a session's way to its first keyframe",
                &STAGE_BOUNDARIES,
            ),
            lasted: seconds(
                "whipcord.session.duration",
                "From a session's creation to its end",
                &SESSION_BOUNDARIES,
            ),
            bytes: counter("whipcord.media.received", "By", "RTP payload received"),
            packets: counter("whipcord.media.packets", "{packet}", "RTP packets received"),
            lost: counter(
                "whipcord.media.packets.lost",
                "{packet}",
                "RTP packets that did not come, nor again",
            ),
            nacks: counter("whipcord.media.nack", "{message}", "Requests for lost packets"),
            keyframe_requests: counter("whipcord.media.pli", "{message}", "Requests for keyframes"),
            dropped: counter(
                "whipcord.udp.dropped",
                "{packet}",
                "Datagrams that were of no use, or not sent",
            ),
        }
    }

    pub(crate) fn passed(&self, passed: &Passed) {
        let stage = match passed.stage {
            Stage::Ice => "ice",
            Stage::Dtls => "dtls",
            Stage::FirstRtp => "first_media",
            Stage::Establish => "establish",
            Stage::FirstKeyframe => "first_keyframe",
        };
        let result = if passed.failed.is_some() { "failed" } else { "ok" };
        let attributes = [KeyValue::new("stage", stage), KeyValue::new("result", result)];
        let took = passed.to.saturating_sub(passed.from);
        self.stages.record(took.as_secs_f64(), &attributes);
    }

    pub(crate) fn ended(&self, reason: EndReason, age: Duration) {
        let reason = [KeyValue::new("reason", reason.as_str())];
        self.ended.add(1, &reason);
        self.lasted.record(age.as_secs_f64(), &reason);
    }

    /// What a session grew by.
    pub(crate) fn grown(&self, grown: &Counts) {
        for (kind, Media { bytes, packets, lost }) in [("audio", grown.audio), ("video", grown.video)] {
            let kind = [KeyValue::new("kind", kind)];
            add(&self.bytes, bytes, &kind);
            add(&self.packets, packets, &kind);
            add(&self.lost, lost, &kind);
        }
        add(&self.nacks, grown.nacks, &[]);
        add(&self.keyframe_requests, grown.keyframe_requests, &[]);
        self.dropped(&grown.dropped);
    }

    pub(crate) fn dropped(&self, grown: &stats::Dropped) {
        for (reason, count) in grown.iter() {
            add(&self.dropped, count, &[KeyValue::new("reason", reason)]);
        }
    }

    /// By the socket.
    pub(crate) fn socket_dropped(&self, grown: &Counters) {
        let Counters {
            unusable,
            backlog_dropped,
            send_failed,
        } = *grown;
        for (reason, count) in [
            ("unusable", unusable),
            ("backlog", backlog_dropped),
            ("send_failed", send_failed),
        ] {
            add(&self.dropped, count, &[KeyValue::new("reason", reason)]);
        }
    }
}

/// What is looked at whenever somebody asks for it.
pub(crate) fn observe(control: &Arc<Control>, sessions_max: u32, receive_buffer: usize) {
    let seen = Arc::downgrade(control);
    meter()
        .i64_observable_up_down_counter("whipcord.session.active")
        .with_unit("{session}")
        .with_description("Sessions that live, or are being made or ended")
        .with_callback(move |active| {
            if let Some(control) = Weak::upgrade(&seen) {
                active.observe(control.sessions.count() as i64, &[]);
            }
        })
        .build();
    let seen = Arc::downgrade(control);
    gauge(
        "whipcord.worker.slots.used",
        "{session}",
        "Places that sessions have",
        move || Weak::upgrade(&seen).map(|control| control.sessions.count() as u64),
    );
    gauge(
        "whipcord.worker.slots.limit",
        "{session}",
        "Sessions accepted at once",
        move || Some(sessions_max.into()),
    );
    let described = "The receive buffer of the media port, as the kernel granted it";
    gauge("whipcord.udp.receive_buffer", "By", described, move || {
        Some(receive_buffer as u64)
    });
    let totals = [
        (
            "whipcord.recording.bytes",
            "By",
            "Written to recordings",
            (|totals| totals.bytes.load(Relaxed)) as fn(&Totals) -> u64,
        ),
        (
            "whipcord.recording.errors",
            "{error}",
            "Times that a disk began to refuse a recording, or a defect ended one",
            |totals| totals.errors.load(Relaxed),
        ),
    ];
    for (name, unit, description, of) in totals {
        let seen = Arc::downgrade(control);
        meter()
            .u64_observable_counter(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |counter| {
                let control = Weak::upgrade(&seen);
                if let Some(recorder) = control.as_ref().and_then(|control| control.recorder.as_ref()) {
                    counter.observe(of(recorder.totals()), &[]);
                }
            })
            .build();
    }
}

fn meter() -> Meter {
    global::meter("whipcord.worker")
}

fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Counter<u64> {
    meter()
        .u64_counter(name)
        .with_unit(unit)
        .with_description(description)
        .build()
}

fn gauge(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    of: impl Fn() -> Option<u64> + Send + Sync + 'static,
) {
    meter()
        .u64_observable_gauge(name)
        .with_unit(unit)
        .with_description(description)
        .with_callback(move |gauge| {
            if let Some(value) = of() {
                gauge.observe(value, &[]);
            }
        })
        .build();
}

/// A series appears with its first count.
fn add(counter: &Counter<u64>, count: u64, attributes: &[KeyValue]) {
    if count > 0 {
        counter.add(count, attributes);
    }
}
