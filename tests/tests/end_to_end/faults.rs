//! The table of failures: what a cluster's parts do while others die, stop, are cut off or are replaced. Each row is a test
//! that holds that its fault took effect, and notes what it cost.

use whipcord_tests::{cluster::Cluster, http};

mod gateway;
mod redis;
mod stopped;
mod worker;

/// A small offer, as an encoder's; nothing is sent to the answer.
pub(crate) const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\na=setup:actpass\r\n\
    a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n\
    a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n\
    a=rtpmap:96 VP8/90000\r\n";

/// A POST by the nth gateway: the status, and the path of the session's URL.
pub(crate) fn post(cluster: &Cluster, gateway: usize, stream: &str) -> (u16, String) {
    let authorization = format!("Bearer {}", cluster.token());
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/sdp"),
    ];
    let response = http::request("POST", &cluster.whip_url(gateway, stream), &headers, OFFER);
    let location = response.header("location").unwrap_or_default();
    let path = location
        .find("/whip/")
        .map_or_else(String::new, |at| location[at..].to_owned());
    (response.status, path)
}

/// DELETE by the nth gateway, without a token: the URL is what gives leave.
pub(crate) fn delete(cluster: &Cluster, gateway: usize, path: &str) -> u16 {
    http::request("DELETE", &format!("{}{path}", cluster.origin(gateway)), &[], "").status
}
