//! The media half of the client: the `webrtc` crate's peer connection, with one sender per track.

mod codec;
mod sender;

use std::{
    future::pending,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use rtc::{
    ice::mdns::MulticastDnsMode,
    peer_connection::{
        configuration::interceptor_registry::{
            configure_nack, configure_rtcp_reports, configure_simulcast_extension_headers, configure_twcc_sender_only,
        },
        transport::RTCDtlsTransportState,
    },
};
use tokio::sync::watch;
use webrtc::{
    error::Error,
    media_stream::track_local::TrackLocal,
    peer_connection::{
        MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
        RTCPeerConnectionState, RTCSessionDescription, Registry, SettingEngineBuilder, StatsSelector,
        transport::DtlsTransport,
    },
};

use self::{
    codec::{codec_parameters, kind},
    sender::Sender,
};
use super::{
    feedback::{Feedback, Listener},
    source::{Frame, Layer, Track},
};

#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("the peer connection failed: {0}")]
    WebRtc(#[from] Error),
    #[error("no local address could be found or used within {} s", GATHERING_TIMEOUT.as_secs())]
    Gathering,
    #[error("the server's answer cannot be used: {0}")]
    Answer(#[source] Error),
    #[error("the server takes none of the offered codecs ({0})")]
    Rejected(String),
    #[error(
        "no connection within {} s: UDP does not get through; check the media address that the server advertises, and firewalls",
        CONNECT_TIMEOUT.as_secs()
    )]
    NotConnected,
    #[error("the server ended the session; another publisher may have taken the stream, or it was stopped")]
    Ended,
    #[error(
        "the connection was lost: nothing was heard from the server for half a minute; it is down, or UDP no longer gets through"
    )]
    Lost,
}

/// What has gone out so far. Counts packets and payload bytes handed to the connection, retransmissions not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) video_frames: u64,
    pub(super) audio_frames: u64,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

pub(super) struct Connection {
    peer: Arc<dyn PeerConnection>,
    gathering: watch::Receiver<RTCIceGatheringState>,
    state: watch::Receiver<RTCPeerConnectionState>,
    /// Once the answer is accepted: every track's, for they are bundled.
    dtls: Option<Arc<dyn DtlsTransport>>,
    feedback: Arc<Feedback>,
    senders: Vec<Sender>,
    sent: Sent,
}

/// Host candidates only: gathering asks nobody and is done at once.
const GATHERING_TIMEOUT: Duration = Duration::from_secs(5);
/// ICE and DTLS together; the same patience as the server's.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the last packets may take from the queue to the socket.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// A large keyframe leaves in bursts of 10 packets, 1 ms apart: 96 Mbit/s, which no socket buffer on the way minds.
const BURST_PACKETS: usize = 10;
const BURST_PAUSE: Duration = Duration::from_millis(1);
/// A session that was ended is noticed after this at the latest, also between the pictures of a slow source.
const DTLS_POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Connection {
    /// `server`: host and port of the HTTP endpoint; the local address that leads there is one of the candidates, even
    /// if it is loopback.
    ///
    /// `layers`: of the video, if it comes in several.
    pub(super) async fn new(
        tracks: &[Track],
        layers: &[Layer],
        server: (String, u16),
    ) -> Result<Self, ConnectionError> {
        let feedback = Arc::new(Feedback::default());
        let mut engine = MediaEngine::default();
        for track in tracks {
            engine.register_codec(codec_parameters(track), kind(track.codec()))?;
        }
        if !layers.is_empty() {
            configure_simulcast_extension_headers(&mut engine)?;
        }
        let registry = Registry::new().with(Listener::SLOT, Listener::new(Arc::clone(&feedback)));
        let registry = configure_rtcp_reports(configure_nack(registry, &mut engine));
        let registry = configure_twcc_sender_only(registry, &mut engine)?;

        // A server has no names to hide, and joining the multicast group fails on a host without a default route.
        let settings = SettingEngineBuilder::new()
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .build();

        let (gathering_tx, gathering) = watch::channel(RTCIceGatheringState::New);
        let (state_tx, state) = watch::channel(RTCPeerConnectionState::New);
        let peer = PeerConnectionBuilder::new()
            .with_media_engine(engine)
            .with_interceptor_registry(registry)
            .with_setting_engine(settings)
            .with_handler(Arc::new(Watcher {
                gathering: gathering_tx,
                state: state_tx,
            }))
            .with_udp_addrs(local_addresses(server).await)
            .build()
            .await?;
        let mut connection = Self {
            peer: Arc::new(peer),
            gathering,
            state,
            dtls: None,
            feedback,
            senders: Vec::new(),
            sent: Sent::default(),
        };
        for track in tracks {
            let layers = if track.codec().is_video() { layers } else { &[] };
            let sender = Sender::add(connection.peer.as_ref(), track, layers).await?;
            connection.senders.push(sender);
        }
        Ok(connection)
    }

    /// The offer with all its candidates: nothing is trickled.
    pub(super) async fn offer(&mut self) -> Result<String, ConnectionError> {
        let offer = self.peer.create_offer(None).await?;
        self.peer.set_local_description(offer).await?;
        let gathered = self
            .gathering
            .wait_for(|state| *state == RTCIceGatheringState::Complete);
        match tokio::time::timeout(GATHERING_TIMEOUT, gathered).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return Err(ConnectionError::Gathering),
        }
        let description = self.peer.local_description().await.ok_or(ConnectionError::Gathering)?;
        Ok(description.sdp)
    }

    pub(super) async fn accept(&mut self, answer: &str) -> Result<(), ConnectionError> {
        let description = RTCSessionDescription::answer(answer.to_owned()).map_err(ConnectionError::Answer)?;
        self.peer
            .set_remote_description(description)
            .await
            .map_err(ConnectionError::Answer)?;
        for sender in &mut self.senders {
            self.dtls = sender.accept(answer).await?;
        }
        if !self.senders.iter().any(Sender::is_taken) {
            let offered: Vec<String> = self.senders.iter().map(|sender| sender.codec().to_string()).collect();
            return Err(ConnectionError::Rejected(offered.join(", ")));
        }
        Ok(())
    }

    /// Until ICE and DTLS are done.
    pub(super) async fn connected(&mut self) -> Result<(), ConnectionError> {
        let settled = self
            .state
            .wait_for(|&state| state == RTCPeerConnectionState::Connected || is_over(state));
        match tokio::time::timeout(CONNECT_TIMEOUT, settled).await {
            Ok(Ok(state)) if *state == RTCPeerConnectionState::Connected => Ok(()),
            Ok(_) | Err(_) => Err(ConnectionError::NotConnected),
        }
    }

    /// Until the server ends the session, or the connection is gone for good; a short interruption heals by itself.
    pub(super) async fn lost(&mut self) -> ConnectionError {
        let (dtls, state) = (self.dtls.as_deref(), &mut self.state);
        tokio::select! {
            biased;
            () = closed(dtls) => ConnectionError::Ended,
            // A closed channel says the same: the driver is gone.
            _ = state.wait_for(|&state| is_over(state)) => ConnectionError::Lost,
        }
    }

    /// Whether nothing is heard from the server at the moment (RFC 7675 §5.1). That may pass.
    pub(super) fn is_interrupted(&self) -> bool {
        *self.state.borrow() == RTCPeerConnectionState::Disconnected
    }

    /// Frames of a track, or a layer, that the server did not take are dropped.
    pub(super) async fn send(&mut self, frame: &Frame) -> Result<(), ConnectionError> {
        let sender = self.senders.iter_mut().find(|sender| sender.codec() == frame.codec);
        let Some(packets) = sender.and_then(|sender| sender.packets(frame).transpose()) else {
            return Ok(());
        };
        let (track, packets) = packets?;
        for (i, packet) in packets.into_iter().enumerate() {
            if i > 0 && i.is_multiple_of(BURST_PACKETS) {
                tokio::time::sleep(BURST_PAUSE).await;
            }
            self.sent.packets += 1;
            self.sent.bytes += packet.payload.len() as u64;
            track.write_rtp(packet).await?;
        }
        if frame.codec.is_video() {
            self.sent.video_frames += 1;
        } else {
            self.sent.audio_frames += 1;
        }
        Ok(())
    }

    pub(super) fn sent(&self) -> Sent {
        self.sent
    }

    pub(super) fn take_keyframe_request(&self) -> bool {
        self.feedback.take_keyframe_request()
    }

    pub(super) fn feedback(&self) -> &Feedback {
        &self.feedback
    }

    /// Waits until what was sent has left the connection's queue, or for [`FLUSH_TIMEOUT`].
    pub(super) async fn flush(&self) {
        let flushed = async {
            loop {
                let report = self.peer.get_stats(Instant::now(), StatsSelector::None).await;
                let sent: u64 = report
                    .outbound_rtp_streams()
                    .map(|stream| stream.sent_rtp_stream_stats.packets_sent)
                    .sum();
                if sent >= self.sent.packets {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(FLUSH_TIMEOUT, flushed).await.ok();
    }

    pub(super) async fn close(&self) {
        // All that could be done for the session was done by HTTP; what remains is local.
        self.peer.close().await.ok();
    }
}

/// Hands the two states that matter from the connection's driver to whoever waits.
struct Watcher {
    gathering: watch::Sender<RTCIceGatheringState>,
    state: watch::Sender<RTCPeerConnectionState>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Watcher {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        self.gathering.send_replace(state);
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }
}

/// Until the server's close_notify has arrived. The connection's state does not tell: it stays `Connected` (W3C WebRTC §4.3.3
/// counts a closed DTLS transport as such), and the `webrtc` crate has no event for the transport's own.
async fn closed(dtls: Option<&dyn DtlsTransport>) {
    let Some(dtls) = dtls else { return pending().await };
    while !matches!(dtls.state().await, Ok(RTCDtlsTransportState::Closed)) {
        tokio::time::sleep(DTLS_POLL_INTERVAL).await;
    }
}

fn is_over(state: RTCPeerConnectionState) -> bool {
    matches!(state, RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed)
}

/// Every interface of both families, and loopback if the server is reached by it: a wildcard leaves that out.
async fn local_addresses((host, port): (String, u16)) -> Vec<SocketAddr> {
    let any = |ip: IpAddr| SocketAddr::new(ip, 0);
    let mut addresses = vec![any([0, 0, 0, 0].into()), any([0; 16].into())];
    let servers = tokio::net::lookup_host((host, port)).await.into_iter().flatten();
    for ip in servers.map(|server| server.ip()).filter(IpAddr::is_loopback) {
        addresses.push(any(ip));
    }
    addresses
}
