use std::{collections::HashMap, sync::atomic::AtomicBool, time::Duration};

use super::*;
use whipcord_whip::ice::IceOptions;

const EPOCH: Epoch = Epoch(1);

fn sid(number: u8) -> SessionId {
    SessionId::new([number; 16])
}

fn created(text: &str) -> Created {
    Created {
        answer: text.into(),
        ice_session: EntityTag::new("ice").unwrap(),
    }
}

/// One of this number.
pub(crate) fn live(number: u8) -> Live {
    let info = Info {
        sid: sid(number),
        stream: "cam".parse().unwrap(),
        epoch: Epoch(1),
        created_at: std::time::UNIX_EPOCH,
        metadata: HashMap::new(),
        mids: Vec::new(),
        recording: None,
        trace: Default::default(),
        heard: AtomicBool::new(false),
    };
    Live {
        info: Arc::new(info),
        created: created("answer"),
        ice_session: EntityTag::new("ice").unwrap(),
        remote: Credentials {
            ufrag: "abcd".into(),
            pwd: "p".repeat(22),
        },
        transport: Transport {
            mids: Vec::new(),
            tagged_mid: String::new(),
            tagged_media: "audio",
            ice_options: IceOptions::default(),
        },
        origin: 0,
    }
}

/// A session as if it had gone all the way.
fn establish(sessions: &Sessions, number: u8) {
    let admitted = sessions.admit(sid(number), EPOCH, [number; 32]).unwrap();
    let Admitted::New(sender) = admitted else {
        panic!("{admitted:?}")
    };
    sessions.establish(live(number));
    sender.send_replace(Some(created("answer")));
}

#[test]
fn a_repeated_creation_is_answered_the_same_and_another_offer_is_not() {
    let sessions = Sessions::new(10);
    let Ok(Admitted::New(sender)) = sessions.admit(sid(1), EPOCH, [7; 32]) else {
        panic!()
    };
    let Ok(Admitted::Same(waiting)) = sessions.admit(sid(1), EPOCH, [7; 32]) else {
        panic!()
    };
    assert_eq!(
        sessions.admit(sid(1), EPOCH, [8; 32]).unwrap_err(),
        AdmitError::OtherOffer
    );
    sessions.establish(live(1));
    sender.send_replace(Some(created("answer")));
    assert_eq!(*waiting.borrow(), Some(created("answer")));
    let Ok(Admitted::Done(done)) = sessions.admit(sid(1), EPOCH, [7; 32]) else {
        panic!()
    };
    assert_eq!(done, created("answer"));
    sessions.end(sid(1), Session::default());
    assert_eq!(
        sessions.admit(sid(1), EPOCH, [7; 32]).unwrap_err(),
        AdmitError::OtherOffer,
        "an id is not used again"
    );
}

#[test]
fn places_are_never_exceeded_and_free_when_the_shard_says_so() {
    let sessions = Sessions::new(2);
    establish(&sessions, 1);
    let Ok(Admitted::New(_)) = sessions.admit(sid(2), EPOCH, [0; 32]) else {
        panic!()
    };
    assert_eq!(sessions.admit(sid(3), EPOCH, [0; 32]).unwrap_err(), AdmitError::Full);
    assert!(matches!(sessions.close(sid(1), EPOCH), Ok(Close::Now)));
    assert_eq!(
        sessions.admit(sid(3), EPOCH, [0; 32]).unwrap_err(),
        AdmitError::Full,
        "it has not ended yet"
    );
    sessions.end(sid(1), Session::default());
    assert!(matches!(sessions.admit(sid(3), EPOCH, [0; 32]), Ok(Admitted::New(_))));
    sessions.abandon(sid(2));
    assert!(matches!(sessions.admit(sid(4), EPOCH, [0; 32]), Ok(Admitted::New(_))));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_is_known_for_a_minute() {
    let sessions = Sessions::new(2);
    establish(&sessions, 1);
    assert!(matches!(sessions.close(sid(1), EPOCH), Ok(Close::Now)));
    assert!(matches!(sessions.close(sid(1), EPOCH), Ok(Close::Over)), "told once");
    sessions.end(
        sid(1),
        Session {
            end_reason: "deleted".into(),
            ..Session::default()
        },
    );
    tokio::time::advance(Duration::from_secs(59)).await;
    assert!(matches!(sessions.close(sid(1), EPOCH), Ok(Close::Over)));
    assert_eq!(sessions.ended(sid(1)).unwrap().end_reason, "deleted");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(sessions.close(sid(1), EPOCH).unwrap_err(), LookUpError::NotFound);
    assert_eq!(sessions.ended(sid(1)), None);
}

#[test]
fn a_stale_epoch_reaches_nothing() {
    let sessions = Sessions::new(2);
    establish(&sessions, 1);
    let stale = LookUpError::Stale { current: EPOCH };
    assert_eq!(sessions.close(sid(1), Epoch(0)).unwrap_err(), stale);
    assert_eq!(
        sessions
            .with_live(sid(1), Epoch(2), |_| Ok::<_, LookUpError>(()))
            .unwrap_err(),
        stale
    );
    assert_eq!(sessions.with_live(sid(1), EPOCH, |_| Ok::<_, LookUpError>(())), Ok(()));
    assert_eq!(
        sessions.with_live(sid(2), EPOCH, |_| Ok::<_, LookUpError>(())),
        Err(LookUpError::NotFound)
    );
}

#[test]
fn a_session_that_is_being_made_is_closed_after_that() {
    let sessions = Sessions::new(2);
    let Ok(Admitted::New(sender)) = sessions.admit(sid(1), EPOCH, [0; 32]) else {
        panic!()
    };
    let Ok(Close::After(waiting)) = sessions.close(sid(1), EPOCH) else {
        panic!()
    };
    sessions.establish(live(1));
    sender.send_replace(Some(created("answer")));
    assert!(waiting.borrow().is_some());
    assert!(matches!(sessions.close(sid(1), EPOCH), Ok(Close::Now)));
}

#[test]
fn a_draining_worker_admits_none_and_keeps_what_it_has() {
    let sessions = Sessions::new(9);
    establish(&sessions, 1);
    assert_eq!(sessions.drain(), 1);
    assert_eq!(
        sessions.admit(sid(2), EPOCH, [0; 32]).unwrap_err(),
        AdmitError::Draining
    );
    assert!(matches!(sessions.admit(sid(1), EPOCH, [1; 32]), Ok(Admitted::Done(_))));
}

#[test]
fn the_directory_is_told_of_live_sessions_only() {
    let sessions = Sessions::new(9);
    let mut changes = sessions.changes();
    establish(&sessions, 1);
    establish(&sessions, 2);
    assert!(changes.has_changed().unwrap());
    let _creating = sessions.admit(sid(3), EPOCH, [0; 32]);
    assert!(matches!(sessions.close(sid(2), EPOCH), Ok(Close::Now)));
    assert_eq!(sessions.reported().into_keys().collect::<Vec<_>>(), [sid(1)]);
    changes.mark_unchanged();
    sessions.end(sid(1), Session::default());
    assert!(changes.has_changed().unwrap());
    assert!(sessions.reported().is_empty());
}

#[test]
fn pages_follow_the_ids() {
    let sessions = Sessions::new(9);
    (1..=5).for_each(|number| establish(&sessions, number));
    let page = |after, limit| {
        let (infos, more) = sessions.page(after, limit);
        (
            infos.iter().map(|info| info.sid.as_bytes()[0]).collect::<Vec<_>>(),
            more,
        )
    };
    assert_eq!(page(None, 2), (vec![1, 2], true));
    assert_eq!(page(Some(sid(2)), 2), (vec![3, 4], true));
    assert_eq!(page(Some(sid(4)), 2), (vec![5], false));
    assert_eq!(page(Some(sid(5)), 2), (vec![], false));
}
