//! The spans of one session: its way to media within the trace of the POST, and what follows, linked to it.
//!
//! Hours of media are no open span, which would be lost with the process: the session's own is written at its end. Not here: when a
//! stage begins and ends (setup). Never in one: anything of an SDP but names of codecs.

use std::time::{Duration, SystemTime};

use opentelemetry::{
    Context, KeyValue, global,
    trace::{Span as _, SpanBuilder, Status, TraceContextExt as _, Tracer as _},
};
use whipcord_identity::{SessionId, StreamName};
use whipcord_peer::EndReason;
use whipcord_whip::{Negotiated, Refusal, refusal};

use super::{TRACER, link};
use crate::{
    journal::is_wanted,
    setup::{Passed, Stage},
    snapshot::{Info, Snapshot},
};

/// An offer's negotiation, within the call of the current context.
pub(crate) fn negotiate(negotiate: impl FnOnce() -> Result<Negotiated, Refusal>) -> Result<Negotiated, Refusal> {
    let mut span = global::tracer(TRACER).start("whipcord.sdp.negotiate");
    let outcome = negotiate();
    match &outcome {
        Ok(offer) => {
            let codecs: Vec<_> = offer.sections.iter().map(|section| section.codec.as_str()).collect();
            let layers: usize = offer.sections.iter().map(|section| section.rids.len().max(1)).sum();
            span.set_attributes([
                KeyValue::new("whipcord.sdp.codecs", codecs.join(",")),
                KeyValue::new("whipcord.sdp.sections", offer.transport.mids.len() as i64),
                KeyValue::new("whipcord.sdp.layers", layers as i64),
            ]);
        }
        // Its sentence may name what the offer has in it.
        Err(refusal) => {
            span.set_attribute(KeyValue::new("error.type", kind(refusal)));
            span.set_status(Status::error(""));
        }
    }
    span.end();
    outcome
}

/// The session's way to media, which outlives the call of the current context; [`passed`] ends it.
pub(crate) fn establish(sid: SessionId, stream: &StreamName, at: SystemTime) -> Context {
    let tracer = global::tracer(TRACER);
    let span = tracer
        .span_builder("whipcord.session.establish")
        .with_start_time(at)
        .with_attributes(names(sid, stream));
    Context::new().with_span(tracer.build_with_context(span, &Context::current()))
}

/// The shard made no session.
pub(crate) fn not_made(establish: &Context) {
    let span = establish.span();
    span.set_status(Status::error(""));
    span.end();
}

/// Writes a stage of the way, or ends the way itself.
pub(crate) fn passed(info: &Info, passed: &Passed) {
    let Passed {
        stage,
        from,
        to,
        failed,
    } = *passed;
    let end = info.created_at + to;
    let Some(name) = name(stage) else {
        let span = info.trace.span();
        if let Some(reason) = failed {
            span.set_attribute(KeyValue::new("error.type", reason.as_str()));
            span.set_status(Status::error(reason.as_str()));
        }
        span.end_with_timestamp(end);
        return;
    };
    let tracer = global::tracer(TRACER);
    let span = tracer.span_builder(name).with_start_time(info.created_at + from);
    let mut span = tracer.build_with_context(span, &info.trace);
    if let Some(reason) = failed {
        span.set_attribute(KeyValue::new("error.type", reason.as_str()));
        span.set_status(Status::error(reason.as_str()));
    }
    span.end_with_timestamp(end);
}

/// Writes the session's own span: a root, from its creation to its end.
pub(crate) fn ended(info: &Info, last: &Snapshot, reason: EndReason) {
    let attributes = names(info.sid, &info.stream).into_iter().chain([
        KeyValue::new("whipcord.session.end_reason", reason.as_str()),
        KeyValue::new("whipcord.session.seconds", last.age.as_secs_f64()),
        KeyValue::new("whipcord.media.bytes", signed(last.stats.bytes)),
        KeyValue::new("whipcord.media.packets", signed(last.stats.packets)),
        KeyValue::new("whipcord.media.packets_lost", signed(last.packets_lost())),
        KeyValue::new("whipcord.media.packets_dropped", signed(last.stats.dropped.total())),
        KeyValue::new("whipcord.recording.packets_lost", signed(last.recording_packets_lost)),
    ]);
    let span = global::tracer(TRACER)
        .span_builder("whipcord.session")
        .with_start_time(info.created_at)
        .with_attributes(attributes);
    let status = if is_wanted(reason) {
        Status::Unset
    } else {
        Status::error(reason.as_str())
    };
    write_root(span, &info.trace, status, info.created_at + last.age);
}

/// Writes the span of a recording that took so long, and whose file has so many bytes: a root.
pub(crate) fn recorded(establish: &Context, took: Duration, bytes: u64, is_failed: bool) {
    let end = SystemTime::now();
    let span = global::tracer(TRACER)
        .span_builder("whipcord.recording")
        .with_start_time(end - took)
        .with_attributes([KeyValue::new("whipcord.recording.bytes", signed(bytes))]);
    let status = if is_failed { Status::error("") } else { Status::Unset };
    write_root(span, establish, status, end);
}

fn write_root(span: SpanBuilder, establish: &Context, status: Status, end: SystemTime) {
    let tracer = global::tracer(TRACER);
    let span = span.with_links(vec![link(establish)]);
    let mut span = tracer.build_with_context(span, &Context::new());
    span.set_status(status);
    span.end_with_timestamp(end);
}

/// `None` for the way as a whole, whose span is there from the beginning.
fn name(stage: Stage) -> Option<&'static str> {
    match stage {
        Stage::Ice => Some("whipcord.ice.connect"),
        Stage::Dtls => Some("whipcord.dtls.handshake"),
        Stage::FirstRtp => Some("whipcord.media.first_rtp"),
        Stage::FirstKeyframe => Some("whipcord.media.first_keyframe"),
        Stage::Establish => None,
    }
}

fn names(sid: SessionId, stream: &StreamName) -> [KeyValue; 2] {
    [
        KeyValue::new("whipcord.session.id", sid.to_string()),
        KeyValue::new("whipcord.stream.id", stream.to_string()),
    ]
}

fn kind(refusal: &Refusal) -> &'static str {
    match refusal.kind() {
        refusal::Kind::Malformed => "malformed",
        refusal::Kind::Unacceptable => "unacceptable",
        refusal::Kind::TooLarge => "too_large",
    }
}

/// OpenTelemetry's integers have a sign.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
