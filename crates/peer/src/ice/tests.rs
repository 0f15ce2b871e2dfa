use std::time::{Duration, Instant};

use proptest::prelude::*;
use whipcord_whip::Credentials;

use super::{Checked, Ice};
use crate::Path;

fn credentials(name: &str) -> Credentials {
    Credentials {
        ufrag: format!("{name}-ufrag"),
        pwd: format!("{name}-pwd"),
    }
}

fn ufrag(name: &str) -> String {
    credentials(name).ufrag
}

fn path(port: u16) -> Path {
    Path::udp(([192, 0, 2, 1], 8189).into(), ([198, 51, 100, 7], port).into())
}

fn fresh() -> Ice {
    Ice::new(credentials("client"), credentials("first"))
}

fn at(start: Instant, milliseconds: u64) -> Instant {
    start + Duration::from_millis(milliseconds)
}

#[derive(Clone, Copy, Debug)]
enum Heard {
    /// A check with the newest credentials.
    Check(u16),
    Nominating(u16),
    Media(u16),
}
use Heard::{Check, Media, Nominating};

/// What arrives when (ms), and the port sent to from then on.
type Story<'a> = &'a [(u64, Heard, u16)];

fn tell(ice: &mut Ice, start: Instant, local: &str, story: Story<'_>) {
    for (time, heard, expected) in story {
        let (now, before) = (at(start, *time), ice.path());
        let moved = match *heard {
            Check(port) => ice.on_check(now, path(port), &ufrag(local), false).moved,
            Nominating(port) => ice.on_check(now, path(port), &ufrag(local), true).moved,
            Media(port) => ice.on_media(now, path(port)),
        };
        assert_eq!(ice.path(), Some(path(*expected)), "{heard:?} at {time} ms");
        assert_eq!(moved, before != ice.path(), "{heard:?} at {time} ms");
    }
}

const STORIES: [(&str, Story<'_>); 9] = [
    (
        "never nominates",
        &[
            (0, Check(1), 1),
            (50, Check(2), 1),
            (60, Media(1), 1),
            (5000, Check(2), 1),
        ],
    ),
    (
        "nominates once, after a while",
        &[
            (0, Check(1), 1),
            (50, Check(2), 1),
            (2000, Nominating(2), 2),
            (2010, Check(1), 2),
        ],
    ),
    (
        "nominates everywhere, always",
        &[
            (0, Nominating(1), 1),
            (20, Nominating(2), 1),
            (40, Nominating(1), 1),
            (100, Media(1), 1),
            (300, Nominating(2), 1),
            (590, Media(1), 1),
            (1000, Nominating(2), 1),
            (1080, Media(1), 1),
        ],
    ),
    (
        "nominates everywhere, and sends on the second",
        &[
            (0, Nominating(1), 1),
            (20, Nominating(2), 1),
            (30, Media(2), 1),
            (520, Media(2), 2),
        ],
    ),
    (
        "nominates another path when the first fell silent",
        &[
            (0, Nominating(1), 1),
            (100, Media(1), 1),
            (599, Nominating(2), 1),
            (600, Nominating(2), 2),
        ],
    ),
    (
        "moves without a word",
        &[
            (0, Check(1), 1),
            (100, Media(1), 1),
            (599, Media(2), 1),
            (600, Media(2), 2),
            (605, Media(1), 2),
        ],
    ),
    (
        "moves without media",
        &[
            (0, Nominating(1), 1),
            (5000, Nominating(1), 1),
            (16_999, Check(2), 1),
            (17_000, Check(2), 2),
        ],
    ),
    (
        "keeps consent on the path in use, and checks others",
        &[
            (0, Nominating(1), 1),
            (11_000, Check(1), 1),
            (22_000, Check(2), 1),
            (22_500, Check(1), 1),
            (34_000, Check(2), 1),
        ],
    ),
    (
        "media before any check",
        &[(0, Media(1), 1), (100, Check(2), 1), (110, Nominating(2), 2)],
    ),
];

#[test]
fn the_send_path_follows_each_kind_of_encoder() {
    for (name, story) in STORIES {
        println!("{name}");
        tell(&mut fresh(), Instant::now(), "first", story);
    }
}

#[test]
fn the_first_valid_check_is_told_once() {
    let (mut ice, start) = (fresh(), Instant::now());
    assert_eq!(ice.on_check(start, path(1), "someone-else", true), Checked::default());
    assert_eq!(ice.path(), None);
    assert_eq!(
        ice.on_check(start, path(1), &ufrag("first"), false),
        Checked {
            first: true,
            moved: true
        }
    );
    assert_eq!(
        ice.on_check(start, path(1), &ufrag("first"), true),
        Checked {
            first: false,
            moved: false
        }
    );
    assert_eq!(
        ice.on_check(start, path(2), &ufrag("first"), false),
        Checked {
            first: false,
            moved: false
        }
    );
}

#[test]
fn a_path_is_validated_by_a_check_and_not_by_media() {
    let (mut ice, start) = (fresh(), Instant::now());
    ice.on_media(start, path(1));
    ice.on_check(start, path(2), &ufrag("first"), false);
    assert!(!ice.is_validated(&path(1)) && ice.is_validated(&path(2)) && !ice.is_validated(&path(3)));
    ice.on_check(start, path(1), &ufrag("first"), false);
    assert!(ice.is_validated(&path(1)));
}

#[test]
fn at_most_sixteen_paths_are_kept_the_one_in_use_among_them() {
    let (mut ice, start) = (fresh(), Instant::now());
    for port in 1..=40 {
        ice.on_check(at(start, u64::from(port)), path(port), &ufrag("first"), port == 1);
    }
    assert_eq!((ice.paths.len(), ice.path()), (16, Some(path(1))));
    let validated: Vec<_> = (1..=40).filter(|port| ice.is_validated(&path(*port))).collect();
    assert_eq!(validated, [&[1][..], &(26..=40).collect::<Vec<_>>()].concat());
}

#[test]
fn a_restart_moves_at_the_first_nomination_and_ends_the_old_credentials_30_s_after_srtp() {
    let (mut ice, start) = (fresh(), Instant::now());
    tell(&mut ice, start, "first", &[(0, Nominating(1), 1), (10, Media(1), 1)]);
    assert_eq!(ice.restart(credentials("other-client"), credentials("second")), None);
    assert_eq!(
        (ice.remote(), ice.local(), ice.previous()),
        (
            &credentials("other-client"),
            &credentials("second"),
            Some(&credentials("first"))
        )
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
    assert_eq!(ice.handle_timeout(at(start, 30_199)), None);
    assert_eq!(ice.password(&ufrag("first")), Some("first-pwd"));
    assert_eq!(ice.handle_timeout(at(start, 30_200)), Some(ufrag("first")));
    assert_eq!(
        (ice.password(&ufrag("first")), ice.previous(), ice.poll_timeout()),
        (None, None, None)
    );
    assert_eq!(ice.local_ufrags().collect::<Vec<_>>(), [ufrag("second")]);
}

#[test]
fn a_restart_on_the_same_address_is_settled_by_media_after_a_new_check() {
    let (mut ice, start) = (fresh(), Instant::now());
    tell(&mut ice, start, "first", &[(0, Check(1), 1), (10, Media(1), 1)]);
    ice.restart(credentials("client"), credentials("second"));
    tell(&mut ice, start, "second", &[(30, Media(1), 1)]);
    assert!(ice.restart_pending());
    tell(&mut ice, start, "second", &[(40, Check(1), 1), (50, Media(1), 1)]);
    assert!(!ice.restart_pending());
}

#[test]
fn a_second_restart_replaces_the_pending_one_and_keeps_what_carries_media() {
    let (mut ice, start) = (fresh(), Instant::now());
    tell(&mut ice, start, "first", &[(0, Nominating(1), 1), (10, Media(1), 1)]);
    ice.restart(credentials("client"), credentials("second"));
    assert_eq!(
        ice.restart(credentials("client"), credentials("third")),
        Some(ufrag("second"))
    );
    assert_eq!(ice.local_ufrags().collect::<Vec<_>>(), [ufrag("third"), ufrag("first")]);
    assert_eq!(ice.password(&ufrag("second")), None);
    tell(&mut ice, start, "third", &[(40, Nominating(2), 2), (50, Media(2), 2)]);
    // And one after that, before the first ones' 30 s are over: they end, as two generations are answered at most.
    assert_eq!(
        ice.restart(credentials("client"), credentials("fourth")),
        Some(ufrag("first"))
    );
    assert_eq!(
        ice.local_ufrags().collect::<Vec<_>>(),
        [ufrag("fourth"), ufrag("third")]
    );
    assert_eq!(ice.poll_timeout(), None);
}

#[test]
fn a_session_is_restored_with_its_path_and_both_credentials() {
    let start = Instant::now();
    let previous = Some(credentials("first"));
    let mut ice = Ice::restore(
        start,
        credentials("client"),
        credentials("second"),
        previous,
        Some(path(1)),
    );
    assert_eq!((ice.path(), ice.restart_pending()), (Some(path(1)), true));
    assert!(ice.is_validated(&path(1)));
    assert_eq!(ice.local_ufrags().count(), 2);
    assert_eq!(
        ice.on_check(start, path(1), &ufrag("second"), false),
        Checked {
            first: false,
            moved: false
        }
    );
    tell(
        &mut ice,
        start,
        "second",
        &[(100, Media(2), 1), (501, Media(2), 2), (510, Media(2), 2)],
    );
    assert!(ice.restart_pending(), "no check on the new path yet");
    tell(&mut ice, start, "second", &[(520, Check(2), 2), (530, Media(2), 2)]);
    assert!(!ice.restart_pending());

    let mut stable = Ice::restore(start, credentials("client"), credentials("second"), None, None);
    assert_eq!((stable.path(), stable.restart_pending()), (None, false));
    assert_eq!(
        stable.on_check(start, path(1), &ufrag("second"), false),
        Checked {
            first: true,
            moved: true
        }
    );
}

#[test]
fn debug_shows_no_password() {
    let shown = format!("{:?}", fresh());
    assert!(shown.contains("first-ufrag") && !shown.contains("first-pwd") && !shown.contains("client-pwd"));
}

#[derive(Clone, Debug)]
enum Step {
    Check { port: u16, ufrag: String, nominates: bool },
    Media { port: u16 },
    Restart,
    Wait { milliseconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..30_u16, 0..6_usize, any::<bool>()).prop_map(|(port, generation, nominates)| Step::Check {
            port,
            ufrag: ufrag(&generation.to_string()),
            nominates
        }),
        (1..30_u16).prop_map(|port| Step::Media { port }),
        Just(Step::Restart),
        (0..20_000_u64).prop_map(|milliseconds| Step::Wait { milliseconds }),
    ]
}

proptest! {
    /// Whatever happens: what is sent to has proven itself, tables are bounded, the newest credentials are answered, and at
    /// most one generation before them.
    #[test]
    fn any_history_keeps_the_promises(steps in prop::collection::vec(step(), 0..200)) {
        let mut now = Instant::now();
        let mut ice = Ice::new(credentials("client"), credentials("0"));
        let (mut generation, mut proven) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Check { port, ufrag, nominates } => {
                    let ours = ice.password(&ufrag).is_some();
                    let checked = ice.on_check(now, path(port), &ufrag, nominates);
                    prop_assert!(ours || checked == Checked::default());
                    if ours {
                        proven.push(path(port));
                        prop_assert!(ice.is_validated(&path(port)));
                    }
                }
                Step::Media { port } => {
                    ice.on_media(now, path(port));
                    proven.push(path(port));
                }
                Step::Restart => {
                    generation += 1;
                    ice.restart(credentials("client"), credentials(&generation.to_string()));
                }
                Step::Wait { milliseconds } => {
                    now += Duration::from_millis(milliseconds);
                    ice.handle_timeout(now);
                    prop_assert!(ice.poll_timeout().is_none_or(|due| due > now));
                }
            }
            prop_assert!(ice.path().is_none_or(|path| proven.contains(&path)));
            prop_assert!(ice.paths.len() <= 16 && ice.local_ufrags().count() <= 2);
            prop_assert_eq!(&ice.local().ufrag, &ufrag(&generation.to_string()));
            prop_assert!(ice.path().is_none_or(|path| ice.paths.standing(&path).is_some()));
        }
    }
}
