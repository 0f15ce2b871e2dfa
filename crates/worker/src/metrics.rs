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
use tokio::sync::watch;
use whipcord_peer::{EndReason, stats};
use whipcord_udp::Counters;
use whipcord_whip::Kind;

use crate::{
    availability::Availability,
    control::Control,
    setup::{Passed, Stage},
    sinks::record::Totals,
    snapshot::{Arriving, Snapshot},
    tally::{Counts, Media},
};

/// Seconds of a stage: a round trip on the spot, a handshake over the world, and the 30 s after which it is given up.
const STAGE_BOUNDARIES: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Seconds of a call, or of a report on its way into the directory. Beats are gathered for 0.2 s; a gateway waits for 5 s at most.
const CALL_BOUNDARIES: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Seconds of jitter or of a round trip: a wire, a good path, a continent, and what no player waits for.
const PATH_BOUNDARIES: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0];

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
    jitter: Histogram<f64>,
    round_trip: Histogram<f64>,
    keyframes: Counter<u64>,
    stalls: Counter<u64>,
    nacks: Counter<u64>,
    keyframe_requests: Counter<u64>,
    dropped: Counter<u64>,
    unrecorded: Counter<u64>,
}

/// Counts a session that was made.
pub(crate) fn created() -> Counter<u64> {
    counter("whipcord.session.created", "{session}", "Sessions made")
}

/// Of gateways' calls.
pub(crate) fn calls() -> Histogram<f64> {
    let description = "A gateway's call, as long as it took to serve";
    seconds("rpc.server.call.duration", description, &CALL_BOUNDARIES)
}

/// From a report's sending to its acknowledgement.
pub(crate) fn report_lag() -> Histogram<f64> {
    seconds(
        "whipcord.directory.report.lag",
        "From a report's sending to its acknowledgement",
        &CALL_BOUNDARIES,
    )
}

impl Metrics {
    pub(crate) fn new() -> Self {
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
            jitter: seconds(
                "whipcord.media.jitter",
                "Jitter between arrivals (RFC 3550), of each track that brings media, every 5 s",
                &PATH_BOUNDARIES,
            ),
            round_trip: seconds(
                "whipcord.media.rtt",
                "From a request for a lost packet to its coming, of each track that brings media, every 5 s",
                &PATH_BOUNDARIES,
            ),
            keyframes: counter("whipcord.media.keyframes", "{frame}", "Keyframes that began to come"),
            stalls: counter(
                "whipcord.media.stalls",
                "{stall}",
                "Times that all media of a kind stopped for more than 2 s while its session lived",
            ),
            nacks: counter("whipcord.media.nack", "{message}", "Requests for lost packets"),
            keyframe_requests: counter("whipcord.media.pli", "{message}", "Requests for keyframes"),
            dropped: counter(
                "whipcord.udp.dropped",
                "{packet}",
                "Datagrams that were of no use, or not sent",
            ),
            unrecorded: counter(
                "whipcord.sink.dropped",
                "{packet}",
                "RTP packets that a sink could not take in time",
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
        for (kind, media) in [(Kind::Audio, grown.audio), (Kind::Video, grown.video)] {
            let Media {
                bytes,
                packets,
                lost,
                stalls,
            } = media;
            let kind = [KeyValue::new("kind", kind.as_str())];
            add(&self.bytes, bytes, &kind);
            add(&self.packets, packets, &kind);
            add(&self.lost, lost, &kind);
            add(&self.stalls, stalls, &kind);
        }
        add(&self.keyframes, grown.keyframes, &[]);
        add(&self.nacks, grown.nacks, &[]);
        add(&self.keyframe_requests, grown.keyframe_requests, &[]);
        add(
            &self.unrecorded,
            grown.unrecorded,
            &[KeyValue::new("sink", "recording")],
        );
        self.dropped(&grown.dropped);
    }

    /// How a session's media comes at this moment.
    pub(crate) fn sampled(&self, snapshot: &Snapshot) {
        for Arriving {
            kind,
            jitter,
            round_trip,
        } in snapshot.arriving()
        {
            let kind = [KeyValue::new("kind", kind.as_str())];
            self.jitter.record(jitter.as_secs_f64(), &kind);
            if let Some(round_trip) = round_trip {
                self.round_trip.record(round_trip.as_secs_f64(), &kind);
            }
        }
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
pub(crate) fn observe(
    control: &Arc<Control>,
    registered: watch::Receiver<bool>,
    sessions_max: u32,
    receive_buffer: usize,
) {
    availability(control, registered);
    load(control, sessions_max);
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

fn availability(control: &Arc<Control>, registered: watch::Receiver<bool>) {
    let seen = Arc::downgrade(control);
    meter()
        .u64_observable_gauge("whipcord.worker.state")
        .with_description("Whether sessions may be placed here, and if not, why: 1 for one of the states")
        .with_callback(move |gauge| {
            let Some(control) = Weak::upgrade(&seen) else { return };
            let draining = control.sessions.is_draining();
            let now = Availability::of(control.voice.may_speak(), draining, *registered.borrow());
            for state in Availability::ALL {
                let state_is = [KeyValue::new("state", state.as_str())];
                gauge.observe(u64::from(state == now), &state_is);
            }
        })
        .build();
}

fn load(control: &Arc<Control>, sessions_max: u32) {
    let seen = Arc::downgrade(control);
    meter()
        .f64_observable_gauge("whipcord.worker.load")
        .with_description("Places that sessions have, of all there are")
        .with_callback(move |gauge| {
            if let Some(control) = Weak::upgrade(&seen) {
                gauge.observe(control.sessions.count() as f64 / f64::from(sessions_max.max(1)), &[]);
            }
        })
        .build();
    let seen = Arc::downgrade(control);
    meter()
        .f64_observable_counter("whipcord.shard.busy")
        .with_unit("s")
        .with_description("Time for which a shard did not wait: a second per second is all it has")
        .with_callback(move |counter| {
            if let Some(control) = Weak::upgrade(&seen) {
                counter.observe(control.shard.busy().as_secs_f64(), &[KeyValue::new("shard", "0")]);
            }
        })
        .build();
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

fn seconds(name: &'static str, description: &'static str, boundaries: &[f64]) -> Histogram<f64> {
    meter()
        .f64_histogram(name)
        .with_unit("s")
        .with_description(description)
        .with_boundaries(boundaries.to_vec())
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
