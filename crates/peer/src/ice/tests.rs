//! Which path is sent on, by stories of checks and media.

mod restarts;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use whipcord_whip::Credentials;

use super::{Check as Asked, Checked, GENERATIONS_MAX, Ice};
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

/// A check by an encoder that has restarted as often as our credentials.
fn check(ice: &mut Ice, now: Instant, port: u16, local: &str, nominates: bool) -> Checked {
    check_from(ice, now, port, (local, &format!("{local}-client")), nominates)
}

/// A check with these credentials of ours, and these of the client.
fn check_from(ice: &mut Ice, now: Instant, port: u16, (local, remote): (&str, &str), nominates: bool) -> Checked {
    let (local_ufrag, remote_ufrag) = (&ufrag(local), &ufrag(remote));
    let check = Asked {
        local_ufrag,
        remote_ufrag,
        nominates,
    };
    ice.on_check(now, path(port), check)
}

fn restart(ice: &mut Ice, name: &str) -> Option<String> {
    ice.restart(credentials(&format!("{name}-client")), credentials(name))
}

fn path(port: u16) -> Path {
    Path::udp(([192, 0, 2, 1], 8189).into(), ([198, 51, 100, 7], port).into())
}

fn fresh() -> Ice {
    Ice::new(credentials("first-client"), credentials("first"))
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
            Check(port) => check(ice, now, port, local, false).moved,
            Nominating(port) => check(ice, now, port, local, true).moved,
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
    assert_eq!(check(&mut ice, start, 1, "someone-else", true), Checked::default());
    assert_eq!(ice.path(), None);
    assert_eq!(
        check(&mut ice, start, 1, "first", false),
        Checked {
            first: true,
            moved: true
        }
    );
    assert_eq!(
        check(&mut ice, start, 1, "first", true),
        Checked {
            first: false,
            moved: false
        }
    );
    assert_eq!(
        check(&mut ice, start, 2, "first", false),
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
    check(&mut ice, start, 2, "first", false);
    assert!(!ice.is_validated(&path(1)) && ice.is_validated(&path(2)) && !ice.is_validated(&path(3)));
    check(&mut ice, start, 1, "first", false);
    assert!(ice.is_validated(&path(1)));
}

#[test]
fn at_most_sixteen_paths_are_kept_the_one_in_use_among_them() {
    let (mut ice, start) = (fresh(), Instant::now());
    for port in 1..=40 {
        check(&mut ice, at(start, u64::from(port)), port, "first", port == 1);
    }
    assert_eq!((ice.paths.len(), ice.path()), (16, Some(path(1))));
    let validated: Vec<_> = (1..=40).filter(|port| ice.is_validated(&path(*port))).collect();
    assert_eq!(validated, [&[1][..], &(26..=40).collect::<Vec<_>>()].concat());
}

#[test]
fn a_session_is_restored_with_its_path_and_both_credentials() {
    let start = Instant::now();
    let mut ice = Ice::restore(
        start,
        credentials("second-client"),
        credentials("second"),
        vec![credentials("first")],
        Some(path(1)),
    );
    assert_eq!((ice.path(), ice.restart_pending()), (Some(path(1)), true));
    assert!(ice.is_validated(&path(1)));
    assert_eq!(ice.local_ufrags().count(), 2);
    assert_eq!(
        check(&mut ice, start, 1, "second", false),
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

    let mut stable = Ice::restore(start, credentials("second-client"), credentials("second"), vec![], None);
    assert_eq!((stable.path(), stable.restart_pending()), (None, false));
    assert_eq!(
        check(&mut stable, start, 1, "second", false),
        Checked {
            first: true,
            moved: true
        }
    );
}

#[test]
fn debug_shows_no_password() {
    let shown = format!("{:?}", fresh());
    assert!(shown.contains("first-ufrag") && !shown.contains("first-pwd") && !shown.contains("first-client-pwd"));
}

#[derive(Clone, Debug)]
enum Step {
    Check {
        port: u16,
        local: u8,
        remote: u8,
        nominates: bool,
    },
    Media {
        port: u16,
    },
    Restart,
    Wait {
        milliseconds: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..30_u16, 0..6_u8, 0..6_u8, any::<bool>()).prop_map(|(port, local, remote, nominates)| Step::Check {
            port,
            local,
            remote,
            nominates
        }),
        (1..30_u16).prop_map(|port| Step::Media { port }),
        Just(Step::Restart),
        (0..20_000_u64).prop_map(|milliseconds| Step::Wait { milliseconds }),
    ]
}

proptest! {
    /// Whatever happens: what is sent to has proven itself, tables are bounded, the newest credentials are answered, and at
    /// most two generations before them.
    #[test]
    fn any_history_keeps_the_promises(steps in prop::collection::vec(step(), 0..200)) {
        let mut now = Instant::now();
        let mut ice = Ice::new(credentials("0-client"), credentials("0"));
        let (mut generation, mut proven) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Check { port, local, remote, nominates } => {
                    let ours = ice.password(&ufrag(&local.to_string())).is_some();
                    let pair = (&*local.to_string(), &*format!("{remote}-client"));
                    let checked = check_from(&mut ice, now, port, pair, nominates);
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
                    restart(&mut ice, &generation.to_string());
                }
                Step::Wait { milliseconds } => {
                    now += Duration::from_millis(milliseconds);
                    ice.handle_timeout(now);
                    prop_assert!(ice.poll_timeout().is_none_or(|due| due > now));
                }
            }
            prop_assert!(ice.path().is_none_or(|path| proven.contains(&path)));
            prop_assert!(ice.paths.len() <= 16 && ice.local_ufrags().count() <= GENERATIONS_MAX);
            prop_assert_eq!(&ice.local().ufrag, &ufrag(&generation.to_string()));
            prop_assert!(ice.path().is_none_or(|path| ice.paths.standing(&path).is_some()));
        }
    }
}
