//! Data channels beside media (RFC 8841).

use whipcord_whip::{
    Data, DataPolicy, Offer, Preferences, Refusal, fragment::restart_answer, negotiate::negotiate, refusal::Kind,
};

use crate::{accept, answered, edit, negotiated, with_local};

const PION: &str = include_str!("../offers/pion.offer.sdp");

/// The pion offer with data channels as its last section.
fn offer() -> String {
    let section = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:data\r\n\
                   a=sctp-port:5000\r\na=max-message-size:262144\r\n";
    edit(PION, "a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 data") + section
}

fn data(offer: &str) -> Data {
    negotiated(offer).data.expect("data channels")
}

#[test]
fn an_offer_without_them_has_none() {
    assert_eq!(negotiated(PION).data, None);
}

#[test]
fn they_are_accepted_on_the_session_s_transport() {
    let Data {
        mid,
        port,
        message_bytes_max,
        echo,
        ..
    } = data(&offer());
    assert_eq!(
        (mid.as_str(), port, message_bytes_max, echo),
        ("data", 5000, Some(262_144), false)
    );
    let answer = answered(&offer());
    let section = &answer[answer.find("m=application").unwrap()..];
    assert!(
        section.starts_with(
            "m=application 8189 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 203.0.113.5\r\na=mid:data\r\n\
             a=sctp-port:5000\r\na=max-message-size:65536\r\na=setup:passive\r\n"
        ),
        "{section}"
    );
    assert!(answer.contains("a=group:BUNDLE 0 1 data\r\n"));
}

/// Its place in the offer is its place in the answer, and it may describe the transport of all.
#[test]
fn the_section_may_stand_first() {
    let offer = offer();
    let (head, rest) = offer.split_at(offer.find("m=audio").unwrap());
    let (media, section) = rest.split_at(rest.find("m=application").unwrap());
    let transport: String = media
        .lines()
        .take_while(|line| !line.starts_with("m=video"))
        .filter(|line| {
            ["a=ice-", "a=fingerprint", "a=setup"]
                .iter()
                .any(|name| line.starts_with(name))
        })
        .map(|line| line.to_owned() + "\r\n")
        .collect();
    let head = edit(head, "BUNDLE 0 1 data", "BUNDLE data 0 1");
    let first = head + section + &transport + media;
    let answer = answered(&first);
    let media: Vec<&str> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("m=")?.split(' ').next())
        .collect();
    assert_eq!(media, ["application", "audio", "video"]);
    let transport = negotiated(&first).transport;
    let restart = with_local(|local| restart_answer(&transport, local));
    assert!(
        restart.contains("m=application 9 RTP/AVP 0\r\na=mid:data\r\n"),
        "{restart}"
    );
}

#[test]
fn sizes_of_messages_are_those_of_rfc_8841() {
    let with = |to: &str| data(&edit(&offer(), "a=max-message-size:262144\r\n", to)).message_bytes_max;
    assert_eq!(with(""), Some(65_536));
    assert_eq!(with("a=max-message-size:0\r\n"), None);
    assert_eq!(with("a=max-message-size:99999999999\r\n"), Some(u32::MAX));
}

#[test]
fn a_policy_decides() {
    let negotiate = |policy| {
        let preferences = Preferences {
            data: policy,
            ..Preferences::default()
        };
        negotiate(&Offer::parse(offer().as_bytes()).unwrap(), &preferences)
    };
    let refusal = negotiate(DataPolicy::Refuse).unwrap_err();
    assert_eq!(
        (&refusal, refusal.kind()),
        (&Refusal::DataChannel { section: 3 }, Kind::Unacceptable)
    );
    assert!(negotiate(DataPolicy::Echo).unwrap().data.unwrap().echo);
    for policy in [DataPolicy::Accept, DataPolicy::Echo, DataPolicy::Refuse] {
        assert_eq!(policy.as_str().parse(), Ok(policy));
    }
    assert!("Accept".parse::<DataPolicy>().is_err());
}

#[test]
fn what_is_malformed_is_refused() {
    let section = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:more\r\na=sctp-port:5000\r\n";
    for (offer, expected) in [
        (edit(&offer(), "a=sctp-port:5000\r\n", ""), "sctp_port"),
        (edit(&offer(), "a=sctp-port:5000", "a=sctp-port:0"), "sctp_port"),
        (edit(&offer(), "a=sctp-port:5000", "a=sctp-port:65536"), "sctp_port"),
        (edit(&offer(), "size:262144", "size:-1"), "max_message_size"),
        (edit(&offer(), "a=mid:data", "a=mid:0"), "duplicate_mid"),
        (edit(&offer(), "application 9 ", "application "), "data_protocol"),
        (edit(&offer(), "application 9 ", "application x "), "media_line"),
        (
            edit(&offer(), "BUNDLE 0 1 data", "BUNDLE 0 1 data more") + section,
            "second_data_section",
        ),
    ] {
        let refusal = accept(offer.as_bytes()).expect_err(&offer);
        let found = match &refusal {
            Refusal::Attribute { attribute, .. } => attribute.replace('-', "_"),
            other => other.reason().to_owned(),
        };
        assert_eq!(found, expected, "{refusal}");
    }
    let only = offer();
    let (head, rest) = only.split_at(only.find("m=audio").unwrap());
    let section = &rest[rest.find("m=application").unwrap()..];
    assert_eq!(
        accept((head.to_owned() + section).as_bytes()).unwrap_err(),
        Refusal::NoMedia
    );
}
