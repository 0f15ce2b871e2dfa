//! What can only be seen, or planted, from inside.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use whipcord_whip::{Offer, Preferences, negotiate::negotiate};

use super::*;

const OFFER: &str = include_str!("tests/video-only.sdp");

fn mux() -> Mux {
    let certificate = Certificate::generate().expect("P-256 keys can be made");
    Mux::new(certificate, Limits { sessions_max: 2 }, [1; 32])
}

fn create(mux: &mut Mux, now: Instant, ufrag: &str) -> Result<SessionKey, Full> {
    let offer = Offer::parse(OFFER.as_bytes()).expect("a good offer");
    let offer = negotiate(&offer, &Preferences::default()).expect("an acceptable offer");
    let local = Credentials {
        ufrag: ufrag.into(),
        pwd: "serverpasswordserverpassword".into(),
    };
    let candidate = "192.0.2.1:8189".parse().expect("a literal address");
    mux.create(now, offer, local, &[candidate], 1).map(|(key, _)| key)
}

fn end(mux: &mut Mux) -> Option<(SessionKey, EndReason)> {
    match mux.poll_event()? {
        (key, Event::Ended { reason, .. }) => Some((key, reason)),
        _ => None,
    }
}

#[test]
fn a_panic_ends_its_session_and_no_other() {
    let now = Instant::now();
    let mut mux = mux();
    let (broken, sound) = (
        create(&mut mux, now, "broken").unwrap(),
        create(&mut mux, now, "sound").unwrap(),
    );
    mux.sessions.get_mut(broken).unwrap().defect = true;
    let caught = catch_unwind(AssertUnwindSafe(|| mux.handle_timeout(now + Duration::from_secs(60))));
    assert!(caught.is_err());
    assert_eq!(mux.fault(), Some(broken));
    assert_eq!(end(&mut mux), Some((broken, EndReason::Fault)));
    assert_eq!((mux.sessions(), mux.stats(sound).is_some()), (1, true));
    mux.handle_timeout(now + Duration::from_secs(61));
    assert_eq!(end(&mut mux), Some((sound, EndReason::NoStun)));
}

#[test]
fn a_panic_outside_any_session_blames_none() {
    let mut mux = mux();
    let key = create(&mut mux, Instant::now(), "sound").unwrap();
    assert_eq!((mux.fault(), mux.stats(key).is_some()), (None, true));
}

#[test]
fn an_ended_session_leaves_nothing_behind_and_its_key_is_not_used_again() {
    let now = Instant::now();
    let mut mux = mux();
    let first = create(&mut mux, now, "first").unwrap();
    mux.close(now, first, EndReason::Deleted);
    assert!(mux.routes.is_empty());
    assert_eq!(mux.sessions(), 0);
    let second = create(&mut mux, now, "second").unwrap();
    assert_ne!(first, second);
    assert!(mux.stats(first).is_none());
    mux.close(now, first, EndReason::Deleted);
    assert!(mux.stats(second).is_some());
}

#[test]
fn the_port_takes_no_more_sessions_than_it_may() {
    let now = Instant::now();
    let mut mux = mux();
    assert!(create(&mut mux, now, "first").is_ok() && create(&mut mux, now, "second").is_ok());
    assert_eq!(create(&mut mux, now, "third"), Err(Full));
}
