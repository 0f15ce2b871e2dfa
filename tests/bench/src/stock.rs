//! The `webrtc` crate's own peer connection, used as its documentation shows: default codecs and interceptors, one connection per session,
//! a socket each, and one task that polls each track.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, routing::post};
use rtc_crypto::{RTCCryptoProvider, providers::AwsLcRsProvider};
use webrtc::{
    media_stream::track_remote::{TrackRemote, TrackRemoteEvent},
    peer_connection::{
        MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCCertificate,
        RTCConfigurationBuilder, RTCIceGatheringState, RTCSessionDescription, Registry, SettingEngineBuilder,
        register_default_interceptors,
    },
};

use crate::server::{Cipher, say, wait_for_end};

/// Gathering host candidates on loopback takes milliseconds.
const GATHERING: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Front {
    cipher: Cipher,
    certificate: RTCCertificate,
    crypto: Arc<dyn RTCCryptoProvider>,
    received: Arc<AtomicU64>,
    connections: Arc<Mutex<Vec<Arc<dyn PeerConnection>>>>,
}

struct Handler {
    gathered: tokio::sync::Notify,
    received: Arc<AtomicU64>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.notify_one();
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let received = Arc::clone(&self.received);
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(_) = event {
                    received.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
}

pub(crate) fn serve(cipher: Cipher) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let crypto: Arc<dyn RTCCryptoProvider> = Arc::new(AwsLcRsProvider::new());
        let certificate = RTCCertificate::generate(
            crypto.crypto(),
            rtc_crypto::SignatureScheme::EcdsaP256Sha256,
            rcgen::CertificateParams::new(vec!["bench".to_owned()])?,
        )?;
        let received = Arc::new(AtomicU64::new(0));
        let front = Front {
            cipher,
            certificate,
            crypto,
            received: Arc::clone(&received),
            connections: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        say("address", listener.local_addr()?.to_string())?;
        let app = Router::new().route("/", post(create)).with_state(front);
        tokio::spawn(async move { axum::serve(listener, app).await });
        tokio::task::spawn_blocking(wait_for_end).await?;
        say("received", received.load(Ordering::Relaxed))
    })
}

async fn create(State(front): State<Front>, offer: String) -> Result<String, String> {
    answer(front, offer).await.map_err(|error| error.to_string())
}

async fn answer(front: Front, offer: String) -> anyhow::Result<String> {
    let mut media = MediaEngine::default();
    media.register_default_codecs()?;
    let interceptors = register_default_interceptors(Registry::new(), &mut media)?;
    let settings = SettingEngineBuilder::new()
        .with_crypto_provider(Arc::clone(&front.crypto))
        .with_srtp_protection_profiles(vec![front.cipher.dtls()])
        .build();
    let handler = Arc::new(Handler {
        gathered: tokio::sync::Notify::new(),
        received: Arc::clone(&front.received),
    });
    let connection: Arc<dyn PeerConnection> = Arc::new(
        PeerConnectionBuilder::new()
            .with_configuration(
                RTCConfigurationBuilder::default()
                    .with_certificates(vec![front.certificate.clone()])
                    .build(),
            )
            .with_media_engine(media)
            .with_setting_engine(settings)
            .with_interceptor_registry(interceptors)
            .with_handler(Arc::clone(&handler) as Arc<dyn PeerConnectionEventHandler>)
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .build()
            .await?,
    );
    connection
        .set_remote_description(RTCSessionDescription::offer(offer)?)
        .await?;
    let answer = connection.create_answer(None).await?;
    connection.set_local_description(answer).await?;
    let _ = tokio::time::timeout(GATHERING, handler.gathered.notified()).await;
    let description = connection
        .local_description()
        .await
        .ok_or_else(|| anyhow::anyhow!("no local description"))?;
    front
        .connections
        .lock()
        .expect("no panic while it is held")
        .push(connection);
    Ok(description.sdp)
}
