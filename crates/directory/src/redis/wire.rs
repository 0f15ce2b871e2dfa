//! How values are written in Redis. What cannot be read is as if it were not there: a worker tells it again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whipcord_identity::{Epoch, Incarnation, Owner, SessionId, StreamName, WorkerNumber};

use crate::values::{Health, Hello, Load, PlaceError, Placement, Session, Takeover};

/// A hello, as JSON: fields of a later version are ignored.
#[derive(Serialize, Deserialize)]
struct Packed {
    worker: String,
    number: u32,
    address: String,
    sessions_max: u32,
}

/// What the view says of one worker: `SERIAL CHANGES HEALTH KNOWN TOLD PPS CPU`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) serial: u64,
    pub(super) health: Health,
    pub(super) sessions: usize,
    pub(super) load: Load,
}

pub(super) fn pack(hello: &Hello) -> String {
    let packed = Packed {
        worker: hello.worker.to_string(),
        number: hello.number.get(),
        address: hello.address.to_string(),
        sessions_max: hello.sessions_max,
    };
    serde_json::to_string(&packed).expect("texts and numbers are JSON")
}

pub(super) fn unpack(incarnation: Incarnation, text: &str) -> Option<Hello> {
    let packed: Packed = serde_json::from_str(text).ok()?;
    Some(Hello {
        worker: packed.worker.parse().ok()?,
        incarnation,
        number: WorkerNumber::try_from(packed.number).ok()?,
        address: packed.address.parse().ok()?,
        sessions_max: packed.sessions_max,
    })
}

const HEALTHS: [Health; 4] = [Health::Alive, Health::Suspect, Health::Draining, Health::Unaddressed];

pub(super) fn health(health: Health) -> &'static str {
    match health {
        Health::Alive => "A",
        Health::Suspect => "S",
        Health::Draining => "D",
        Health::Unaddressed => "U",
    }
}

impl State {
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut word = || words.next();
        let serial = word()?.parse().ok()?;
        let _changes: u64 = word()?.parse().ok()?;
        let letter = word()?;
        let health = HEALTHS.into_iter().find(|known| health(*known) == letter)?;
        let sessions = word()?.parse().ok()?;
        let load = Load {
            sessions: word()?.parse().ok()?,
            packets_per_second: word()?.parse().ok()?,
            cpu: word()?.parse().ok()?,
        };
        word().is_none().then_some(Self {
            serial,
            health,
            sessions,
            load,
        })
    }
}

pub(super) fn incarnation(text: &str) -> Option<Incarnation> {
    let hexadecimal = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let number = u64::from_str_radix(text, 16).ok().filter(|_| hexadecimal)?;
    Some(Incarnation(number))
}

/// `sid, incarnation, epoch, worker`, as scripts name a session of a stream.
pub(super) fn session(words: &[String], stream: &StreamName) -> Option<Session> {
    let [sid, owner, epoch, worker] = words else {
        return None;
    };
    Some(Session {
        sid: sid.parse::<SessionId>().ok()?,
        stream: stream.clone(),
        owner: Owner {
            worker: worker.parse().ok()?,
            incarnation: incarnation(owner)?,
            epoch: Epoch(epoch.parse().ok()?),
        },
    })
}

/// What `place` answers: the session as it is reserved, and how many are known of its worker then.
pub(super) fn placed(word: &str, words: &[String], placement: &Placement) -> Result<(Session, usize), PlaceError> {
    let unreadable = |_| PlaceError::Unreadable;
    match (word, words) {
        ("ok", [epoch, known]) => {
            let epoch = Epoch(epoch.parse().map_err(unreadable)?);
            Ok((placement.session(epoch), known.parse().map_err(unreadable)?))
        }
        ("dead", _) => Err(PlaceError::NotAlive),
        ("held", _) => Err(PlaceError::Held),
        ("full", _) => Err(PlaceError::Full),
        ("hurry", _) => Err(PlaceError::Hurry),
        ("superseded", _) => Err(PlaceError::Superseded),
        ("rebuilding", [left]) => Err(PlaceError::Rebuilding {
            left: Duration::from_millis(left.parse().map_err(unreadable)?),
        }),
        ("lost", words) => {
            let holder = session(words, &placement.stream).ok_or(PlaceError::Unreadable)?;
            Err(PlaceError::Lost { holder })
        }
        _ => Err(PlaceError::Unreadable),
    }
}

pub(super) fn mode(takeover: Takeover) -> &'static str {
    match takeover {
        Takeover::Replace => "r",
        Takeover::Reject => "x",
        Takeover::Several => "s",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_in_redis_panics(text in ".{0,200}", words in proptest::collection::vec(".{0,30}", 0..6)) {
            let _ = unpack(Incarnation(1), &text);
            let _ = State::read(&text);
            let _ = incarnation(&text);
            let _ = session(&words, &"cam".parse().unwrap());
        }

        #[test]
        fn a_hello_survives(number in any::<u32>(), sessions_max in any::<u32>()) {
            let hello = Hello {
                worker: "worker-0".parse().unwrap(),
                incarnation: Incarnation(7),
                number: WorkerNumber::new(number),
                address: "[::1]:7000".parse().unwrap(),
                sessions_max,
            };
            prop_assert_eq!(unpack(Incarnation(7), &pack(&hello)), Some(hello));
        }
    }

    #[test]
    fn an_answer_that_is_not_understood_is_no_outage() {
        let placement = Placement {
            sid: SessionId::new([7; 16]),
            stream: "cam".parse().unwrap(),
            worker: "worker-0".parse().unwrap(),
            incarnation: Incarnation(7),
            takeover: Takeover::Replace,
            client: None,
            force: false,
            former: None,
        };
        let read = |word: &str, words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            placed(word, &words, &placement)
        };
        assert_eq!(read("ok", &["5", "3"]), Ok((placement.session(Epoch(5)), 3)));
        for (word, words) in [
            ("ok", ["4294967296", "3"].as_slice()),
            ("ok", &["5"]),
            ("rebuilding", &["soon"]),
            ("lost", &["sid"]),
            ("later", &[]),
        ] {
            assert_eq!(read(word, words), Err(PlaceError::Unreadable), "{word} {words:?}");
        }
    }

    #[test]
    fn a_later_versions_hello_is_read_and_a_broken_one_is_not() {
        let text = r#"{"worker":"w","number":1,"address":"a:1","sessions_max":2,"zone":"b"}"#;
        assert!(unpack(Incarnation(1), text).is_some());
        for broken in [
            "",
            "{}",
            r#"{"worker":"W","number":1,"address":"a:1","sessions_max":2}"#,
        ] {
            assert_eq!(unpack(Incarnation(1), broken), None);
        }
    }

    #[test]
    fn a_state_is_read_and_a_broken_one_is_not() {
        let state = State::read("1700000000000000 3 S 4 5 600 70").unwrap();
        assert_eq!(
            (state.serial, state.health, state.sessions),
            (1_700_000_000_000_000, Health::Suspect, 4)
        );
        assert_eq!(
            (state.load.sessions, state.load.packets_per_second, state.load.cpu),
            (5, 600, 70)
        );
        for broken in ["", "1 2", "1 2 X 4 5 6 7", "1 2 A 4 5 6 7 8", "1 2 A 4 5 6 700"] {
            assert_eq!(State::read(broken), None, "{broken}");
        }
        assert_eq!(incarnation("00000000000000ff"), Some(Incarnation(255)));
        assert_eq!(incarnation("+0000000000000ff"), None);
    }
}
