//! What is refused, and why.

use whipcord_whip::{
    Codec, Kind, Refusal,
    offer::OFFER_BYTES_MAX,
    refusal::Kind::{Malformed, TooLarge, Unacceptable},
};

use crate::{accept, edit};

const PION: &str = include_str!("../offers/pion.offer.sdp");
const SIMULCAST: &str = include_str!("../offers/obs-32.1-simulcast.offer.sdp");
const FFMPEG: &str = include_str!("../offers/ffmpeg-8.0-passive-video-only.offer.sdp");

/// The pion offer with every line `from` replaced, or deleted.
fn with(from: &str, to: &str) -> String {
    edit(PION, from, to)
}

fn refusal(offer: &str) -> Refusal {
    accept(offer.as_bytes()).expect_err(offer)
}

#[test]
fn malformed_offers() {
    for (offer, expected) in [
        (String::new(), Refusal::Empty),
        ("\r\n\r\n".to_owned(), Refusal::Empty),
        ("\n".repeat(100), Refusal::Empty),
        ("hello\r\n".to_owned(), Refusal::Line { number: 1 }),
        ("{\"sdp\": \"v=0\"}".to_owned(), Refusal::Line { number: 1 }),
        (with("v=0\r\n", ""), Refusal::NotAnOffer),
        (with("v=0\r\n", "v=1\r\n"), Refusal::NotAnOffer),
        (with("v=0\r\n", "s=0\r\n"), Refusal::NotAnOffer),
        (with("t=0 0\r\n", "t=0 0\r\ngarbage\r\n"), Refusal::Line { number: 5 }),
        (with("t=0 0", "t=0 \0"), Refusal::Line { number: 4 }),
        (with("t=0 0", "t=0 \r0"), Refusal::Line { number: 4 }),
        (
            with("m=audio 9 UDP/TLS/RTP/SAVPF 111 9 0 8", "m=audio"),
            Refusal::MediaLine { section: 1 },
        ),
        (
            with("m=audio 9 UDP/TLS/RTP/SAVPF 111 9 0 8", "m=audio 9 UDP/TLS/RTP/SAVPF"),
            Refusal::MediaLine { section: 1 },
        ),
        (
            with("SAVPF 111 9 0 8", "SAVPF 111 128"),
            Refusal::MediaLine { section: 1 },
        ),
        (
            with("SAVPF 111 9 0 8", "SAVPF 111 opus"),
            Refusal::MediaLine { section: 1 },
        ),
        (with("SAVPF 111 9 0 8", "SAVPF +111"), Refusal::MediaLine { section: 1 }),
        (with("SAVPF 111 9 0 8", "SAVPF 0111"), Refusal::MediaLine { section: 1 }),
        (with("m=audio 9 ", "m=audio 65536 "), Refusal::MediaLine { section: 1 }),
        (with("a=mid:1\r\n", "a=mid:0\r\n"), Refusal::DuplicateMid),
    ] {
        let found = refusal(&offer);
        assert_eq!((found.kind(), &found), (Malformed, &expected), "{offer}");
    }
    assert_eq!(accept(b"v=0\r\n\xFF\xFE").unwrap_err(), Refusal::NotText);
}

#[test]
fn malformed_attributes() {
    let one_digit = format!("a=fingerprint:sha-256 0{}\r\na=x:", ":00".repeat(31));
    let long = format!("a=ice-ufrag:{}", "x".repeat(257));
    for (from, to, attribute) in [
        ("a=ice-ufrag:hMuWFSvrvuStGQIF", "a=ice-ufrag:abc", "ice-ufrag"),
        ("a=ice-ufrag:hMuWFSvrvuStGQIF", &long, "ice-ufrag"),
        ("a=fingerprint:sha-256 ", &one_digit, "fingerprint"),
        ("a=ice-ufrag:hMuWFSvrvuStGQIF", "a=ice-ufrag:with-dash", "ice-ufrag"),
        (
            "a=ice-pwd:GYSaonWMIhKicfoqytgQPzptgqrxhvcl",
            "a=ice-pwd:tooShort",
            "ice-pwd",
        ),
        (
            "a=ice-pwd:GYSaonWMIhKicfoqytgQPzptgqrxhvcl",
            "a=ice-pwd:GYSaonWMIhKicfoqytgQPzptgqrxhvc=",
            "ice-pwd",
        ),
        ("a=fingerprint:sha-256 ", "a=fingerprint:sha-256 00:", "fingerprint"),
        ("a=fingerprint:sha-256 ", "a=fingerprint:sha-256 +", "fingerprint"),
        ("a=fingerprint:sha-256 ", "a=fingerprint:sha-256", "fingerprint"),
        ("a=setup:actpass", "a=setup:actpas", "setup"),
        ("a=setup:actpass", "a=setup:holdconn", "setup"),
        ("a=mid:0\r\n", "a=mid:with space\r\n", "mid"),
        ("a=mid:0\r\n", "a=mid:\r\n", "mid"),
    ] {
        let found = refusal(&with(from, to));
        let named = matches!(found, Refusal::Attribute { attribute: named, .. } if named == attribute);
        assert!(named && found.kind() == Malformed, "{from} -> {to}: {found}");
    }
}

#[test]
fn what_is_well_formed_but_not_served() {
    let section =
        |protocol: &str| PION.to_owned() + "m=application 9 " + protocol + "\r\na=mid:2\r\na=sctp-port:5000\r\n";
    let second_video = PION.replace(
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 9 0 8",
        "m=video 9 UDP/TLS/RTP/SAVPF 111 9 0 8",
    );
    for (offer, expected) in [
        (
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n".to_owned(),
            Refusal::NoMedia,
        ),
        (section("UDP/DTLS/SCTP webrtc-datachannel"), Refusal::NotBundled),
        (section("DTLS/SCTP 5000"), Refusal::DataProtocol { section: 3 }),
        (section("UDP/DTLS/SCTP 5000"), Refusal::DataProtocol { section: 3 }),
        (
            section("UDP/DTLS/SCTP webrtc-datachannel").replace("application 9", "application 0"),
            Refusal::Disabled { section: 3 },
        ),
        (with("m=audio", "m=text"), Refusal::MediaType { section: 1 }),
        (
            with("m=video 9 UDP/TLS/RTP/SAVPF", "m=video 9 RTP/AVP"),
            Refusal::Protocol { section: 2 },
        ),
        (second_video, Refusal::SecondSection { kind: Kind::Video }),
        (with("m=video 9", "m=video 0"), Refusal::Disabled { section: 2 }),
        (with("a=group:BUNDLE 0 1\r\n", ""), Refusal::NotBundled),
        (with("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"), Refusal::NotBundled),
        (with("a=group:BUNDLE 0 1", "a=group:BUNDLE 0 0"), Refusal::NotBundled),
        (with("a=group:BUNDLE 0 1", "a=group:LS 0 1"), Refusal::NotBundled),
        (with("a=mid:1\r\n", ""), Refusal::NotBundled),
        (with("a=sendrecv", "a=recvonly"), Refusal::Direction { section: 1 }),
        (with("a=sendrecv", "a=inactive"), Refusal::Direction { section: 1 }),
        (
            with("a=sendrecv\r\n", "").replace("t=0 0\r\n", "t=0 0\r\na=recvonly\r\n"),
            Refusal::Direction { section: 1 },
        ),
        (with("a=rtcp-mux\r\n", ""), Refusal::NoRtcpMux { section: 1 }),
        (with("a=ice-ufrag:hMuWFSvrvuStGQIF\r\n", ""), Refusal::NoCredentials),
        (
            with("a=ice-pwd:GYSaonWMIhKicfoqytgQPzptgqrxhvcl\r\n", ""),
            Refusal::NoCredentials,
        ),
        (with("a=fingerprint:sha-256", "a=print:sha-256"), Refusal::NoFingerprint),
        (
            with("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
            Refusal::WeakFingerprint,
        ),
    ] {
        let found = refusal(&offer);
        assert_eq!((found.kind(), &found), (Unacceptable, &expected), "{offer}");
    }
}

#[test]
fn no_codec_in_common() {
    let video = vec![Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H265];
    for (offer, accepted) in [
        (with("opus/48000/2", "opus/48000"), vec![Codec::Opus]),
        // With RTCP on the same port, 70 would be taken for RTCP.
        (
            with("111 opus/48000/2", "70 opus/48000/2").replace("SAVPF 111", "SAVPF 70"),
            vec![Codec::Opus],
        ),
        (edit(FFMPEG, "H264/90000", "H263-1998/90000"), video.clone()),
        (edit(FFMPEG, "H264/90000", "H264/48000"), video.clone()),
        (
            edit(FFMPEG, "packetization-mode=1", "packetization-mode=2"),
            video.clone(),
        ),
        // Decoding order numbers in the packets.
        (
            edit(FFMPEG, "H264/90000", "H265/90000").replace("packetization-mode=1", "sprop-max-don-diff=1"),
            video.clone(),
        ),
        (edit(FFMPEG, "a=rtpmap:106", "a=rtpmap:107"), video),
    ] {
        let found = refusal(&offer);
        assert_eq!(
            (found.kind(), found),
            (Unacceptable, Refusal::NoCodec { section: 1, accepted }),
            "{offer}"
        );
    }
}

#[test]
fn bundle_only_needs_a_bundle() {
    let alone = edit(FFMPEG, "m=video 9", "m=video 0").replace("a=sendonly", "a=sendonly\r\na=bundle-only");
    assert_eq!(refusal(&alone), Refusal::NotBundled);
    assert_eq!(
        refusal(&edit(&alone, "a=group:BUNDLE 0 1\r\n", "")),
        Refusal::NotBundled
    );
}

#[test]
fn what_is_over_a_limit() {
    let fill = |bytes: usize| PION.to_owned() + "a=x:" + &"y".repeat(bytes - PION.len() - 4);
    assert!(accept(fill(OFFER_BYTES_MAX).as_bytes()).is_ok());
    let found = refusal(&fill(OFFER_BYTES_MAX + 1));
    assert_eq!((found.kind(), found.reason()), (TooLarge, "too_large"));
    assert_eq!(refusal(&"x".repeat(1_000_000)).kind(), TooLarge);

    let repeated = |line: &str, times: usize| PION.to_owned() + &format!("{line}\r\n").repeat(times);
    let lines = PION.lines().count();
    assert!(accept(repeated("a=x", 2000 - lines).as_bytes()).is_ok());
    assert_eq!(
        refusal(&repeated("a=x", 2001 - lines)),
        Refusal::TooMany {
            what: "lines",
            most: 2000
        }
    );

    let numbered = |prefix: &str, count: usize| {
        (0..count)
            .map(|n| format!("{prefix}{n} cname:x\r\n"))
            .collect::<String>()
    };
    assert!(accept((PION.to_owned() + &numbered("a=ssrc:", 31)).as_bytes()).is_ok());
    let many = Refusal::TooMany {
        what: "SSRCs in a media section",
        most: 32,
    };
    assert_eq!(refusal(&(PION.to_owned() + &numbered("a=ssrc:", 32))), many);

    let rids = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("r{n}")).collect();
        let lines: String = names.iter().map(|name| format!("a=rid:{name} send\r\n")).collect();
        edit(
            SIMULCAST,
            "a=simulcast:send 0;1;2\r\n",
            &format!("{lines}a=simulcast:send {}\r\n", names.join(";")),
        )
    };
    assert_eq!(accept(rids(8).as_bytes()).unwrap().sections[1].rids.len(), 8);
    assert_eq!(
        refusal(&rids(9)),
        Refusal::TooMany {
            what: "simulcast rids in a media section",
            most: 8
        }
    );

    let sections = "v=0\r\n".to_owned() + &"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".repeat(17);
    assert_eq!(
        refusal(&sections),
        Refusal::TooMany {
            what: "media sections",
            most: 16
        }
    );

    let hash = |n: usize| format!("a=fingerprint:sha-256 {:02X}{}\r\n", n, ":00".repeat(31));
    let prints = |count: usize| {
        with(
            "t=0 0\r\n",
            &("t=0 0\r\n".to_owned() + &(0..count).map(hash).collect::<String>()),
        )
    };
    assert!(accept(prints(15).as_bytes()).is_ok());
    assert_eq!(
        refusal(&prints(16)),
        Refusal::TooMany {
            what: "fingerprints",
            most: 16
        }
    );
}

#[test]
fn a_refusal_is_a_sentence_and_a_word() {
    let no_codec = Refusal::NoCodec {
        section: 2,
        accepted: vec![Codec::H264, Codec::Vp8],
    };
    let sentence = "media section 2 offers no codec that is accepted here; offer one of H264, VP8";
    assert_eq!(no_codec.to_string(), sentence);
    assert_eq!((no_codec.kind(), no_codec.reason()), (Unacceptable, "no_codec"));
}
