//! Who gets a stream: rules as functions over any directory.

use tokio::time::Instant;
use whipcord_directory::{
    CommitError, Directory, Load, Lookup, PlaceError, Placement, ReportError, Reported, SESSIONS_PER_STREAM_MAX,
    Session, Takeover,
};
use whipcord_identity::{Epoch, SessionId};

use crate::{
    bed::{
        REBUILT, SHORT, eventually, hello, holders, is_live, keep, live, place, placement, report, reported, session,
        sid,
    },
    server::{Server, is_installed},
};

rules![
    of_two_that_live_the_later_epoch_keeps_the_stream: LONG,
    who_was_never_heard_of_takes_no_stream: SHORT,
    who_is_heard_of_has_its_stream_though_its_commit_was_lost: LONG,
    who_lost_its_stream_unheard_is_found_by_its_workers_count: SHORT,
    epochs_of_a_stream_only_grow: LONG,
    an_epoch_that_nobody_gave_is_lost: LONG,
    a_stream_placed_in_a_hurry_keeps_its_sessions: LONG,
    a_stream_placed_in_too_much_of_a_hurry_waits: LONG,
    a_commit_whose_reservation_went_with_the_data_is_not_lost: REBUILDING,
    a_stream_has_so_many_sessions_and_no_more: LONG,
    a_retry_does_not_take_the_stream_back: LONG,
    reject_keeps_the_holder_and_the_reservation: SHORT,
    reject_waits_until_the_index_is_rebuilt: REBUILT,
    several_sessions_share_a_stream: LONG,
    who_lost_a_stream_waits_unless_forced: SHORT,
    who_takes_its_own_stream_back_is_no_loser: LONG,
];

async fn of_two_that_live_the_later_epoch_keeps_the_stream(d: &Directory) {
    let leases = [hello(d, 1).await, hello(d, 2).await];
    assert_eq!(d.add(&leases[0], vec![reported(1, 1, "cam", 10)]).await, Ok(vec![]));
    let stale = d.add(&leases[1], vec![reported(2, 2, "cam", 9)]).await;
    assert_eq!(stale, Ok(vec![session(2, 2, "cam", 9)]));
    let same = d.add(&leases[1], vec![reported(2, 2, "cam", 10)]).await;
    assert_eq!(same, Ok(vec![session(2, 2, "cam", 10)]), "who holds it stays");
    let later = d.add(&leases[1], vec![reported(2, 2, "cam", 11)]).await;
    assert_eq!(later, Ok(vec![session(1, 1, "cam", 10)]));
    assert_eq!(holders(d, "cam").await, [session(2, 2, "cam", 11)]);
    let stale = d.add(&leases[0], vec![reported(1, 2, "cam", 8)]).await;
    assert_eq!(stale, Ok(vec![session(1, 2, "cam", 8)]), "of the same session, too");
    assert_eq!(holders(d, "cam").await, [session(2, 2, "cam", 11)]);
}

/// As when a gateway died with the answer, and its reservation ended before the worker's next snapshot.
async fn who_was_never_heard_of_takes_no_stream(d: &Directory) {
    let lease = hello(d, 1).await;
    let first = live(d, 1, 1, "cam").await;
    let orphan = place(d, 1, 2, "cam").await;
    keep(d, &lease, SHORT.reservation * 2).await;
    let unheard = d.add(&lease, report(&orphan)).await;
    assert_eq!(unheard, Ok(vec![]), "nor is it ended: its encoder may be on its way");
    assert_eq!(holders(d, "cam").await, std::slice::from_ref(&first));
    let free = session(1, 3, "free", 7);
    assert_eq!(d.add(&lease, report(&free)).await, Ok(vec![]));
    assert!(is_live(d, &free).await, "nobody else has it");
    let heard = vec![reported(1, 2, "cam", orphan.owner.epoch.0)];
    assert_eq!(d.add(&lease, heard).await, Ok(vec![first]));
    assert_eq!(holders(d, "cam").await, [orphan]);
}

/// A commit is no change that its worker's gateway counts; that its encoder was heard of is one.
async fn who_is_heard_of_has_its_stream_though_its_commit_was_lost(d: &Directory) {
    let lease = hello(d, 1).await;
    let first = live(d, 1, 1, "cam").await;
    let second = place(d, 1, 2, "cam").await;
    assert_eq!(d.add(&lease, report(&second)).await, Ok(vec![]), "it may be on its way");
    assert_eq!(holders(d, "cam").await, std::slice::from_ref(&first));
    let heard = vec![reported(1, 2, "cam", second.owner.epoch.0)];
    assert_eq!(d.add(&lease, heard).await, Ok(vec![first]));
    assert_eq!(holders(d, "cam").await, [second]);
}

/// As when a gateway died after its commit: nobody tells the worker of the one replaced.
async fn who_lost_its_stream_unheard_is_found_by_its_workers_count(d: &Directory) {
    let leases = [hello(d, 1).await, hello(d, 2).await];
    let told = |sessions| Load {
        sessions,
        ..Load::default()
    };
    let first = live(d, 1, 1, "cam").await;
    assert_eq!(d.beat(&leases[0], told(1)).await, Ok(()));
    let second = live(d, 2, 2, "cam").await;
    let begun = Instant::now();
    eventually(async || {
        assert_eq!(
            d.beat(&leases[1], told(1)).await,
            Ok(()),
            "of this one both know the same"
        );
        d.beat(&leases[0], told(1)).await == Err(ReportError::Expired)
    })
    .await;
    assert!(begun.elapsed() > SHORT.reservation, "it may have been on its way");
    assert_eq!(d.beat(&leases[0], told(1)).await, Err(ReportError::Expired), "for good");
    let again = hello(d, 1).await;
    assert_eq!(d.held(&again).await, Some(vec![]), "so its digest differs");
    let lost = d.add(&again, vec![reported(1, 1, "cam", first.owner.epoch.0)]).await;
    assert_eq!(lost, Ok(vec![first]));
    assert_eq!(d.beat(&again, told(1)).await, Ok(()), "it is not refused at every beat");
    assert_eq!(d.beat(&again, told(0)).await, Ok(()));
    assert_eq!(holders(d, "cam").await, [second]);
}

async fn epochs_of_a_stream_only_grow(d: &Directory) {
    let lease = hello(d, 1).await;
    let mut last = Epoch(0);
    for n in 0..20 {
        let cam = live(d, 1, n, "cam").await;
        assert!(cam.owner.epoch > last);
        last = cam.owner.epoch;
        d.release(&cam).await;
    }
    // Some 20 s ahead of the clock by now, which may be 600.
    let far = last.0 + 20;
    d.add(&lease, vec![reported(1, 30, "cam", far)]).await.unwrap();
    assert_eq!(place(d, 1, 31, "cam").await.owner.epoch, Epoch(far + 1));
}

async fn an_epoch_that_nobody_gave_is_lost(d: &Directory) {
    let lease = hello(d, 1).await;
    hello(d, 2).await;
    let cam = live(d, 2, 1, "cam").await;
    for stream in ["cam", "free"] {
        let forged = d.add(&lease, vec![reported(1, 2, stream, u32::MAX)]).await;
        assert_eq!(forged, Ok(vec![session(1, 2, stream, u32::MAX)]));
    }
    let raised = d.add(&lease, vec![reported(1, 1, "cam", u32::MAX)]).await;
    assert_eq!(
        raised,
        Ok(vec![session(1, 1, "cam", u32::MAX)]),
        "of another's session, too"
    );
    assert_eq!(holders(d, "cam").await, std::slice::from_ref(&cam));
    let next = live(d, 1, 3, "cam").await;
    assert!(next.owner.epoch > cam.owner.epoch);
    assert_eq!(
        d.add(&lease, report(&next)).await,
        Ok(vec![]),
        "one it was given is none of these"
    );
}

/// Placed more often than once a second for long, as by two encoders that fight for it.
async fn a_stream_placed_in_a_hurry_keeps_its_sessions(d: &Directory) {
    let lease = hello(d, 1).await;
    for _ in 0..200 {
        place(d, 1, 1, "cam").await;
    }
    let last = live(d, 1, 2, "cam").await;
    // As when its entry was lost.
    d.release(&last).await;
    let told = d.add(&lease, vec![reported(1, 2, "cam", last.owner.epoch.0)]).await;
    assert_eq!(told, Ok(vec![]));
    assert!(is_live(d, &last).await);
}

/// Two equal epochs would each lose to the other: both publishers would be refused, and whoever streams would stay for ever.
async fn a_stream_placed_in_too_much_of_a_hurry_waits(d: &Directory) {
    let lease = hello(d, 1).await;
    let mut holder = live(d, 1, 1, "cam").await;
    let mut refused = None;
    for _ in 0..1000 {
        match d.place(&placement(1, 2, "cam")).await {
            Ok(next) => {
                assert!(next.owner.epoch > holder.owner.epoch, "{next:?} after {holder:?}");
                holder = next;
            }
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    assert_eq!(refused, Some(PlaceError::Hurry));
    assert!(
        d.place(&placement(1, 4, "other")).await.is_ok(),
        "of another stream nothing is known"
    );
    assert!(d.commit(&holder).await.is_ok(), "what was refused takes nothing out");
    assert_eq!(d.add(&lease, report(&holder)).await, Ok(vec![]));
    eventually(async || d.place(&placement(1, 3, "cam")).await.is_ok()).await;
}

async fn a_commit_whose_reservation_went_with_the_data_is_not_lost(d: &Directory) {
    let lease = hello(d, 1).await;
    let first = place(d, 1, 1, "cam").await;
    let second = place(d, 1, 2, "cam").await;
    let never = session(1, 3, "never", second.owner.epoch.0);
    let told = session(1, 4, "told", second.owner.epoch.0);
    assert_eq!(d.add(&lease, report(&told)).await, Ok(vec![]));
    assert_eq!(d.commit(&never).await, Err(CommitError::Rebuilding));
    assert_eq!(d.commit(&told).await, Ok(vec![]), "its worker was faster");
    assert_eq!(d.commit(&first).await, Err(CommitError::Lost), "a later one is known");
    eventually(async || d.commit(&never).await == Err(CommitError::Lost)).await;
    assert_eq!(d.commit(&told).await, Err(CommitError::Lost), "it was committed");
}

async fn a_stream_has_so_many_sessions_and_no_more(d: &Directory) {
    let lease = hello(d, 1).await;
    let told = |n: usize| Reported {
        session: Session {
            sid: SessionId::new((n as u128).to_be_bytes()),
            ..session(1, 0, "cam", 5)
        },
        takeover: Takeover::Several,
        heard: true,
    };
    let most = SESSIONS_PER_STREAM_MAX;
    let lost = d.add(&lease, (0..most + 44).map(told).collect()).await.unwrap();
    let beyond = (most..most + 44).map(|n| told(n).session);
    assert!(lost.into_iter().eq(beyond));
    assert_eq!(d.add(&lease, vec![told(most)]).await, Ok(vec![told(most).session]));
    assert_eq!(d.add(&lease, vec![told(7)]).await, Ok(vec![]), "it has its place");
    d.remove(&lease, &[told(7).session.sid]).await.unwrap();
    assert_eq!(d.add(&lease, vec![told(most)]).await, Ok(vec![]));
}

async fn a_retry_does_not_take_the_stream_back(d: &Directory) {
    hello(d, 1).await;
    let first = place(d, 1, 1, "cam").await;
    let later = live(d, 1, 2, "cam").await;
    let retry = Placement {
        former: Some(first.owner.epoch),
        ..placement(1, 3, "cam")
    };
    assert_eq!(d.place(&retry).await, Err(PlaceError::Superseded));
    assert_eq!(holders(d, "cam").await, std::slice::from_ref(&later));
    let after = Placement {
        former: Some(later.owner.epoch),
        ..retry
    };
    assert!(d.place(&after).await.is_ok(), "the same request may go elsewhere");
}

async fn reject_keeps_the_holder_and_the_reservation(d: &Directory) {
    let knocking = |n| Placement {
        takeover: Takeover::Reject,
        ..placement(1, n, "cam")
    };
    let lease = hello(d, 1).await;
    let first = d.place(&knocking(1)).await.unwrap();
    assert_eq!(d.place(&knocking(2)).await, Err(PlaceError::Held), "it is reserved");
    keep(d, &lease, SHORT.reservation * 2).await;
    let second = d.place(&knocking(3)).await.unwrap();
    assert!(second.owner.epoch > first.owner.epoch);
    d.commit(&second).await.unwrap();
    keep(d, &lease, SHORT.reservation * 2).await;
    assert_eq!(d.place(&knocking(4)).await, Err(PlaceError::Held));
    d.remove(&lease, &[sid(3)]).await.unwrap();
    assert!(d.place(&knocking(5)).await.is_ok());
}

async fn reject_waits_until_the_index_is_rebuilt(d: &Directory) {
    let knocking = Placement {
        takeover: Takeover::Reject,
        ..placement(1, 1, "cam")
    };
    hello(d, 1).await;
    let refused = d.place(&knocking).await;
    assert!(
        matches!(&refused, Err(PlaceError::Rebuilding { left }) if *left <= REBUILT.rebuild),
        "{refused:?}"
    );
    let stream = "other".parse().unwrap();
    assert_eq!(d.lookup(&stream, sid(9)).await, Lookup::Unknown);
    assert!(
        is_live(d, &live(d, 1, 2, "free").await).await,
        "what may be replaced need not wait"
    );
    eventually(async || d.place(&knocking).await.is_ok()).await;
    assert_eq!(d.lookup(&stream, sid(9)).await, Lookup::Absent);
}

async fn several_sessions_share_a_stream(d: &Directory) {
    let lease = hello(d, 1).await;
    let beside = |n| Placement {
        takeover: Takeover::Several,
        ..placement(1, n, "cam")
    };
    for n in 1..=3 {
        let placed = d.place(&beside(n)).await.unwrap();
        assert_eq!(d.commit(&placed).await, Ok(vec![]));
    }
    let fourth = Reported {
        takeover: Takeover::Several,
        ..reported(1, 4, "cam", 1)
    };
    assert_eq!(d.add(&lease, vec![fourth]).await, Ok(vec![]));
    assert_eq!(holders(d, "cam").await.len(), 4);
    let last = place(d, 1, 5, "cam").await;
    assert_eq!(d.commit(&last).await.unwrap().len(), 4, "as the pattern says now");
}

async fn who_lost_a_stream_waits_unless_forced(d: &Directory) {
    let of = |client, n| Placement {
        client: Some(client),
        ..placement(1, n, "cam")
    };
    let lease = hello(d, 1).await;
    for (client, n) in [(7, 1), (8, 2)] {
        let placed = d.place(&of(client, n)).await.unwrap();
        d.commit(&placed).await.unwrap();
    }
    let holder = holders(d, "cam").await.pop().unwrap();
    assert_eq!(holder.sid, sid(2));
    let lost = d.place(&of(7, 3)).await;
    assert_eq!(lost, Err(PlaceError::Lost { holder }));
    assert!(d.place(&of(9, 4)).await.is_ok(), "a third one is no loser");
    let forced = Placement {
        force: true,
        ..of(7, 5)
    };
    assert!(d.place(&forced).await.is_ok());
    keep(d, &lease, SHORT.loser_wait * 2).await;
    assert!(d.place(&of(7, 6)).await.is_ok(), "it need not wait for ever");
}

async fn who_takes_its_own_stream_back_is_no_loser(d: &Directory) {
    hello(d, 1).await;
    for n in 1..=4 {
        let mine = Placement {
            client: Some(7),
            ..placement(1, n, "cam")
        };
        let placed = d.place(&mine).await.unwrap();
        d.commit(&placed).await.unwrap();
    }
    assert_eq!(holders(d, "cam").await[0].sid, sid(4));
}
