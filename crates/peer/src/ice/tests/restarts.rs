//! Credentials old and new, and what is nominated with which.

use super::*;

#[test]
fn a_restart_moves_at_the_first_nomination_and_ends_the_old_credentials_30_s_after_srtp() {
    let (mut ice, start) = (fresh(), Instant::now());
    tell(&mut ice, start, "first", &[(0, Nominating(1), 1), (10, Media(1), 1)]);
    assert_eq!(restart(&mut ice, "second"), None);
    assert_eq!(
        (ice.remote(), ice.local()),
        (&credentials("second-client"), &credentials("second"))
    );
    assert_eq!(
        ice.local_ufrags().collect::<Vec<_>>(),
        [ufrag("second"), ufrag("first")]
    );
    assert_eq!(ice.password(&ufrag("first")), Some("first-pwd"));
    assert_eq!(ice.password(&ufrag("second")), Some("second-pwd"));

    // The old path goes on: nothing is settled by its media, or by old checks, even nominating ones.
    tell(
        &mut ice,
        start,
        "first",
        &[(110, Media(1), 1), (120, Nominating(1), 1), (125, Nominating(3), 1)],
    );
    assert!(ice.restart_pending() && ice.poll_timeout().is_none());
    // The new path is nominated while the old one still carries media.
    tell(&mut ice, start, "second", &[(130, Nominating(2), 2)]);
    assert!(ice.restart_pending());
    tell(&mut ice, start, "second", &[(200, Media(2), 2)]);
    assert!(!ice.restart_pending());
    assert_eq!(ice.poll_timeout(), Some(at(start, 30_200)));
    assert!(ice.handle_timeout(at(start, 30_199)).is_empty());
    assert_eq!(ice.password(&ufrag("first")), Some("first-pwd"));
    assert_eq!(ice.handle_timeout(at(start, 30_200)), [ufrag("first")]);
    assert_eq!((ice.password(&ufrag("first")), ice.poll_timeout()), (None, None));
    assert_eq!(ice.local_ufrags().collect::<Vec<_>>(), [ufrag("second")]);
}

#[test]
fn a_restart_on_the_same_address_is_settled_by_media_after_a_new_check() {
    let (mut ice, start) = (fresh(), Instant::now());
    tell(&mut ice, start, "first", &[(0, Check(1), 1), (10, Media(1), 1)]);
    restart(&mut ice, "second");
    tell(&mut ice, start, "second", &[(30, Media(1), 1)]);
    assert!(ice.restart_pending());
    tell(&mut ice, start, "second", &[(40, Check(1), 1), (50, Media(1), 1)]);
    assert!(!ice.restart_pending());
}

/// Chromium, whose PATCH is answered after it has gathered: its new port keeps our old ufrag, and has the new one of its own.
#[test]
fn a_new_ufrag_of_the_client_under_an_old_one_of_ours_is_of_the_restart() {
    let (mut ice, start) = (fresh(), Instant::now());
    tell(&mut ice, start, "first", &[(0, Nominating(1), 1), (10, Media(1), 1)]);
    // Before the PATCH nobody knows that ufrag.
    let early = check_from(&mut ice, at(start, 15), 2, ("first", "second-client"), true);
    assert!(!early.moved);
    restart(&mut ice, "second");
    tell(&mut ice, start, "second", &[(20, Media(1), 1), (25, Media(2), 1)]);
    assert!(ice.restart_pending(), "no check since the restart");
    assert!(!check_from(&mut ice, at(start, 30), 3, ("first", "first-client"), true).moved);
    let nominated = check_from(&mut ice, at(start, 35), 2, ("first", "second-client"), true);
    assert!(nominated.moved, "the old path still carries media, and is left at once");
    assert!(ice.restart_pending());
    tell(&mut ice, start, "second", &[(40, Media(2), 2)]);
    assert!(!ice.restart_pending());
    // Its consent checks stay as they are, each 2.5 s, for as long as the session lives.
    for second in 1..100 {
        let now = at(start, 2500 * second);
        assert!(ice.handle_timeout(now).is_empty(), "after {second} checks");
        check_from(&mut ice, now, 2, ("first", "second-client"), true);
    }
    // The old port's do not keep anything.
    let last = at(start, 2500 * 99);
    check_from(
        &mut ice,
        last + Duration::from_secs(1),
        1,
        ("first", "first-client"),
        false,
    );
    assert_eq!(ice.poll_timeout(), Some(last + Duration::from_secs(30)));
    assert_eq!(ice.handle_timeout(last + Duration::from_secs(30)), [ufrag("first")]);
}

#[test]
fn a_second_restart_keeps_the_pending_one_answered_and_what_carries_media() {
    let (mut ice, start) = (fresh(), Instant::now());
    tell(&mut ice, start, "first", &[(0, Nominating(1), 1), (10, Media(1), 1)]);
    for (name, ended) in [("second", None), ("third", None), ("fourth", Some("second"))] {
        assert_eq!(restart(&mut ice, name), ended.map(ufrag), "{name}");
        // A restart whose new port never comes to be used does not put the old one out of use.
        check(&mut ice, at(start, 20), 2, name, false);
        check(&mut ice, at(start, 25), 1, "first", false);
    }
    assert_eq!(
        ice.local_ufrags().collect::<Vec<_>>(),
        [ufrag("fourth"), ufrag("third"), ufrag("first")]
    );
    // Its new port still has the answer before the last.
    assert!(check_from(&mut ice, at(start, 40), 3, ("third", "fourth-client"), true).moved);
    tell(&mut ice, start, "fourth", &[(50, Media(3), 3)]);
    assert!(!ice.restart_pending());
    // And two after that, before those are over: the one in use stays.
    assert_eq!(restart(&mut ice, "fifth"), Some(ufrag("first")));
    assert_eq!(restart(&mut ice, "sixth"), Some(ufrag("fourth")));
    assert_eq!(
        ice.local_ufrags().collect::<Vec<_>>(),
        [ufrag("sixth"), ufrag("fifth"), ufrag("third")]
    );
    assert_eq!(ice.poll_timeout(), None);
    tell(&mut ice, start, "sixth", &[(60, Nominating(4), 4), (70, Media(4), 4)]);
    assert_eq!(ice.handle_timeout(at(start, 30_070)), [ufrag("fifth"), ufrag("third")]);
}
