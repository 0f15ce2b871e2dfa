//! The other side: an encoder made of the same leaf parts, and a STUN client of its own.

mod rtcp;
mod sdp;
mod stun;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use whipcord_peer::{
    Certificate,
    dtls::{self, Dtls},
    srtp::{Opener, Replay, Sealer},
};
use whipcord_whip::{
    Credentials,
    offer::{Fingerprint, HashAlgorithm},
};

/// How an encoder behaves. The defaults are a plain H.264 + Opus publisher.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// `a=setup` of its offer.
    pub(crate) setup: &'static str,
    pub(crate) session_name: &'static str,
    pub(crate) announces_ssrcs: bool,
    pub(crate) nack: bool,
    pub(crate) rtx: bool,
    pub(crate) transport_cc: bool,
    pub(crate) remb: bool,
    pub(crate) mid_extension: bool,
    pub(crate) rids: &'static [&'static str],
    pub(crate) first_sequence: u16,
    pub(crate) nominates: bool,
    /// Video packets per second.
    pub(crate) rate: u32,
    /// Answers NACKs.
    pub(crate) repairs: bool,
    /// Offers data channels.
    pub(crate) data: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            setup: "actpass",
            session_name: "-",
            announces_ssrcs: true,
            nack: true,
            rtx: false,
            transport_cc: false,
            remb: false,
            mid_extension: true,
            rids: &[],
            first_sequence: 1000,
            nominates: true,
            rate: 100,
            repairs: false,
            data: false,
        }
    }
}

pub(crate) const AUDIO_SSRC: u32 = 0x0a0a_0a0a;
pub(crate) const VIDEO_SSRC: u32 = 0x0b0b_0b00;
pub(crate) const RTX_SSRC: u32 = 0x0c0c_0c00;
pub(crate) const VIDEO_PT: u8 = 96;
pub(crate) const RTX_PT: u8 = 97;
pub(crate) const AUDIO_PT: u8 = 111;
pub(crate) const MID_ID: u8 = 4;
pub(crate) const RID_ID: u8 = 10;
pub(crate) const REPAIRED_RID_ID: u8 = 11;
pub(crate) const TRANSPORT_ID: u8 = 3;

/// What came back from the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) stun_successes: usize,
    pub(crate) receiver_reports: usize,
    /// SSRCs that some receiver report named.
    pub(crate) reported: Vec<u32>,
    pub(crate) keyframe_requests: usize,
    /// Sequence numbers asked for.
    pub(crate) nacks: Vec<u16>,
    /// Every RTCP datagram, as the packet types in it.
    pub(crate) compounds: Vec<Vec<(u8, u8)>>,
    pub(crate) rtcp_at: Vec<Instant>,
    pub(crate) unauthentic: usize,
    pub(crate) replayed: usize,
    pub(crate) dtls_after_completion: usize,
    /// Application data.
    pub(crate) data: Vec<Vec<u8>>,
    pub(crate) closed: bool,
}

#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) habits: Habits,
    pub(crate) local: Credentials,
    pub(crate) server: Credentials,
    pub(crate) address: SocketAddr,
    pub(crate) certificate: Certificate,
    server_fingerprint: Fingerprint,
    dtls: Option<Dtls>,
    pub(crate) sealer: Option<Sealer>,
    opener: Option<Opener>,
    rtcp_seen: BTreeMap<u32, Replay>,
    pub(crate) heard: Heard,
    stun_at: Option<Instant>,
    pub(crate) checks: bool,
    media_at: Option<Instant>,
    pub(crate) publishing: bool,
    /// The next sequence number with its roll-overs, per layer; the first starts at `habits.first_sequence`.
    pub(crate) next: Vec<u64>,
    next_audio: u64,
    next_rtx: u64,
    next_transport: u16,
    /// Layer, sequence number and packet.
    history: VecDeque<(usize, u64, Vec<u8>)>,
    out: VecDeque<Vec<u8>>,
    transaction: u32,
}

impl Publisher {
    /// One record of application data, once DTLS is complete.
    pub(crate) fn send_data(&mut self, now: Instant, data: &[u8]) {
        let dtls = self.dtls.as_mut().expect("a handshake");
        dtls.accept_data();
        dtls.send_data(now, data);
        self.pump(now);
    }

    pub(crate) fn new(habits: Habits, address: SocketAddr, certificate: Certificate) -> Self {
        let layers = habits.rids.len().max(1);
        let first = u64::from(habits.first_sequence);
        Self {
            habits,
            local: Credentials {
                ufrag: "clnt".into(),
                pwd: "clientpasswordclientpassword".into(),
            },
            server: Credentials {
                ufrag: String::new(),
                pwd: String::new(),
            },
            address,
            certificate,
            server_fingerprint: Fingerprint {
                algorithm: HashAlgorithm::Sha256,
                digest: vec![],
            },
            dtls: None,
            sealer: None,
            opener: None,
            rtcp_seen: BTreeMap::new(),
            heard: Heard::default(),
            stun_at: None,
            checks: true,
            media_at: None,
            publishing: true,
            next: vec![first; layers],
            next_audio: 7,
            next_rtx: 3,
            next_transport: 65_000,
            history: VecDeque::new(),
            out: VecDeque::new(),
            transaction: 0,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.sealer.is_some()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let stun = self.stun_at.filter(|_| self.checks);
        let media = self.media_at.filter(|_| self.publishing);
        let dtls = self.dtls.as_ref().and_then(Dtls::poll_timeout);
        [stun, media, dtls].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.checks && self.stun_at.is_some_and(|at| now >= at) {
            let check = self.check(&self.server.clone(), self.habits.nominates);
            self.out.push_back(check);
            let confirmed = self.heard.stun_successes > 0;
            self.stun_at = Some(
                now + if confirmed {
                    Duration::from_secs(5)
                } else {
                    Duration::from_millis(50)
                },
            );
        }
        if let Some(dtls) = &mut self.dtls {
            dtls.handle_timeout(now);
        }
        self.pump(now);
        if self.publishing && self.media_at.is_some_and(|at| now >= at) {
            self.media_at = Some(now + Duration::from_secs(1) / self.habits.rate);
            for layer in 0..self.next.len() {
                self.send_video(layer, 1100);
            }
            if self.next[0].is_multiple_of(3) {
                self.send_audio();
            }
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    pub(crate) fn push(&mut self, datagram: Vec<u8>) {
        self.out.push_back(datagram);
    }

    pub(crate) fn receive(&mut self, now: Instant, datagram: &mut [u8]) {
        match datagram.first() {
            Some(1) => self.heard.stun_successes += usize::from(datagram[1] == 1),
            Some(20..=63) => {
                self.heard.dtls_after_completion += usize::from(self.is_connected());
                if let Some(dtls) = &mut self.dtls {
                    dtls.receive(now, datagram)
                        .expect("the server sends DTLS, and little of it");
                    while let Some(data) = dtls.poll_data() {
                        self.heard.data.push(data.to_vec());
                    }
                }
                self.pump(now);
            }
            Some(128..=191) => self.receive_rtcp(now, datagram),
            other => panic!("the server sent a datagram that begins with {other:?}"),
        }
    }

    /// Sends one video packet now; empty payloads are padding.
    pub(crate) fn send_video(&mut self, layer: usize, bytes: usize) -> u64 {
        let sequence = self.next[layer];
        self.next[layer] += 1;
        let mut payload = vec![0x41; bytes];
        payload
            .iter_mut()
            .zip(sequence.to_be_bytes())
            .for_each(|(byte, value)| *byte = value);
        let packet = self.rtp(
            VIDEO_SSRC + layer as u32,
            VIDEO_PT,
            sequence,
            Some(layer),
            payload,
            false,
        );
        self.history.push_back((layer, sequence, packet.clone()));
        if self.history.len() > 512 * self.next.len() {
            self.history.pop_front();
        }
        self.out.push_back(packet);
        sequence
    }

    pub(crate) fn send_audio(&mut self) {
        let sequence = self.next_audio;
        self.next_audio += 1;
        let packet = self.rtp(AUDIO_SSRC, AUDIO_PT, sequence, None, vec![0x78; 80], false);
        self.out.push_back(packet);
    }

    /// RTX of a video packet (RFC 4588), or probing if the packet never existed.
    pub(crate) fn send_rtx(&mut self, layer: usize, original: u64) {
        let sequence = self.next_rtx;
        self.next_rtx += 1;
        let mut payload = (original as u16).to_be_bytes().to_vec();
        payload.extend_from_slice(&original.to_be_bytes());
        let packet = self.rtp(RTX_SSRC + layer as u32, RTX_PT, sequence, Some(layer), payload, true);
        self.out.push_back(packet);
    }

    pub(crate) fn send_padding(&mut self, layer: usize) {
        let sequence = self.next[layer];
        self.next[layer] += 1;
        let mut packet = self.header(VIDEO_SSRC + layer as u32, VIDEO_PT, sequence, Some(layer), false);
        let header_len = packet.len();
        packet[0] |= 0x20;
        packet.extend_from_slice(&[0; 99]);
        packet.push(100);
        self.sealer
            .as_ref()
            .expect("connected")
            .seal_rtp(&mut packet, header_len, sequence);
        self.out.push_back(packet);
    }

    pub(crate) fn rtp(
        &mut self,
        ssrc: u32,
        payload_type: u8,
        sequence: u64,
        layer: Option<usize>,
        payload: Vec<u8>,
        repair: bool,
    ) -> Vec<u8> {
        let mut packet = self.header(ssrc, payload_type, sequence, layer, repair);
        let header_len = packet.len();
        packet.extend(payload);
        self.sealer
            .as_ref()
            .expect("connected")
            .seal_rtp(&mut packet, header_len, sequence);
        packet
    }

    fn header(&mut self, ssrc: u32, payload_type: u8, sequence: u64, layer: Option<usize>, repair: bool) -> Vec<u8> {
        let mut extensions = vec![];
        let mut extension = |id: u8, value: &[u8]| {
            extensions.push(id << 4 | (value.len() as u8 - 1));
            extensions.extend_from_slice(value);
        };
        if self.habits.mid_extension {
            extension(MID_ID, if payload_type == AUDIO_PT { b"0" } else { b"1" });
        }
        if let Some(rid) = layer.and_then(|layer| self.habits.rids.get(layer)) {
            extension(if repair { REPAIRED_RID_ID } else { RID_ID }, rid.as_bytes());
        }
        if self.habits.transport_cc && payload_type != AUDIO_PT {
            extension(TRANSPORT_ID, &self.next_transport.to_be_bytes());
            self.next_transport = self.next_transport.wrapping_add(1);
        }
        extensions.resize(extensions.len().next_multiple_of(4), 0);
        let has_extension = if extensions.is_empty() { 0 } else { 0x10 };
        let mut packet = vec![0x80 | has_extension, payload_type];
        packet.extend((sequence as u16).to_be_bytes());
        packet.extend((sequence as u32).wrapping_mul(3000).to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        if has_extension != 0 {
            packet.extend([0xbe, 0xde]);
            packet.extend((extensions.len() as u16 / 4).to_be_bytes());
            packet.extend(extensions);
        }
        packet
    }

    pub(crate) fn close_dtls(&mut self, now: Instant) {
        if let Some(dtls) = &mut self.dtls {
            dtls.close(now);
        }
        self.pump(now);
    }

    fn pump(&mut self, now: Instant) {
        let Some(dtls) = &mut self.dtls else { return };
        while let Some(datagram) = dtls.poll_transmit() {
            self.out.push_back(datagram);
        }
        if let Some(output) = dtls.poll_output() {
            match output {
                dtls::Output::Connected(keys) => {
                    self.sealer = Some(Sealer::new(keys.profile, &keys.local).expect("keys fit their profile"));
                    self.opener = Some(Opener::new(keys.profile, &keys.remote).expect("keys fit their profile"));
                    self.media_at = Some(now);
                }
                dtls::Output::Closed => self.heard.closed = true,
                dtls::Output::Failed(_) => self.dtls = None,
            }
        }
    }
}
