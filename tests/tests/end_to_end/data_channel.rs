//! Data channels beside media, from an encoder whose SCTP is driven by other code than ours: the `webrtc` crate.

use std::{sync::Arc, time::Duration};

use rtc::{
    media_stream::MediaStreamTrack,
    peer_connection::configuration::media_engine::MIME_TYPE_VP8,
    rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind},
};
use tokio::{sync::Notify, time::timeout};
use webrtc::{
    data_channel::{DataChannel, DataChannelEvent},
    media_stream::track_local::static_rtp::TrackLocalStaticRTP,
    peer_connection::{
        MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
        RTCSessionDescription,
    },
};
use whipcord_tests::{
    eventually,
    http::{self, Response},
    whipcord::{DataChannels, Whipcord},
};

/// Gathering, ICE, DTLS and SCTP together take well under a second; a loaded machine gets this long.
const SOON: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
struct Gathered(Arc<Notify>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Gathered {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.0.notify_one();
        }
    }
}

/// An encoder that offers video, which it never sends, and a channel.
struct Encoder {
    peer: Box<dyn PeerConnection>,
    channel: Arc<dyn DataChannel>,
    offer: String,
}

impl Encoder {
    async fn new() -> Self {
        let mut engine = MediaEngine::default();
        engine.register_default_codecs().unwrap();
        let gathered = Gathered::default();
        let peer = PeerConnectionBuilder::new()
            .with_media_engine(engine)
            .with_handler(Arc::new(gathered.clone()))
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .build()
            .await
            .unwrap();
        peer.add_track(Arc::new(TrackLocalStaticRTP::new(video())))
            .await
            .unwrap();
        let channel = peer.create_data_channel("captions", None).await.unwrap();
        let offer = peer.create_offer(None).await.unwrap();
        peer.set_local_description(offer).await.unwrap();
        timeout(SOON, gathered.0.notified()).await.expect("gathering ends");
        let offer = peer.local_description().await.unwrap().sdp;
        Self {
            peer: Box::new(peer),
            channel,
            offer,
        }
    }

    fn post(&self, whipcord: &Whipcord) -> Response {
        let token = format!("Bearer {}", whipcord.token());
        let headers = [("Authorization", token.as_str()), ("Content-Type", "application/sdp")];
        http::request("POST", &whipcord.whip_url("live"), &headers, &self.offer)
    }

    /// Publishes, and waits until the channel is open.
    async fn publish(&self, whipcord: &Whipcord) {
        let response = self.post(whipcord);
        assert_eq!(response.status, 201, "{}", response.body);
        let answer = RTCSessionDescription::answer(response.body).unwrap();
        self.peer.set_remote_description(answer).await.unwrap();
        while !matches!(self.event().await, DataChannelEvent::OnOpen) {}
    }

    async fn event(&self) -> DataChannelEvent {
        let event = timeout(SOON, self.channel.poll()).await;
        event
            .expect("something happens on the channel")
            .expect("the channel is there")
    }

    async fn message(&self) -> Vec<u8> {
        loop {
            if let DataChannelEvent::OnMessage(message) = self.event().await {
                return message.data.to_vec();
            }
        }
    }
}

fn video() -> MediaStreamTrack {
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(7),
            ..RTCRtpCodingParameters::default()
        },
        codec: RTCRtpCodec {
            mime_type: MIME_TYPE_VP8.to_owned(),
            clock_rate: 90_000,
            ..RTCRtpCodec::default()
        },
        ..RTCRtpEncodingParameters::default()
    };
    let name = || "video".to_owned();
    MediaStreamTrack::new(name(), name(), name(), RtpCodecKind::Video, vec![encoding])
}

/// What `/whip-stats` says of the one session, once it has so many messages.
fn counted(whipcord: &Whipcord, messages: u64) -> DataChannels {
    let session = eventually("the messages were counted", SOON, || {
        let session = whipcord.connected("live")?;
        let channels = session.data_channels.as_ref()?;
        (channels.messages_received == messages).then_some(session)
    });
    assert!(session.pinned);
    session.data_channels.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_opened_and_its_messages_are_counted() {
    let mut whipcord = Whipcord::standalone();
    let encoder = Encoder::new().await;
    encoder.publish(&whipcord).await;
    encoder.channel.send_text("eight by").await.unwrap();
    encoder.channel.send([0xAB; 1000][..].into()).await.unwrap();
    let channels = counted(&whipcord, 2);
    assert_eq!((channels.open, channels.bytes_received), (1, 1008));
    assert_eq!(whipcord.terminate().code(), Some(0));
    let log = whipcord.log();
    assert!(log.contains("data channel opened") && log.contains("captions"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_back_where_that_is_asked_for() {
    let whipcord = Whipcord::standalone_with(&["--data-channel", "echo"]);
    let encoder = Encoder::new().await;
    encoder.publish(&whipcord).await;
    let messages: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n; 1 + 1500 * usize::from(n)]).collect();
    for message in &messages {
        encoder.channel.send(message[..].into()).await.unwrap();
    }
    for message in &messages {
        assert_eq!(encoder.message().await, *message);
    }
    let bytes: usize = messages.iter().map(Vec::len).sum();
    assert_eq!(counted(&whipcord, 40).bytes_received, bytes as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_with_channels_is_refused_where_that_is_asked_for() {
    let whipcord = Whipcord::standalone_with(&["--data-channel=refuse"]);
    let response = Encoder::new().await.post(&whipcord);
    assert_eq!(response.status, 422);
    assert_eq!(response.header("Content-Type"), Some("application/problem+json"));
    assert!(
        response.body.contains("offer audio and video only"),
        "{}",
        response.body
    );
    assert!(whipcord.sessions().is_empty());
}
