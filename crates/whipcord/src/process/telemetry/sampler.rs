//! Which traces are recorded. An encoder may name the trace it belongs to; whether it is recorded, the cluster alone decides: else
//! a stranger's header would fill the operator's storage, or hide the stranger from it.

use std::{env, num::NonZeroU32, sync::Arc};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt as _, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use whipcord_gateway::FromOutside;

use super::Error;
use crate::process::random;

/// Traces begun per second and process. Encoders that start are far below it: it holds off a flood of requests, each of which begins one.
const TRACES_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
/// All encoders of a studio come back at once.
const TRACES_BURST: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");

#[derive(Debug, Clone)]
pub(super) struct Sampler {
    share: f64,
    begun: Arc<DefaultDirectRateLimiter>,
}

/// All, or the share that OTEL_TRACES_SAMPLER_ARG names.
pub(super) fn from_environment() -> Result<Sampler, Error> {
    let share = match env::var("OTEL_TRACES_SAMPLER_ARG") {
        Ok(text) if !text.is_empty() => text
            .parse()
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or(Error::Ratio(text))?,
        _ => 1.0,
    };
    Ok(Sampler::new(share))
}

impl Sampler {
    fn new(share: f64) -> Self {
        let quota = Quota::per_second(TRACES_PER_SECOND).allow_burst(TRACES_BURST);
        Self {
            share,
            begun: Arc::new(RateLimiter::direct(quota)),
        }
    }

    /// Not by the trace's id, as is usual: a stranger may have chosen it.
    fn draw(&self) -> bool {
        let drawn = f64::from(u32::from_ne_bytes(random())) / (f64::from(u32::MAX) + 1.0);
        drawn < self.share && self.begun.check().is_ok()
    }
}

impl ShouldSample for Sampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let is_strangers = parent.is_some_and(|context| context.get::<FromOutside>().is_some());
        let parent = parent.map(|context| context.span().span_context().clone());
        let is_sampled = match &parent {
            // Its own process, or a gateway, has decided.
            Some(parent) if parent.is_valid() && !(is_strangers && parent.is_remote()) => parent.is_sampled(),
            // What follows up a trace is of use where that was recorded, and nowhere else.
            _ if !links.is_empty() => links.iter().any(|link| link.span_context.is_sampled()),
            _ => self.draw(),
        };
        SamplingResult {
            decision: if is_sampled {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: Vec::new(),
            trace_state: parent.map_or_else(TraceState::default, |parent| parent.trace_state().clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags};

    use super::*;

    fn context(is_sampled: bool, is_remote: bool) -> SpanContext {
        let flags = TraceFlags::NOT_SAMPLED.with_sampled(is_sampled);
        SpanContext::new(
            TraceId::from(7),
            SpanId::from(7),
            flags,
            is_remote,
            TraceState::default(),
        )
    }

    fn is_sampled(sampler: &Sampler, parent: Option<&Context>, links: &[SpanContext]) -> bool {
        let links: Vec<Link> = links.iter().map(|link| Link::with_context(link.clone())).collect();
        let result = sampler.should_sample(parent, TraceId::from(7), "", &SpanKind::Server, &[], &links);
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn strangers_decide_nothing_and_the_cluster_all() {
        let (all, none) = (1.0, 0.0);
        let (on, off) = (true, false);
        let parent = |is_sampled, is_remote| Context::new().with_remote_span_context(context(is_sampled, is_remote));
        let stranger = |is_sampled| parent(is_sampled, true).with_value(FromOutside);
        let table = [
            // The share, the parent, and whether it is recorded.
            (all, None, on),
            (none, None, off),
            (none, Some(stranger(on)), off),
            (all, Some(stranger(off)), on),
            (none, Some(parent(on, true)), on),
            (all, Some(parent(off, true)), off),
            (none, Some(parent(on, false)), on),
            (all, Some(parent(off, false)), off),
            // Within the request that the stranger sent.
            (none, Some(parent(on, false).with_value(FromOutside)), on),
        ];
        for (share, parent, expected) in table {
            let sampler = Sampler::new(share);
            assert_eq!(
                is_sampled(&sampler, parent.as_ref(), &[]),
                expected,
                "{share} {parent:?}"
            );
        }
    }

    #[test]
    fn what_is_linked_is_recorded_with_what_it_links_to() {
        let sampler = Sampler::new(1.0);
        assert!(!is_sampled(&sampler, None, &[context(false, true)]));
        let sampler = Sampler::new(0.0);
        assert!(is_sampled(&sampler, None, &[context(true, true)]));
    }

    #[test]
    fn a_flood_begins_few_traces() {
        let sampler = Sampler::new(1.0);
        let recorded = (0..100_000).filter(|_| is_sampled(&sampler, None, &[])).count();
        assert!((1000..10_000).contains(&recorded), "{recorded}");
    }
}
