//! The other side: an encoder made of the same leaf parts, and a STUN client of its own.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use aws_lc_rs::hmac;
use whipcord_peer::{
    Certificate,
    dtls::{self, Dtls},
    srtp::{Opener, Replay, Sealer},
};
use whipcord_whip::{
    Credentials,
    negotiate::Role,
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

    pub(crate) fn offer(&self) -> String {
        let Habits {
            setup, session_name, ..
        } = self.habits;
        let fingerprint: Vec<_> = self
            .certificate
            .fingerprint()
            .digest
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let transport = format!(
            "c=IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:{setup}\r\na=sendonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n",
            self.local.ufrag,
            self.local.pwd,
            fingerprint.join(":")
        );
        let mid_extension = if self.habits.mid_extension {
            format!("a=extmap:{MID_ID} urn:ietf:params:rtp-hdrext:sdes:mid\r\n")
        } else {
            String::new()
        };
        let mut sdp = format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns={session_name}\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO_PT}\r\n{transport}a=mid:0\r\n{mid_extension}a=rtpmap:{AUDIO_PT} opus/48000/2\r\n"
        );
        if self.habits.announces_ssrcs {
            sdp += &format!("a=ssrc:{AUDIO_SSRC} cname:x\r\n");
        }
        let rtx = self.habits.rtx;
        let rtx_pt = if rtx { format!(" {RTX_PT}") } else { String::new() };
        sdp += &format!(
            "m=video 9 UDP/TLS/RTP/SAVPF {VIDEO_PT}{rtx_pt}\r\n{transport}a=mid:1\r\n{mid_extension}a=rtpmap:{VIDEO_PT} H264/90000\r\n\
             a=fmtp:{VIDEO_PT} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
             a=rtcp-fb:{VIDEO_PT} nack pli\r\n"
        );
        if self.habits.nack {
            sdp += &format!("a=rtcp-fb:{VIDEO_PT} nack\r\n");
        }
        if rtx {
            sdp += &format!("a=rtpmap:{RTX_PT} rtx/90000\r\na=fmtp:{RTX_PT} apt={VIDEO_PT}\r\n");
        }
        if self.habits.transport_cc {
            sdp += &format!(
                "a=rtcp-fb:{VIDEO_PT} transport-cc\r\na=extmap:{TRANSPORT_ID} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n"
            );
        }
        if self.habits.remb {
            sdp += &format!("a=rtcp-fb:{VIDEO_PT} goog-remb\r\n");
        }
        if !self.habits.rids.is_empty() {
            sdp += &format!(
                "a=extmap:{RID_ID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\na=extmap:{REPAIRED_RID_ID} urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n"
            );
            for rid in self.habits.rids {
                sdp += &format!("a=rid:{rid} send\r\n");
            }
            sdp += &format!("a=simulcast:send {}\r\n", self.habits.rids.join(";"));
        } else if self.habits.announces_ssrcs {
            if rtx {
                sdp += &format!("a=ssrc-group:FID {VIDEO_SSRC} {RTX_SSRC}\r\na=ssrc:{RTX_SSRC} cname:x\r\n");
            }
            sdp += &format!("a=ssrc:{VIDEO_SSRC} cname:x\r\n");
        }
        if self.habits.data {
            sdp = sdp.replacen("BUNDLE 0 1", "BUNDLE 0 1 2", 1);
            sdp += "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=sctp-port:5000\r\n";
        }
        sdp
    }

    /// Reads the answer and begins with STUN.
    pub(crate) fn answered(&mut self, now: Instant, answer: &str) {
        let value = |name: &str| {
            let line = answer
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .expect("the answer has the line");
            line.trim().to_owned()
        };
        self.server = Credentials {
            ufrag: value("a=ice-ufrag:"),
            pwd: value("a=ice-pwd:"),
        };
        let digest = value("a=fingerprint:sha-256 ");
        let digest = digest
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).expect("hex"))
            .collect();
        self.server_fingerprint = Fingerprint {
            algorithm: HashAlgorithm::Sha256,
            digest,
        };
        let role = match value("a=setup:").as_str() {
            "passive" => Role::Client,
            "active" => Role::Server,
            other => panic!("setup:{other} in an answer"),
        };
        let dtls = Dtls::new(
            now,
            role,
            &self.certificate,
            std::slice::from_ref(&self.server_fingerprint),
        );
        self.dtls = Some(dtls.expect("our own certificate serves"));
        self.stun_at = Some(now);
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

    /// A sender report (RFC 3550 §6.4.1), the first SRTCP packet of this SSRC.
    pub(crate) fn sender_report(&self, ssrc: u32) -> Vec<u8> {
        let mut report = vec![0x80, 200, 0, 6];
        report.extend(ssrc.to_be_bytes());
        report.resize(28, 0);
        self.sealer.as_ref().expect("connected").seal_rtcp(&mut report, 1);
        report
    }

    /// A binding request to credentials of the server's.
    pub(crate) fn check(&mut self, server: &Credentials, nominates: bool) -> Vec<u8> {
        self.binding_request(server, nominates.then_some(0x0025))
    }

    /// The same, with an eight-byte attribute of this type.
    pub(crate) fn check_with(&mut self, server: &Credentials, odd: u16) -> Vec<u8> {
        self.binding_request(server, Some(odd))
    }

    fn binding_request(&mut self, server: &Credentials, extra: Option<u16>) -> Vec<u8> {
        self.transaction += 1;
        let mut attributes = vec![];
        let username = format!("{}:{}", server.ufrag, self.local.ufrag);
        attribute(&mut attributes, 0x0006, username.as_bytes());
        attribute(&mut attributes, 0x0024, &1_853_824_767u32.to_be_bytes());
        // ICE-CONTROLLING, unless the extra attribute says the contrary.
        if extra != Some(0x8029) {
            attribute(&mut attributes, 0x802a, &7u64.to_be_bytes());
        }
        match extra {
            Some(0x0025) => attribute(&mut attributes, 0x0025, &[]),
            Some(other) => attribute(&mut attributes, other, &7u64.to_be_bytes()),
            None => {}
        }
        let mut request = vec![0x00, 0x01];
        // The length covers MESSAGE-INTEGRITY, 24 bytes, which is not there yet (RFC 8489 §14.5).
        request.extend((attributes.len() as u16 + 24).to_be_bytes());
        request.extend(0x2112_a442u32.to_be_bytes());
        request.extend([0; 8]);
        request.extend(self.transaction.to_be_bytes());
        request.extend(attributes);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, server.pwd.as_bytes());
        let tag = hmac::sign(&key, &request);
        attribute(&mut request, 0x0008, tag.as_ref());
        request
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

    fn receive_rtcp(&mut self, now: Instant, datagram: &mut [u8]) {
        let Some(opener) = &self.opener else { return };
        let sender = u32::from_be_bytes(datagram[4..8].try_into().expect("four bytes"));
        let Ok((len, index)) = opener.open_rtcp(datagram) else {
            self.heard.unauthentic += 1;
            return;
        };
        let replay = self.rtcp_seen.entry(sender).or_default();
        if !replay.check(index.into()) {
            self.heard.replayed += 1;
            return;
        }
        replay.commit(index.into());
        self.heard.rtcp_at.push(now);
        self.read_compound(&datagram[..len]);
    }

    /// An independent reading of what the server wrote: rtc-rtcp's.
    fn read_compound(&mut self, compound: &[u8]) {
        let mut types = vec![];
        let mut rest = compound;
        while rest.len() >= 4 {
            types.push((rest[1], rest[0] & 0x1f));
            let len = (usize::from(u16::from_be_bytes([rest[2], rest[3]])) + 1) * 4;
            self.read_packet(&rest[..len]);
            rest = &rest[len..];
        }
        assert!(rest.is_empty(), "a compound ends with its last packet");
        self.heard.compounds.push(types);
    }

    fn read_packet(&mut self, packet: &[u8]) {
        match (packet[1], packet[0] & 0x1f) {
            (201, blocks) => {
                self.heard.receiver_reports += 1;
                for block in packet[8..].chunks_exact(24).take(blocks.into()) {
                    self.heard
                        .reported
                        .push(u32::from_be_bytes(block[..4].try_into().expect("four bytes")));
                }
            }
            (205, 1) => {
                let media = u32::from_be_bytes(packet[8..12].try_into().expect("four bytes"));
                let layer = media.wrapping_sub(VIDEO_SSRC) as usize;
                for pair in packet[12..].chunks_exact(4) {
                    let first = u16::from_be_bytes([pair[0], pair[1]]);
                    let mask = u16::from_be_bytes([pair[2], pair[3]]);
                    let more = (0..16)
                        .filter(|bit| mask >> bit & 1 == 1)
                        .map(|bit| first.wrapping_add(bit + 1));
                    let asked: Vec<u16> = std::iter::once(first).chain(more).collect();
                    self.answer_nack(layer, &asked);
                    self.heard.nacks.extend(asked);
                }
            }
            (206, 1 | 4) => self.heard.keyframe_requests += 1,
            _ => {}
        }
    }

    fn answer_nack(&mut self, layer: usize, asked: &[u16]) {
        if !self.habits.repairs {
            return;
        }
        for sequence in asked {
            let mut history = self.history.iter();
            let sent = history.find(|(of, sent, _)| *of == layer && *sent as u16 == *sequence);
            let Some((_, original, packet)) = sent.cloned() else {
                continue;
            };
            if self.habits.rtx {
                self.send_rtx(layer, original)
            } else {
                self.out.push_back(packet)
            }
        }
    }
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}
