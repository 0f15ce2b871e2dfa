//! The table of failures: what a cluster's parts do while others die, stop, are cut off or are replaced. Each row is a test
//! that holds that its fault took effect, and notes what it cost.

use std::time::Duration;

use whipcord_tests::{cluster::Cluster, eventually, http};

mod asking;
mod failover;
mod gateway;
mod index;
mod keys;
mod link;
mod load;
mod redis;
mod stopped;
mod studio;
mod worker;

pub(crate) use redis::UNLIMITED;

/// A small offer, as an encoder's; nothing is sent to the answer.
pub(crate) const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\na=setup:actpass\r\n\
    a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n\
    a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n\
    a=rtpmap:96 VP8/90000\r\n";

/// What an encoder sends of itself with a POST.
pub(crate) fn headers(authorization: &str) -> [(&'static str, &str); 2] {
    [("Authorization", authorization), ("Content-Type", "application/sdp")]
}

/// A POST by the nth gateway: the status, and the path of the session's URL.
pub(crate) fn post(cluster: &Cluster, gateway: usize, stream: &str) -> (u16, String) {
    let authorization = format!("Bearer {}", cluster.token());
    let url = cluster.whip_url(gateway, stream);
    let response = http::request("POST", &url, &headers(&authorization), OFFER);
    let location = response.header("location").unwrap_or_default();
    let path = location
        .find("/whip/")
        .map_or_else(String::new, |at| location[at..].to_owned());
    (response.status, path)
}

/// Waits until the directory has been there for long enough to know what is not.
pub(crate) fn wait_until_sure(cluster: &Cluster) {
    let authorization = format!("Bearer {}", cluster.token());
    let url = format!("{}/whip/nothing/AAAAAAAAAAAAAAAAAAAAAA", cluster.origin(0));
    eventually("absence means something", Duration::from_secs(20), || {
        let status = http::request("GET", &url, &[("Authorization", &authorization)], "").status;
        (status == 404).then_some(())
    });
}

/// DELETE by the nth gateway, without a token: the URL is what gives leave.
pub(crate) fn delete(cluster: &Cluster, gateway: usize, path: &str) -> u16 {
    http::request("DELETE", &format!("{}{path}", cluster.origin(gateway)), &[], "").status
}
