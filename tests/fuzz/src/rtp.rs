//! RTP headers, their extensions, padding and retransmissions.

use whipcord_peer::rtp::{Header, is_rtcp, is_rtp_or_rtcp, payload, rtx, ssrc_of};

pub fn run(data: &[u8]) {
    assert!(!is_rtcp(data) || is_rtp_or_rtcp(data));
    let ssrc = ssrc_of(data);
    let Ok(header) = Header::parse(data) else { return };
    assert!((12..=data.len()).contains(&header.len()));
    assert!(is_rtcp(data) || ssrc == Some(header.ssrc));

    let mut bytes = 0;
    for (id, element) in header.extensions(data) {
        assert!(id != 0 && element.len() <= 255);
        assert!(header.extension(data, id).is_some());
        bytes += 1 + element.len();
    }
    assert!(bytes <= header.len());

    for end in [data.len(), data.len().saturating_sub(10), header.len(), 0, usize::MAX] {
        let Ok(payload) = payload(data, end, &header) else {
            continue;
        };
        assert!(header.len() + payload.len() <= end);
        if let Some((_, original)) = rtx::unwrap(payload) {
            assert_eq!(original.len() + 2, payload.len());
        }
    }
}
