//! PATCH bodies, what they ask, and what a restart is answered.

use whipcord_whip::{
    Credentials, Refusal,
    fragment::{FRAGMENT_BYTES_MAX, Fragment, Request, restart_answer},
    refusal::Kind,
};

use crate::{accept, with_local};

const ICE: &str = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n";
const CANDIDATE: &str = "a=candidate:1 1 udp 2130706431 192.0.2.1 61764 typ host\r\n";

fn current() -> Credentials {
    Credentials {
        ufrag: "EsAw".to_owned(),
        pwd: "P2uYro0UCOQ4zxjKXaWCBui1".to_owned(),
    }
}

#[test]
fn candidates_stand_anywhere() {
    let media = "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n";
    for body in [
        format!("{ICE}{media}{CANDIDATE}a=end-of-candidates\r\n"),
        format!("{media}{ICE}{CANDIDATE}"),
        format!("{media}{CANDIDATE}{ICE}"),
        format!("{ICE}{CANDIDATE}"),
        CANDIDATE.to_owned(),
        format!("a=group:BUNDLE 0 1\na=ice-pacing:50\n{ICE}m=video 9 UDP/TLS/RTP/SAVPF 0\na=mid:nowhere\n{CANDIDATE}"),
        format!("{ICE}{media}{CANDIDATE}m=video 9 RTP/AVP 0\r\na=mid:1\r\n{ICE}{CANDIDATE}"),
        format!("{ICE}{CANDIDATE}")
            .replace("a=ice-ufrag", "a=ICE-Ufrag")
            .replace("candidate:", "CANDIDATE:"),
        format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n{ICE}{CANDIDATE}"),
        format!("{ICE}{CANDIDATE}").trim_end().to_owned(),
    ] {
        assert!(Fragment::parse(body.as_bytes()).is_ok(), "{body}");
    }
}

/// A lite agent would use none: every well-formed one is as good as any.
#[test]
fn one_candidate_of_any_kind_is_a_fragment() {
    for (value, expected) in [
        ("1 1 udp 1 192.0.2.1 5000 typ host", true),
        (
            "1 1 UDP 1 2001:db8::1 5001 TYP srflx raddr 0.0.0.0 rport 0 generation 0",
            true,
        ),
        ("1 1 tcp 1 192.0.2.1 9 typ host tcptype active", true),
        ("1 0 udp 4294967295 192.0.2.7 5000 typ carrier-pigeon", true),
        (
            "1 1 udp 1 0b5f3f4c-4d3c-4f7e-9d0a-2b1c3d4e5f60.local 5000 typ host",
            true,
        ),
        ("1 1 udp 1 192.0.2.1 65536 typ host", false),
        ("1 1 udp 4294967296 192.0.2.1 5000 typ host", false),
        ("1 x udp 1 192.0.2.1 5000 typ host", false),
        ("1 1 udp 1 192.0.2.1 5000 type host", false),
        ("1 1 udp 1 192.0.2.1 5000 typ", false),
        ("garbage", false),
        ("", false),
    ] {
        let fragment = Fragment::parse(format!("a=candidate:{value}\r\na=mid:0\r\n").as_bytes());
        assert_eq!(fragment.is_ok(), expected, "{value}");
        if let Err(refusal) = fragment {
            assert_eq!(refusal, Refusal::NothingInFragment, "{value}");
        }
    }
}

#[test]
fn the_first_credentials_count() {
    let two = ICE.to_owned() + "m=video 9 RTP/AVP 0\r\na=ice-ufrag:other\r\na=ice-pwd:theOtherSectionsPassword\r\n";
    assert_eq!(Fragment::parse(two.as_bytes()).unwrap().credentials, Some(current()));
}

#[test]
fn end_of_candidates_alone_is_a_fragment() {
    assert!(Fragment::parse(b"a=end-of-candidates\r\n").unwrap().end_of_candidates);
    assert!(!Fragment::parse(ICE.as_bytes()).unwrap().end_of_candidates);
}

#[test]
fn malformed_fragments() {
    for (body, expected) in [
        ("", Refusal::Empty),
        (
            "{\"candidate\":\"candidate:1 1 udp 1 192.0.2.1 5000 typ host\"}",
            Refusal::Line { number: 1 },
        ),
        ("garbage", Refusal::Line { number: 1 }),
        ("a=candidate:garbage", Refusal::NothingInFragment),
        ("m=audio 9 RTP/AVP 0\r\na=mid:0", Refusal::NothingInFragment),
        ("a=ice-ufrag:EsAw", Refusal::HalfCredentials),
        (
            "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=end-of-candidates",
            Refusal::HalfCredentials,
        ),
    ] {
        let found = Fragment::parse(body.as_bytes()).unwrap_err();
        assert_eq!((found.kind(), &found), (Kind::Malformed, &expected), "{body}");
    }
    assert_eq!(Fragment::parse(b"a=\xFF").unwrap_err(), Refusal::NotText);
    let short = ICE.replace("P2uYro0UCOQ4zxjKXaWCBui1", "short");
    assert_eq!(Fragment::parse(short.as_bytes()).unwrap_err().reason(), "attribute");
    let large = ICE.to_owned() + &"\n".repeat(FRAGMENT_BYTES_MAX - ICE.len());
    assert!(Fragment::parse(large.as_bytes()).is_ok());
    assert_eq!(
        Fragment::parse((large + "\n").as_bytes()).unwrap_err().kind(),
        Kind::TooLarge
    );
}

#[test]
fn the_credentials_decide_between_trickle_and_restart() {
    let request = |body: &str| Fragment::parse(body.as_bytes()).unwrap().request(&current());
    let new = Credentials {
        ufrag: "NEWu".to_owned(),
        pwd: "aNewPasswordOfEnoughLetters".to_owned(),
    };
    let (ufrag, pwd) = (
        ICE.replace("EsAw", &new.ufrag),
        ICE.replace("P2uYro0UCOQ4zxjKXaWCBui1", &new.pwd),
    );
    assert_eq!(request(ICE), Ok(Request::Trickle));
    assert_eq!(request(CANDIDATE), Ok(Request::Trickle));
    assert_eq!(request(&ufrag), Err(Refusal::HalfRestart));
    assert_eq!(request(&pwd), Err(Refusal::HalfRestart));
    assert_eq!(
        request(&ufrag.replace("P2uYro0UCOQ4zxjKXaWCBui1", &new.pwd)),
        Ok(Request::Restart(new))
    );
}

#[test]
fn chromium_trickles_restarts_and_trickles() {
    let patches = [
        include_bytes!("../offers/chromium-156-restart.patch1.sdp").as_slice(),
        include_bytes!("../offers/chromium-156-restart.patch2.sdp"),
        include_bytes!("../offers/chromium-156-restart.patch3.sdp"),
        include_bytes!("../offers/chromium-156-restart.patch4.sdp"),
        include_bytes!("../offers/chromium-156-restart.patch5.sdp"),
    ];
    let mut remote = accept(include_bytes!("../offers/chromium-156-restart.offer.sdp"))
        .unwrap()
        .remote;
    let mut restarts = Vec::new();
    for patch in patches {
        match Fragment::parse(patch).unwrap().request(&remote).unwrap() {
            Request::Trickle => restarts.push(false),
            Request::Restart(new) => {
                remote = new;
                restarts.push(true);
            }
        }
    }
    assert_eq!(restarts, [false, false, true, false, false]);
    assert_eq!(remote.ufrag, "NG06");
}

#[test]
fn a_restart_is_answered_with_all_candidates() {
    let transport = accept(include_bytes!("../offers/obs-30.1.offer.sdp"))
        .unwrap()
        .transport;
    let answer = with_local(|local| restart_answer(&transport, local));
    let expected = "a=group:BUNDLE 0 1\r\n\
                    a=ice-lite\r\n\
                    a=ice-options:trickle ice2\r\n\
                    a=ice-ufrag:AQAAASabcdefghijklmnopqr\r\n\
                    a=ice-pwd:ZYXWVUTSRQPONMLKJIHGFEDC\r\n\
                    m=audio 9 RTP/AVP 0\r\n\
                    a=mid:0\r\n\
                    a=candidate:1 1 udp 2130706431 203.0.113.5 8189 typ host\r\n\
                    a=candidate:2 1 udp 2130706175 203.0.113.6 8190 typ host\r\n\
                    a=candidate:3 1 udp 2130705919 2001:db8::5 8189 typ host\r\n\
                    a=end-of-candidates\r\n";
    assert_eq!(answer, expected);
    let ours = Fragment::parse(answer.as_bytes()).unwrap();
    assert!(ours.credentials.is_some() && ours.end_of_candidates);
}

#[test]
fn a_password_is_not_shown() {
    let fragment = Fragment::parse(ICE.as_bytes()).unwrap();
    assert!(!format!("{fragment:?}").contains("P2uYro"));
    let negotiated = accept(include_bytes!("../offers/obs-30.1.offer.sdp")).unwrap();
    assert!(!format!("{negotiated:?}").contains("wE7cTz") && negotiated.remote.pwd.starts_with("wE7cTz"));
    let answer = crate::answer(&negotiated);
    assert!(!format!("{answer:?}").contains("ZYXWVU") && answer.as_str().contains("ZYXWVU"));
}
