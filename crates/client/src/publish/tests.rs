use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{delete, post},
};
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use tokio::sync::Notify;
use webrtc::{
    media_stream::track_remote::{TrackRemote, TrackRemoteEvent},
    peer_connection::{
        MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
        RTCSessionDescription, Registry, register_default_interceptors,
    },
};

use super::*;

/// Within the first second, and after the first keyframe.
const PACKETS_BEFORE_PLI: u64 = 20;

/// A WHIP server of one session on the `webrtc` crate's answering side, which asks for a keyframe early on.
#[derive(Clone, Default)]
struct Server {
    received: Arc<Received>,
    peer: Arc<Mutex<Option<Arc<dyn PeerConnection>>>>,
}

#[derive(Default)]
struct Received {
    gathered: Notify,
    offer: Mutex<String>,
    video_packets: AtomicU64,
    audio_packets: AtomicU64,
    keyframes_after_pli: AtomicU64,
    deleted: AtomicU64,
    tokens: Mutex<Vec<String>>,
}

struct Handler(Arc<Received>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.0.gathered.notify_one();
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let received = Arc::clone(&self.0);
        tokio::spawn(async move {
            let video = track.kind().await == RtpCodecKind::Video;
            while let Some(event) = track.poll().await {
                let TrackRemoteEvent::OnRtpPacket(packet) = event else {
                    continue;
                };
                if !video {
                    received.audio_packets.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                let before = received.video_packets.fetch_add(1, Ordering::SeqCst);
                // STAP-A: parameter sets, hence a keyframe.
                if before > PACKETS_BEFORE_PLI && packet.payload[0] & 0x1f == 24 {
                    received.keyframes_after_pli.fetch_add(1, Ordering::SeqCst);
                }
                if before == PACKETS_BEFORE_PLI {
                    let pli = rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication {
                        sender_ssrc: 1,
                        media_ssrc: packet.header.ssrc,
                    };
                    track.write_rtcp(vec![Box::new(pli)]).await.unwrap();
                }
            }
        });
    }
}

impl Server {
    async fn start() -> (Self, String) {
        let server = Self::default();
        let router = Router::new()
            .route("/whip/studio", post(Self::post))
            .route("/session/secret", delete(Self::delete))
            .with_state(server.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/whip/studio", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (server, url)
    }

    async fn post(State(server): State<Self>, headers: HeaderMap, offer: String) -> Response {
        server.token(&headers);
        *server.received.offer.lock().unwrap() = offer.clone();
        let mut engine = MediaEngine::default();
        engine.register_default_codecs().unwrap();
        let registry = register_default_interceptors(Registry::new(), &mut engine).unwrap();
        let peer = PeerConnectionBuilder::new()
            .with_media_engine(engine)
            .with_interceptor_registry(registry)
            .with_handler(Arc::new(Handler(Arc::clone(&server.received))))
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .build()
            .await
            .unwrap();
        peer.set_remote_description(RTCSessionDescription::offer(offer).unwrap())
            .await
            .unwrap();
        let answer = peer.create_answer(None).await.unwrap();
        peer.set_local_description(answer).await.unwrap();
        server.received.gathered.notified().await;
        let answer = peer.local_description().await.unwrap().sdp;
        *server.peer.lock().unwrap() = Some(Arc::new(peer));
        let headers = [
            ("content-type", "application/sdp"),
            ("location", "/session/secret"),
            ("etag", "\"1\""),
        ];
        (StatusCode::CREATED, headers, answer).into_response()
    }

    async fn delete(State(server): State<Self>, headers: HeaderMap) -> StatusCode {
        server.token(&headers);
        server.received.deleted.fetch_add(1, Ordering::SeqCst);
        StatusCode::OK
    }

    fn token(&self, headers: &HeaderMap) {
        let token = headers
            .get("authorization")
            .map(|value| value.to_str().unwrap().to_owned());
        self.received.tokens.lock().unwrap().extend(token);
    }
}

fn config(url: String, duration: Option<&str>) -> Config {
    Config {
        url,
        input: Input::Test,
        token: token::Config {
            token: Some("open-sesame".to_owned().into()),
            token_file: None,
        },
        duration: duration.map(|text| parse_duration(text).unwrap()),
        repeat: false,
        simulcast: false,
        realtime: false,
        speed: 1,
        fps: None,
        surplus: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_pattern_arrives_in_real_time_and_the_session_is_ended() {
    let (server, url) = Server::start().await;
    let summary = run(config(url, Some("2s")), CancellationToken::new()).await.unwrap();

    let received = &server.received;
    assert_eq!((summary.frames_sent, summary.audio_frames_sent), (60, 100));
    let [video, audio] = [&received.video_packets, &received.audio_packets].map(|count| count.load(Ordering::SeqCst));
    // The answering side drops what arrives before its own half of the handshake is done.
    let arrived = summary.packets_sent - 20..=summary.packets_sent;
    assert!(
        arrived.contains(&(video + audio)),
        "{video} + {audio} of {} packets",
        summary.packets_sent
    );
    assert!(
        (1900..2500).contains(&summary.duration_ms),
        "paced by the frames' times: {} ms",
        summary.duration_ms
    );
    assert_eq!(summary.plis, 1);
    assert_eq!(
        received.keyframes_after_pli.load(Ordering::SeqCst),
        1,
        "the one asked for"
    );
    assert_eq!(received.deleted.load(Ordering::SeqCst), 1);
    assert_eq!(*received.tokens.lock().unwrap(), ["Bearer open-sesame"; 2]);

    let offer = received.offer.lock().unwrap().clone();
    for line in [
        "a=sendonly",
        "a=rtcp-mux",
        "packetization-mode=1",
        "nack pli",
        "transport-cc",
        "a=candidate:",
    ] {
        assert!(offer.contains(line), "{line} is missing in\n{offer}");
    }
    let json = serde_json::to_string(&summary).unwrap();
    assert!(!json.contains("secret") && !json.contains("sesame"), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn media_is_sent_some_times_as_fast() {
    let (server, url) = Server::start().await;
    let config = Config {
        speed: 4,
        ..config(url, Some("4s"))
    };
    let summary = run(config, CancellationToken::new()).await.unwrap();
    assert_eq!((summary.frames_sent, summary.audio_frames_sent), (120, 200));
    assert!((950..2000).contains(&summary.duration_ms), "{} ms", summary.duration_ms);
    assert_eq!(server.received.deleted.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn simulcast_is_offered_without_ssrcs_and_only_what_is_taken_is_sent() {
    let (server, url) = Server::start().await;
    let config = Config {
        simulcast: true,
        ..config(url, Some("500ms"))
    };
    let summary = run(config, CancellationToken::new()).await.unwrap();
    let offer = server.received.offer.lock().unwrap().clone();
    let video = &offer[offer.find("m=video").unwrap()..];
    let video = &video[..video[2..].find("m=").map_or(video.len(), |end| end + 2)];
    for line in [
        "a=rid:q send",
        "a=rid:h send",
        "a=rid:f send",
        "a=simulcast:send q;h;f",
        "sdes:mid",
        "sdes:rtp-stream-id",
    ] {
        assert!(video.contains(line), "{line} is missing in\n{video}");
    }
    assert!(!video.contains("a=ssrc"), "{video}");
    assert_eq!(summary.frames_sent, 3 * 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_session_is_ended_properly() {
    let (server, url) = Server::start().await;
    let stop = CancellationToken::new();
    let publishing = tokio::spawn(run(config(url, None), stop.clone()));
    while server.received.video_packets.load(Ordering::SeqCst) < 20 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    let summary = publishing.await.unwrap().unwrap();
    assert!(summary.packets_sent >= 20);
    assert_eq!(server.received.deleted.load(Ordering::SeqCst), 1);
}

#[test]
fn durations_have_a_unit() {
    let cases = [
        ("500ms", Some(500)),
        ("10s", Some(10_000)),
        ("2m", Some(120_000)),
        ("1h", Some(3_600_000)),
    ];
    for (text, milliseconds) in cases {
        assert_eq!(
            parse_duration(text).ok(),
            milliseconds.map(Duration::from_millis),
            "{text}"
        );
    }
    for text in [
        "",
        "10",
        "s",
        "-1s",
        "1.5s",
        "1d",
        "99999999999999999999s",
        "18446744073709551615h",
    ] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}
