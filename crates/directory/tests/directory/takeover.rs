//! Who gets a stream: rules as functions over any directory.

use whipcord_directory::{Directory, Lookup, PlaceError, Placement, Reported, Takeover};
use whipcord_identity::Epoch;

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
    epochs_of_a_stream_only_grow: LONG,
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

async fn epochs_of_a_stream_only_grow(d: &Directory) {
    let lease = hello(d, 1).await;
    let mut last = Epoch(0);
    for n in 0..20 {
        let cam = live(d, 1, n, "cam").await;
        assert!(cam.owner.epoch > last);
        last = cam.owner.epoch;
        d.release(&cam).await;
    }
    let far = last.0 + 1_000_000;
    d.add(&lease, vec![reported(1, 30, "cam", far)]).await.unwrap();
    assert_eq!(place(d, 1, 31, "cam").await.owner.epoch, Epoch(far + 1));
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
    assert!(second > first);
    d.commit(&session(1, 3, "cam", second.0)).await.unwrap();
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
        let epoch = d.place(&beside(n)).await.unwrap();
        assert_eq!(d.commit(&session(1, n, "cam", epoch.0)).await, Ok(vec![]));
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
        let epoch = d.place(&of(client, n)).await.unwrap();
        d.commit(&session(1, n, "cam", epoch.0)).await.unwrap();
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
        let epoch = d.place(&mine).await.unwrap();
        d.commit(&session(1, n, "cam", epoch.0)).await.unwrap();
    }
    assert_eq!(holders(d, "cam").await[0].sid, sid(4));
}
