//! What is made of an offer's session and its one transport, and how the answer describes ours.

use whipcord_whip::{
    Answer, Offer,
    negotiate::{Encoder, Role},
    offer::Setup,
};

use crate::{accept, answered, edit, negotiated, with_local, within::assert_answer_is_within};

const AIORTC: &str = include_str!("../offers/aiortc-split-ice.offer.sdp");
const CHROMIUM: &str = include_str!("../offers/chromium-156.offer.sdp");
const FFMPEG: &str = include_str!("../offers/ffmpeg-9.0-passive.offer.sdp");
const FFMPEG_VIDEO: &str = include_str!("../offers/ffmpeg-8.0-passive-video-only.offer.sdp");
const OBS: &str = include_str!("../offers/obs-30.1.offer.sdp");
const PION: &str = include_str!("../offers/pion.offer.sdp");
const RFC: &str = include_str!("../offers/rfc9725-example.offer.sdp");

#[test]
fn the_offer_decides_who_begins_the_handshake() {
    for (setup, parsed, role, answered_setup) in [
        (
            "a=setup:actpass\r\n",
            Setup::ActPass,
            Role::Server,
            "a=setup:passive\r\n",
        ),
        ("a=setup:active\r\n", Setup::Active, Role::Server, "a=setup:passive\r\n"),
        (
            "a=setup:passive\r\n",
            Setup::Passive,
            Role::Client,
            "a=setup:active\r\n",
        ),
        ("", Setup::Active, Role::Server, "a=setup:passive\r\n"),
    ] {
        let offer = edit(PION, "a=setup:actpass\r\n", setup);
        assert_eq!(Offer::parse(offer.as_bytes()).unwrap().setup(), parsed);
        assert_eq!(negotiated(&offer).role, role);
        assert_eq!(answered(&offer).matches(answered_setup).count(), 2);
    }
}

#[test]
fn ffmpeg_is_known_by_its_session_name() {
    assert_eq!(negotiated(FFMPEG).encoder, Encoder::Ffmpeg);
    for name in ["s=-", "s= ", "s=GStreamer", "s=FFmpeg", "s=Übertragung"] {
        assert_eq!(
            negotiated(&edit(FFMPEG, "s=FFmpegPublishSession", name)).encoder,
            Encoder::Other
        );
    }
    for origin in [
        "o=rtc 1 0 IN IP4 127.0.0.1",
        "o=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1",
        "o=x",
    ] {
        negotiated(&edit(PION, "o=- 6241906821569291915 1569291915 IN IP4 0.0.0.0", origin));
    }
}

#[test]
fn the_tagged_section_describes_the_transport() {
    let offer = Offer::parse(AIORTC.as_bytes()).unwrap();
    assert_eq!(offer.credentials().ufrag, "Qc8J");
    assert_eq!(offer.fingerprints().len(), 3);
    assert_eq!(offer.fingerprints()[0].digest[0], 0x63);

    let other = edit(AIORTC, "a=group:BUNDLE 0 1", "a=group:BUNDLE 7 1 0");
    let offer = Offer::parse(other.as_bytes()).unwrap();
    assert_eq!(offer.credentials().ufrag, "x7Lp");
    assert_eq!(offer.fingerprints()[0].digest[0], 0x00);
    assert!(
        answered(&other).contains("a=group:BUNDLE 1 0\r\n"),
        "the group's order, without what names no section"
    );

    // A section with port 0 is never the tagged one, wherever the group names it.
    let last = edit(RFC, "a=group:BUNDLE 0 1", "a=group:BUNDLE 1 0");
    assert_eq!(negotiated(&last).transport.tagged_mid, "0");
    assert!(
        answered(&last).contains("a=group:BUNDLE 0 1\r\n"),
        "the answer's first mid is its tagged section (RFC 9143 section 7.3)"
    );
}

#[test]
fn attributes_may_stand_at_session_level() {
    for attribute in [
        "a=ice-ufrag:Qc8J",
        "a=ice-pwd:iIHNzD1c5LzEXxEtu3SalV",
        "a=setup:actpass",
        "a=sendonly",
    ] {
        let line = format!("{attribute}\r\n");
        let moved = edit(AIORTC, &line, "").replace("t=0 0\r\n", &format!("t=0 0\r\n{line}"));
        assert_eq!(negotiated(&moved).remote.ufrag, "Qc8J", "{attribute}");
        answered(&moved);
    }
}

#[test]
fn a_section_says_more_than_the_session() {
    let session = "t=0 0\r\na=ice-ufrag:sess\r\na=ice-pwd:thePasswordOfTheSession\r\na=setup:passive\r\na=recvonly\r\n\
                   a=fingerprint:sha-1 00\r\n";
    let offer = edit(AIORTC, "t=0 0\r\n", session);
    assert_eq!(
        (negotiated(&offer).remote.ufrag.as_str(), negotiated(&offer).role),
        ("Qc8J", Role::Server)
    );
    assert_eq!(negotiated(&offer).fingerprints.len(), 3);
    answered(&offer);
}

#[test]
fn one_section_needs_no_bundle_and_no_mid() {
    let alone = edit(FFMPEG_VIDEO, "a=group:BUNDLE 0 1\r\n", "");
    assert!(!answered(&alone).contains("a=group"));
    let nameless = edit(&alone, "a=mid:1\r\n", "");
    let text = answered(&nameless);
    assert!(!text.contains("a=mid") && text.contains("a=candidate"));
    assert_eq!(negotiated(&nameless).sections[0].mid, "");
    // FFmpeg up to 8.0 groups a section that it does not offer.
    assert!(answered(FFMPEG_VIDEO).contains("a=group:BUNDLE 1\r\n"));
}

#[test]
fn a_bundle_only_section_gets_a_port() {
    let text = answered(RFC);
    assert!(text.contains("m=video 8189 UDP/TLS/RTP/SAVPF 96 97\r\n") && !text.contains("bundle-only"));
    // With another port the attribute means nothing, and a browser of old may write it.
    let with_port = edit(RFC, "m=video 0", "m=video 9");
    assert!(
        accept(with_port.as_bytes()).is_err(),
        "it then needs its own a=rtcp-mux"
    );
    answered(&edit(
        &with_port,
        "a=bundle-only\r\n",
        "a=bundle-only\r\na=rtcp-mux\r\n",
    ));
}

/// ICE-lite: the client is found by its own checks.
#[test]
fn candidates_of_the_offer_change_nothing() {
    let expected = answered(FFMPEG_VIDEO);
    for value in [
        "1 1 udp 1 192.0.2.1 5000 typ host",
        "1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
        "1 1 udp 1 encoder.example.com 5000 typ host",
        "garbage",
        "",
    ] {
        let line = format!("a=mid:1\r\na=candidate:{value}\r\n");
        assert_eq!(answered(&edit(FFMPEG_VIDEO, "a=mid:1\r\n", &line)), expected, "{value}");
    }
}

#[test]
fn ice_options_are_repeated_if_offered() {
    for (offered, line) in [
        ("a=ice-options:ice2,trickle\r\n", "a=ice-options:trickle ice2\r\n"),
        ("a=ice-options:trickle ice2\r\n", "a=ice-options:trickle ice2\r\n"),
        ("a=ice-options:trickle renomination\r\n", "a=ice-options:trickle\r\n"),
        ("a=ice-options:ice2\r\n", "a=ice-options:ice2\r\n"),
        ("a=ice-options:unheard-of\r\n", ""),
        ("", ""),
    ] {
        let text = answered(&edit(OBS, "a=ice-options:ice2,trickle\r\n", offered));
        assert_eq!(
            text.lines().find(|line| line.starts_with("a=ice-options")),
            line.lines().next(),
            "{offered}"
        );
    }
}

#[test]
fn candidates_of_the_answer() {
    let text = answered(PION);
    let candidates: Vec<&str> = text.lines().filter(|line| line.starts_with("a=candidate")).collect();
    assert_eq!(
        candidates,
        [
            "a=candidate:1 1 udp 2130706431 203.0.113.5 8189 typ host",
            "a=candidate:2 1 udp 2130706175 203.0.113.6 8190 typ host",
            "a=candidate:3 1 udp 2130705919 2001:db8::5 8189 typ host",
        ]
    );
    assert!(text.contains("m=audio 8189 ") && text.contains("c=IN IP4 203.0.113.5\r\n"));

    with_local(|local| {
        let with = |candidates: &[&str]| {
            let candidates: Vec<_> = candidates.iter().map(|address| address.parse().unwrap()).collect();
            let local = whipcord_whip::answer::Local {
                candidates: &candidates,
                ..*local
            };
            Answer::new(&negotiated(PION), &local).as_str().to_owned()
        };
        let same_ip = with(&["203.0.113.5:1", "203.0.113.5:2"]);
        assert!(
            same_ip.contains("a=candidate:1 1 udp 2130706175 203.0.113.5 2 "),
            "one foundation for one address"
        );
        let ipv6 = with(&["[2001:db8::5]:1"]);
        assert!(ipv6.contains("m=audio 1 ") && ipv6.contains("c=IN IP6 2001:db8::5\r\n"));
        assert!(with(&[]).contains("m=audio 9 ") && with(&[]).contains("c=IN IP4 0.0.0.0\r\n"));
        assert_answer_is_within(PION, &ipv6);
    });
}

#[test]
fn the_longest_answer_fits() {
    let mid = |n: usize| format!("{}{n}", "m".repeat(63));
    let rids: Vec<String> = (0..8).map(|n| format!("{}{n}", "r".repeat(31))).collect();
    let restriction = "x".repeat(120);
    let lines: String = rids
        .iter()
        .map(|rid| format!("a=rid:{rid} send pt=108;{restriction}\r\n"))
        .collect();
    let offer = edit(
        CHROMIUM,
        "a=group:BUNDLE 0 1",
        &format!("a=group:BUNDLE {} {}", mid(0), mid(1)),
    )
    .replace("a=mid:0", &format!("a=mid:{}", mid(0)))
    .replace("a=mid:1", &format!("a=mid:{}", mid(1)))
        + &lines
        + &format!("a=simulcast:send {}\r\n", rids.join(";"));
    let negotiated = negotiated(&offer);
    assert_eq!(negotiated.sections[1].rids, rids);
    with_local(|local| {
        let credentials = whipcord_whip::Credentials {
            ufrag: "u".repeat(256),
            pwd: "p".repeat(256),
        };
        let address = |n: u16| format!("[2001:db8:1111:2222:3333:4444:5555:{:x}]:{}", 0xf000 + n, 10_000 + n);
        let candidates: Vec<_> = (0..100).map(|n| address(n).parse().unwrap()).collect();
        let fingerprint = whipcord_whip::offer::Fingerprint {
            algorithm: whipcord_whip::offer::HashAlgorithm::Sha512,
            digest: vec![0xFF; 64],
        };
        let local = whipcord_whip::answer::Local {
            credentials: &credentials,
            fingerprint: &fingerprint,
            candidates: &candidates,
            ..*local
        };
        let text = Answer::new(&negotiated, &local);
        assert_eq!(
            text.as_str().matches("a=candidate").count(),
            whipcord_whip::answer::LOCAL_CANDIDATES_MAX
        );
        assert_answer_is_within(&offer, text.as_str());
    });
}

#[test]
fn what_we_do_not_know_is_ignored() {
    let noise =
        "b=AS:4000\r\nk=prompt\r\nz=0 0\r\na=framerate:10\r\na=unheard-of\r\na=:\r\na=rtpmap:x\r\na=rtcp-fb\r\n";
    let expected = answered(PION);
    assert_eq!(answered(&(PION.to_owned() + noise)), expected);
    assert_eq!(
        answered(&edit(PION, "t=0 0\r\n", &format!("t=0 0\r\n{noise}"))),
        expected
    );
}
