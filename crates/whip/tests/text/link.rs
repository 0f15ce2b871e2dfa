//! `Link` header values, to the letter.

use whipcord_whip::link::{Error, IceServer};

#[test]
fn ice_servers() {
    assert_eq!(
        IceServer::stun("stun:stun.example.net").unwrap().header_value(),
        "<stun:stun.example.net>; rel=\"ice-server\""
    );
    assert_eq!(
        IceServer::turn(
            "turn:turn.example.net:3478?transport=udp",
            "1732190400:u",
            "c2VjcmV0/+="
        )
        .unwrap()
        .header_value(),
        "<turn:turn.example.net:3478?transport=udp>; rel=\"ice-server\"; username=\"1732190400:u\"; \
         credential=\"c2VjcmV0/+=\"; credential-type=\"password\""
    );
    assert!(IceServer::turn("turns:[2001:db8::1]:5349?transport=tcp", "u", "p").is_ok());
}

#[test]
fn what_would_break_a_client() {
    for uri in [
        "",
        "stun:",
        "stun://stun.example.net",
        "turn:x",
        "http://x",
        "stun:a b",
        "stun:a>",
        "stun:a,b",
        "stun:ä",
    ] {
        assert_eq!(IceServer::stun(uri), Err(Error::StunUri), "{uri}");
    }
    assert_eq!(IceServer::turn("stun:x", "u", "p"), Err(Error::TurnUri));
    for text in ["", "a,b", "a;b", "a\"b", "a\\b", "a\r\nX: y", "ä"] {
        assert_eq!(IceServer::turn("turn:x", text, "p"), Err(Error::Login), "{text:?}");
        assert_eq!(IceServer::turn("turn:x", "u", text), Err(Error::Login), "{text:?}");
    }
}

#[test]
fn a_credential_is_not_shown() {
    let server = IceServer::turn("turn:x", "user", "hunter2").unwrap();
    assert!(!format!("{server:?}").contains("hunter2") && !format!("{server:?}").contains("user"));
}
