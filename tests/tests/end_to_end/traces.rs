//! One trace through gateway and worker, at a collector.

use std::{collections::BTreeSet, process::Command, time::Duration};

use whipcord_tests::{
    cluster::Cluster,
    collector::{Collector, Span, SpanKind},
    eventually,
    load::Session,
    whipcord::binary,
};

use crate::faults::{delete, post};

/// Spans are sent every five seconds.
const SENT: Duration = Duration::from_secs(20);

/// `parent > child`, by names, for all spans of a trace.
fn tree(spans: &[Span], trace: &str) -> BTreeSet<String> {
    let of_trace = || spans.iter().filter(|span| span.trace == trace);
    let name = |id: &str| {
        let span = of_trace().find(|span| span.id == id);
        span.map_or_else(|| id.to_owned(), named)
    };
    of_trace()
        .map(|span| format!("{} > {}", name(&span.parent), named(span)))
        .collect()
}

/// Scripts of Redis all have one name.
fn named(span: &Span) -> String {
    let script = span.attributes.get("db.stored_procedure.name");
    let script = script.map_or_else(String::new, |script| format!(" {script}"));
    format!("{} {}{script}", span.service, span.name)
}

/// Spans of this name and of the worker, as soon as there is one.
fn of_worker(collector: &Collector, name: &str) -> Span {
    eventually(&format!("{name} is there"), SENT, || {
        let mut spans = collector.spans().into_iter();
        spans.find(|span| span.service == "whipcord-worker" && span.name == name)
    })
}

#[test]
fn a_session_is_followed_to_its_first_keyframe_and_its_end_is_linked_to_that() {
    let collector = Collector::start();
    let mut cluster = Cluster::new();
    cluster.set_environment("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    let published = Command::new(binary())
        .args(["publish", &cluster.whip_url(0, "studio"), "--token", cluster.token()])
        .args(["--duration", "3s", "test"])
        .output()
        .unwrap();
    assert!(published.status.success(), "{published:?}");

    // The last of them to be written.
    let session = of_worker(&collector, "whipcord.session");
    let recording = of_worker(&collector, "whipcord.recording");
    let delete = of_worker(&collector, "whipcord.worker.v1.WorkerService/DeleteSession");
    let establish = of_worker(&collector, "whipcord.session.establish");
    let call = of_worker(&collector, "whipcord.worker.v1.WorkerService/CreateSession");
    let steps = [
        ("whipcord.sdp.negotiate", &call),
        ("whipcord.session.establish", &call),
        ("whipcord.ice.connect", &establish),
        ("whipcord.dtls.handshake", &establish),
        ("whipcord.media.first_rtp", &establish),
        ("whipcord.media.first_keyframe", &establish),
    ];
    for (name, parent) in steps {
        let step = of_worker(&collector, name);
        assert_eq!((&step.parent, &step.trace), (&parent.id, &parent.trace), "{step:?}");
        assert!(!step.is_error && step.begin <= step.end, "{step:?}");
        assert!(step.begin >= call.begin, "{step:?} began before {call:?}");
    }
    let [ice, dtls, rtp, keyframe] = [
        "whipcord.ice.connect",
        "whipcord.dtls.handshake",
        "whipcord.media.first_rtp",
        "whipcord.media.first_keyframe",
    ]
    .map(|name| of_worker(&collector, name));
    assert!(ice.end <= dtls.end && dtls.end == rtp.begin && rtp.end == keyframe.begin);
    assert_eq!(rtp.end, establish.end, "what is established brings media");

    for after in [&session, &recording, &delete] {
        assert_eq!(after.links, [establish.id.as_str()], "{after:?}");
        assert!(!after.is_error && after.trace != establish.trace, "{after:?}");
    }
    assert_eq!((session.parent.as_str(), recording.parent.as_str()), ("", ""));
    assert_eq!(session.attributes["whipcord.session.end_reason"], "deleted");
    assert_eq!(session.attributes["whipcord.stream.id"], "studio");
    let number = |name: &str| session.attributes[name].parse::<f64>().unwrap();
    assert!(number("whipcord.media.packets") > 100.0 && number("whipcord.media.bytes") > 10_000.0);
    let took = Duration::from_nanos(session.end - session.begin).as_secs_f64();
    assert!((took - number("whipcord.session.seconds")).abs() < 0.001 && took >= 3.0);
}

#[test]
fn an_encoder_that_never_connects_leaves_a_way_that_failed() {
    let collector = Collector::start();
    let mut cluster = Cluster::new();
    cluster.set_environment("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    cluster.start_worker(0, &["--drain-deadline", "0"]);
    cluster.wait_until_known(0);
    let (status, path) = post(&cluster, 0, "studio");
    assert_eq!((status, delete(&cluster, 0, &path)), (201, 200));
    for name in ["whipcord.ice.connect", "whipcord.session.establish"] {
        let span = of_worker(&collector, name);
        assert!(span.is_error, "{span:?}");
        assert_eq!(span.attributes["error.type"], "deleted");
    }
    let (status, _) = post(&cluster, 0, "studio");
    assert_eq!(status, 201);
    cluster.terminate_worker(0);
    let drained = |name: &str| {
        eventually(name, SENT, || {
            let spans = collector.spans();
            let found = spans.iter().find(|span| span.name == name && span.links.len() == 1)?;
            let link = spans.iter().find(|span| span.id == found.links[0])?;
            (link.name == "whipcord.session.establish").then(|| found.clone())
        })
    };
    drained("whipcord.drain");
    assert!(drained("whipcord.session").links.len() == 1);
}

#[test]
fn a_post_is_one_trace_from_the_clients_own_span_to_the_first_keyframe() {
    let collector = Collector::start();
    let mut cluster = Cluster::new();
    cluster.set_environment("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
    cluster.start_redis();
    cluster.start_gateway(0, &[]);
    cluster.start_gateway(1, &[]);
    cluster.start_worker(0, &[]);
    cluster.wait_until_known(0);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let session = Session::connect_within(&cluster.origin(1), "studio", cluster.token(), traceparent);
    let mut session = session.unwrap();
    session.send_keyframe();
    let expected = expected();
    let mut spans = Vec::new();
    eventually("the whole trace is there", SENT, || {
        spans = collector.spans();
        (tree(&spans, trace).len() >= expected.len()).then_some(())
    });
    assert_eq!(tree(&spans, trace), expected);
    let of_trace = spans.iter().filter(|span| span.trace == trace);
    assert_eq!(of_trace.count(), expected.len(), "each of them once");
    let asked: Vec<&Span> = spans
        .iter()
        .filter(|span| span.attributes.contains_key("db.system.name"))
        .collect();
    for span in &asked {
        let attribute = |name: &str| span.attributes.get(name).map(String::as_str);
        let server = cluster.redis_address(0).ip().to_string();
        assert_eq!((span.kind, span.trace.as_str()), (SpanKind::Client, trace), "{span:?}");
        assert_eq!(attribute("db.system.name"), Some("redis"), "{span:?}");
        assert_eq!(attribute("db.operation.name"), Some("EVALSHA"), "{span:?}");
        assert_eq!(attribute("server.address"), Some(server.as_str()), "{span:?}");
        assert!(
            attribute("db.query.text").is_none() && span.attributes.len() == 4,
            "{span:?}"
        );
    }
    // The worker has been reporting all the while.
    assert_eq!(asked.len(), 2, "what belongs to no request leaves no span: {asked:?}");
    let logs = cluster.worker_log(0);
    assert!(logs.contains(&format!("trace_id={trace}")), "{logs}");
}

/// The whole tree of a session that came to its first keyframe.
fn expected() -> BTreeSet<String> {
    const POST: &str = "whipcord-gateway POST /whip/{stream}";
    const PLACEMENT: &str = "whipcord-gateway whipcord.placement";
    const CALL: &str = "whipcord-gateway whipcord.worker.v1.WorkerService/CreateSession";
    const SERVED: &str = "whipcord-worker whipcord.worker.v1.WorkerService/CreateSession";
    const ESTABLISH: &str = "whipcord-worker whipcord.session.establish";
    [
        ("b7ad6b7169203331", POST),
        (POST, "whipcord-gateway whipcord.auth"),
        (POST, PLACEMENT),
        (PLACEMENT, "whipcord-gateway EVALSHA place"),
        (PLACEMENT, CALL),
        (PLACEMENT, "whipcord-gateway EVALSHA commit"),
        (CALL, SERVED),
        (SERVED, "whipcord-worker whipcord.sdp.negotiate"),
        (SERVED, ESTABLISH),
        (ESTABLISH, "whipcord-worker whipcord.ice.connect"),
        (ESTABLISH, "whipcord-worker whipcord.dtls.handshake"),
        (ESTABLISH, "whipcord-worker whipcord.media.first_rtp"),
        (ESTABLISH, "whipcord-worker whipcord.media.first_keyframe"),
    ]
    .map(|(parent, child)| format!("{parent} > {child}"))
    .into()
}
