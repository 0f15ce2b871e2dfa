//! What the encoder is answered.

use std::{
    fmt::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use crate::{
    Credentials, Data, Negotiated, Section,
    negotiate::{Feedback, Terms},
    offer::{Fingerprint, simulcast::Layer},
};

/// Our candidates in one answer: its size is limited (FFmpeg reads 8 KiB), and each costs an encoder connectivity checks.
pub const LOCAL_CANDIDATES_MAX: usize = 8;

/// Our port in SCTP's header: 5000, as everybody's (RFC 8841 §5.1 leaves it free).
pub const SCTP_PORT: u16 = 5000;

/// Bytes of one message of a data channel that we take: RFC 8841 §6.1 makes this the size that a client uses which does not
/// read the attribute, so none sends more. Whole messages wait in memory until their last byte.
pub const MESSAGE_BYTES_MAX: u32 = 64 * 1024;

/// Our side of the answer.
#[derive(Debug)]
pub struct Local<'a> {
    pub credentials: &'a Credentials,
    pub fingerprint: &'a Fingerprint,
    /// Host candidates, reachable from the encoder; written IPv4 first (FFmpeg uses only the first), at most
    /// [`LOCAL_CANDIDATES_MAX`].
    pub candidates: &'a [SocketAddr],
    /// `o=` session id; its highest bit is dropped (RFC 8829 §5.2.1).
    pub origin: u64,
}

/// An SDP answer, CRLF lines, < 8192 bytes: FFmpeg reads no more.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer(String);

impl fmt::Debug for Answer {
    /// The text holds our ICE password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("bytes", &self.0.len())
            .finish_non_exhaustive()
    }
}

impl Answer {
    pub fn new(negotiated: &Negotiated, local: &Local<'_>) -> Self {
        let mut text = Text::default();
        let transport = &negotiated.transport;
        text.line(format_args!("v=0"));
        text.line(format_args!(
            "o=- {} 1 IN IP4 127.0.0.1",
            local.origin & (u64::MAX >> 1)
        ));
        text.line(format_args!("s=-"));
        text.line(format_args!("t=0 0"));
        if !transport.mids.is_empty() {
            text.line(format_args!("a=group:BUNDLE {}", transport.mids.join(" ")));
        }
        if negotiated.extmap_allow_mixed {
            text.line(format_args!("a=extmap-allow-mixed"));
        }
        text.ice_session(transport);

        let candidates = local.ordered_candidates();
        let address = candidates
            .first()
            .copied()
            .unwrap_or_else(|| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 9));
        let mut media = negotiated.sections.iter().zip(&negotiated.terms);
        let count = negotiated.sections.len() + usize::from(negotiated.data.is_some());
        for index in 0..count {
            let mid = match &negotiated.data {
                Some(data) if data.index == index => {
                    text.data(data, address);
                    &data.mid
                }
                _ => {
                    let Some((section, terms)) = media.next() else { break };
                    text.section(section, terms, address);
                    &section.mid
                }
            };
            text.line(format_args!("a=setup:{}", negotiated.role.setup()));
            text.line(format_args!("a=fingerprint:{}", local.fingerprint));
            text.credentials(local.credentials);
            if *mid == transport.tagged_mid {
                text.candidates(&candidates);
            }
        }
        Self(text.0)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Local<'_> {
    /// IPv4 first, else as given.
    pub(crate) fn ordered_candidates(&self) -> Vec<SocketAddr> {
        let mut candidates = self.candidates.to_vec();
        candidates.sort_by_key(SocketAddr::is_ipv6);
        candidates.truncate(LOCAL_CANDIDATES_MAX);
        candidates
    }
}

/// SDP under construction; also a fragment's.
#[derive(Default)]
pub(crate) struct Text(pub(crate) String);

impl Text {
    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) {
        self.0.write_fmt(line).expect("writing to a string does not fail");
        self.0.push_str("\r\n");
    }

    /// The session-level lines about ICE, the same in an answer and in a restart's (RFC 9725 §4.3.3).
    pub(crate) fn ice_session(&mut self, transport: &crate::negotiate::Transport) {
        self.line(format_args!("a=ice-lite"));
        let options = transport.ice_options.to_string();
        if !options.is_empty() {
            self.line(format_args!("a=ice-options:{options}"));
        }
    }

    pub(crate) fn credentials(&mut self, credentials: &Credentials) {
        self.line(format_args!("a=ice-ufrag:{}", credentials.ufrag));
        self.line(format_args!("a=ice-pwd:{}", credentials.pwd));
    }

    /// All of them, and no more to come (RFC 9725 §4.3.2).
    pub(crate) fn candidates(&mut self, candidates: &[SocketAddr]) {
        for (index, address) in (0_u32..).zip(candidates) {
            // RFC 8445 §5.1.1.3: candidates of one type from one address share a foundation.
            let same_ip = candidates.iter().position(|other| other.ip() == address.ip());
            let foundation = same_ip.map_or(1, |position| position + 1);
            // RFC 8445 §5.1.2.1: type preference 126 (host), local preference falling, component 1.
            let priority = (126 << 24) | ((65_535 - index) << 8) | 255;
            let (ip, port) = (address.ip(), address.port());
            self.line(format_args!(
                "a=candidate:{foundation} 1 udp {priority} {ip} {port} typ host"
            ));
        }
        self.line(format_args!("a=end-of-candidates"));
    }

    /// A section without its transport.
    fn section(&mut self, section: &Section, terms: &Terms, address: SocketAddr) {
        let (pt, port) = (section.payload_type, address.port());
        let rtx = section
            .rtx_payload_type
            .map(|rtx| format!(" {rtx}"))
            .unwrap_or_default();
        self.line(format_args!("m={} {port} {} {pt}{rtx}", section.kind, terms.protocol));
        self.place(address.ip(), &section.mid);
        self.line(format_args!("a=recvonly"));
        self.line(format_args!("a=rtcp-mux"));
        // RFC 9725 §4.4.1 wants this in answers, RFC 8858 §4.3 forbids it: no more than the offer said.
        if terms.rtcp_mux_only {
            self.line(format_args!("a=rtcp-mux-only"));
        }
        if section.feedback.reduced_size {
            self.line(format_args!("a=rtcp-rsize"));
        }
        if terms.extmap_allow_mixed {
            self.line(format_args!("a=extmap-allow-mixed"));
        }
        self.formats(section, terms);
        self.feedback(pt, section.feedback);
        for (uri, extension) in &terms.extensions {
            let direction = if extension.directed { "/recvonly" } else { "" };
            self.line(format_args!("a=extmap:{}{direction} {}", extension.id, uri.as_str()));
        }
        self.simulcast(pt, &terms.streams);
    }

    /// The section of the data channels without its transport (RFC 8841 §10.3).
    fn data(&mut self, data: &Data, address: SocketAddr) {
        let (port, protocol) = (address.port(), data.protocol);
        self.line(format_args!("m=application {port} {protocol} webrtc-datachannel"));
        self.place(address.ip(), &data.mid);
        self.line(format_args!("a=sctp-port:{SCTP_PORT}"));
        self.line(format_args!("a=max-message-size:{MESSAGE_BYTES_MAX}"));
    }

    fn place(&mut self, ip: IpAddr, mid: &str) {
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        self.line(format_args!("c=IN {family} {ip}"));
        if !mid.is_empty() {
            self.line(format_args!("a=mid:{mid}"));
        }
    }

    fn formats(&mut self, section: &Section, terms: &Terms) {
        let (pt, clock_rate) = (section.payload_type, section.clock_rate);
        let channels = if section.channels > 1 {
            format!("/{}", section.channels)
        } else {
            String::new()
        };
        self.line(format_args!("a=rtpmap:{pt} {}/{clock_rate}{channels}", terms.encoding));
        if !terms.parameters.is_empty() {
            self.line(format_args!("a=fmtp:{pt} {}", terms.parameters));
        }
        if let Some(rtx) = section.rtx_payload_type {
            self.line(format_args!("a=rtpmap:{rtx} rtx/{clock_rate}"));
            self.line(format_args!("a=fmtp:{rtx} apt={pt}"));
        }
    }

    fn feedback(&mut self, pt: u8, feedback: Feedback) {
        let messages = [
            (feedback.transport_cc, "transport-cc"),
            (feedback.remb, "goog-remb"),
            (feedback.nack, "nack"),
            (feedback.pli, "nack pli"),
            (feedback.fir, "ccm fir"),
        ];
        for (_, message) in messages.iter().filter(|(agreed, _)| *agreed) {
            self.line(format_args!("a=rtcp-fb:{pt} {message}"));
        }
    }

    /// All layers, in the offer's order: OBS gives up on an answer that has fewer.
    fn simulcast(&mut self, pt: u8, streams: &[Vec<Layer>]) {
        if streams.is_empty() {
            return;
        }
        for layer in streams.iter().flatten() {
            // An answer repeats a layer's restrictions and may only narrow them (RFC 8851 §6.3).
            let pt = (!layer.payload_types.is_empty()).then(|| format!("pt={pt}"));
            let restrictions = Some(&layer.restrictions).filter(|restrictions| !restrictions.is_empty());
            let parameters = pt
                .iter()
                .chain(restrictions)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(";");
            let separator = if parameters.is_empty() { "" } else { " " };
            self.line(format_args!("a=rid:{} recv{separator}{parameters}", layer.rid));
        }
        let name = |layer: &Layer| format!("{}{}", if layer.paused { "~" } else { "" }, layer.rid);
        let alternatives = |stream: &Vec<Layer>| stream.iter().map(name).collect::<Vec<_>>().join(",");
        let list = streams.iter().map(alternatives).collect::<Vec<_>>().join(";");
        self.line(format_args!("a=simulcast:recv {list}"));
    }
}
