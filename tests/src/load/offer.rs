//! An encoder's POST: what it offers, and what it reads of the answer.

use std::net::SocketAddr;

use super::{dtls::Role, session::Failure};
use crate::http;

pub(super) const UFRAG: &str = "loadufrag";
pub(super) const PWD: &str = "loadpasswordloadpassword";
pub(super) const PAYLOAD_TYPE: u8 = 96;
pub(super) const SSRC: u32 = 0x1000_0000;

/// A session that was answered.
#[derive(Debug)]
pub(super) struct Posted {
    /// Where the worker takes media.
    pub(super) server: SocketAddr,
    /// Of the encoder.
    pub(super) role: Role,
    /// The server's user fragment and password.
    pub(super) credentials: (String, String),
    /// From `/whip/` on.
    pub(super) path: String,
    pub(super) etag: String,
}

/// One video, of a certificate with this fingerprint.
pub(super) fn offer(codec: &str, fingerprint: &str) -> String {
    [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        &format!("m=video 9 UDP/TLS/RTP/SAVPF {PAYLOAD_TYPE}"),
        "c=IN IP4 0.0.0.0",
        &format!("a=ice-ufrag:{UFRAG}"),
        &format!("a=ice-pwd:{PWD}"),
        &format!("a=fingerprint:sha-256 {fingerprint}"),
        "a=setup:actpass",
        "a=mid:0",
        "a=sendonly",
        "a=rtcp-mux",
        &format!("a=rtpmap:{PAYLOAD_TYPE} {codec}/90000"),
        &format!("a=ssrc:{SSRC} cname:load"),
        "",
    ]
    .join("\r\n")
}

/// With further headers.
pub(super) fn post(
    origin: &str,
    stream: &str,
    token: &str,
    further: &[(&str, &str)],
    offer: &str,
) -> Result<Posted, Failure> {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/sdp"),
    ];
    headers.extend(further);
    let response = http::attempt("POST", &format!("{origin}/whip/{stream}"), &headers, offer);
    let response = response.map_err(Failure::Http)?;
    if response.status != 201 {
        return Err(Failure::Refused(response.status));
    }
    let bad = |what: &str| Failure::NoConnection(format!("no {what} in {response:?}"));
    let value = |name: &str| {
        let line = response.body.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned()).ok_or_else(|| bad(name))
    };
    let candidate = value("a=candidate:")?;
    let words: Vec<&str> = candidate.split_whitespace().collect();
    let server = format!("{}:{}", words[4], words[5]).parse();
    let role = match value("a=setup:")?.as_str() {
        "active" => Role::Server,
        _ => Role::Client,
    };
    let location = response.header("location").ok_or_else(|| bad("Location"))?;
    let path = location.find("/whip/").ok_or_else(|| bad("path"))?;
    Ok(Posted {
        server: server.map_err(|_| bad("address"))?,
        role,
        credentials: (value("a=ice-ufrag:")?, value("a=ice-pwd:")?),
        path: location[path..].to_owned(),
        etag: response.header("etag").unwrap_or_default().to_owned(),
    })
}
