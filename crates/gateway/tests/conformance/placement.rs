//! G. A POST and its workers: refused, full, slow, gone; and two that want the same stream.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::oneshot;
use tonic::Code;
use whipcord_directory::{CommitError, Load, Lookup, Session};
use whipcord_identity::SessionId;
use whipcord_proto::{
    convert,
    worker::{self as proto, DeleteReason},
};
use whipcord_whip::Refusal;

use crate::{
    answer::Answer,
    bed::{Bed, OFFER, SDP, eventually, log},
    worker::Step,
};

#[tokio::test]
async fn a_workers_refusal_reaches_the_encoder_as_it_is() {
    let bed = Bed::start().await;
    for (refusal, status) in [
        (Refusal::Empty, 400),
        (Refusal::NoMedia, 422),
        (
            Refusal::NoCodec {
                section: 1,
                accepted: vec![],
            },
            422,
        ),
        (Refusal::TooLarge { most: 1 }, 413),
    ] {
        bed.worker.next(Step::Fail(convert::refusal_status(&refusal)));
        let answer = bed.post("/whip/cam").await;
        answer.is_problem(status, refusal.reason());
        assert!(answer.body.contains(&refusal.to_string()), "{answer:?}");
    }
    assert_eq!(bed.directory.workers().workers[0].sessions, 0);
}

#[tokio::test]
async fn g6_without_a_worker_it_is_503_with_retry_after() {
    let bed = Bed::without_worker(&[]).await;
    let none = bed.post("/whip/cam").await;
    none.is_problem(503, "no_worker");
    assert_eq!(none.header("retry-after").as_deref(), Some("2"));

    let bed = Bed::start().await;
    for (code, status, reason) in [
        (Code::Unavailable, 503, "worker_away"),
        (Code::Internal, 500, "internal"),
        (Code::FailedPrecondition, 503, "no_worker"),
    ] {
        bed.hello().await;
        bed.worker.fail(code);
        bed.post("/whip/cam").await.is_problem(status, reason);
    }
    assert_eq!(
        *bed.directory.workers().workers,
        [],
        "another incarnation answered: this one is dead"
    );
    let said = "worker worker-0 reports, but nobody, or another process, answers at pipe:0: check its --grpc-advertise and the firewall";
    assert!(log().contains(said));
}

#[tokio::test]
async fn a_post_waits_until_the_directory_knows_whether_anybody_has_the_stream() {
    let bed = Bed::rebuilding(&["--takeover", "*=reject"], Duration::from_secs(2)).await;
    let stream = "cam".parse().unwrap();
    let unknown = bed.directory.lookup(&stream, SessionId::new([9; 16])).await;
    assert_eq!(unknown, Lookup::Unknown, "it is being rebuilt");
    bed.publish("cam").await;
    bed.post("/whip/cam").await.is_problem(409, "held");
}

#[tokio::test]
async fn a_post_does_not_wait_for_the_directory_for_ever() {
    let bed = Bed::rebuilding(&["--takeover", "*=reject"], Duration::from_secs(60)).await;
    let start = Instant::now();
    bed.post("/whip/cam").await.is_problem(503, "rebuilding");
    assert!(start.elapsed() >= Duration::from_secs(4), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

/// A POST whose worker answers when `meanwhile` has been done to the session that is placed there.
async fn post_while(bed: &Bed, path: &str, meanwhile: impl AsyncFnOnce(Session)) -> Answer {
    let (answer, held) = oneshot::channel();
    bed.worker.next(Step::Held(held));
    let before = bed.worker.state().created.len();
    let act = async {
        eventually(|| bed.worker.state().created.len() > before).await;
        let placed = bed.worker.state().created[before].clone();
        let session = Session {
            sid: convert::session_id(&placed.session_id).unwrap(),
            stream: placed.stream.parse().unwrap(),
            owner: convert::owner(placed.owner).unwrap(),
        };
        meanwhile(session).await;
        answer.send(()).unwrap();
    };
    tokio::join!(bed.post(path), act).0
}

/// Nobody else took the stream, so that is not what its encoder is told.
#[tokio::test]
async fn a_post_whose_worker_lost_its_lease_goes_elsewhere() {
    let bed = Bed::start().await;
    bed.hello_of(1).await;
    let bury = async |session: Session| bed.directory.bury(session.owner.incarnation).await;
    let answer = post_while(&bed, "/whip/cam", bury).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let created = bed.worker.state().created.clone();
    let [first, second] = created.as_slice() else {
        panic!("{created:?}");
    };
    assert_ne!(first.owner, second.owner);
    eventually(|| bed.worker.deleted() == [DeleteReason::Abandoned]).await;
    assert_eq!(bed.worker.state().deleted[0].session_id, first.session_id);
    assert_eq!(
        bed.holder("cam").await.unwrap().sid.as_bytes().as_slice(),
        second.session_id
    );
    // Where there is no other.
    let answer = post_while(&bed, "/whip/other", bury).await;
    answer.is_problem(503, "no_worker");
    assert_eq!(answer.header("retry-after").as_deref(), Some("2"));
}

/// The directory lost its data between the place and the commit, and whoever had the stream may tell of it later. Who may be replaced
/// by it need not be known: the later epoch keeps the stream.
#[tokio::test]
async fn a_post_whose_reservation_went_with_the_data_is_made_known_by_its_worker() {
    let bed = Bed::rebuilding(&[], Duration::from_secs(60)).await;
    let answer = post_while(&bed, "/whip/cam", async |session| {
        bed.directory.release(&session).await;
        assert_eq!(bed.directory.commit(&session).await, Err(CommitError::Rebuilding));
    });
    assert_eq!(answer.await.status, 201);
    assert_eq!(bed.worker.deleted(), []);
    assert_eq!(bed.worker.sessions(), 1);
}

#[tokio::test]
async fn a_refusal_of_a_later_kind_is_an_offer_that_cannot_be_served() {
    let bed = Bed::start().await;
    let later = proto::Refusal {
        kind: 99,
        reason: "later".to_owned(),
        message: "no such thing yet".to_owned(),
    };
    bed.worker.next(Step::Fail(convert::refusal_status(later)));
    bed.post("/whip/cam").await.is_problem(422, "later");
}

#[tokio::test]
async fn g10_a_worker_that_does_not_answer_is_given_up_in_time_and_its_session_ended() {
    let bed = Bed::start().await;
    bed.worker.next(Step::Late(Duration::from_secs(60)));
    let start = Instant::now();
    bed.post("/whip/cam").await.is_problem(503, "worker_away");
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    eventually(|| bed.worker.deleted() == [DeleteReason::Abandoned]).await;
    assert_eq!(
        bed.directory
            .workers()
            .workers
            .first()
            .map_or(0, |worker| worker.sessions),
        0
    );
}

#[tokio::test]
async fn of_two_posts_at_once_one_wins_and_the_other_leaves_nothing() {
    let bed = Bed::start().await;
    bed.worker.next(Step::Late(Duration::from_millis(300)));
    let slow = bed.post("/whip/cam");
    let fast = async {
        eventually(|| bed.worker.state().created.len() == 1).await;
        bed.post("/whip/cam").await
    };
    let (slow, fast) = tokio::join!(slow, fast);
    assert_eq!(fast.status, 201);
    slow.is_problem(409, "superseded");
    eventually(|| bed.worker.deleted() == [DeleteReason::Abandoned] && bed.worker.sessions() == 1).await;
}

#[tokio::test]
async fn a_post_that_had_to_wait_does_not_take_the_stream_back() {
    let bed = Bed::without_worker(&[]).await;
    let leases = [bed.hello_of(1).await, bed.hello_of(2).await];
    bed.worker.next(Step::Late(Duration::from_secs(60)));
    let later = async {
        eventually(|| bed.worker.state().created.len() == 1).await;
        bed.publish("cam").await
    };
    let beats = async {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            for lease in &leases {
                bed.directory.beat(lease, Load::default()).await.unwrap();
            }
        }
    };
    let (first, later) = tokio::select! {
        both = async { tokio::join!(bed.post("/whip/cam"), later) } => both,
        () = beats => unreachable!("workers never stop beating"),
    };
    first.is_problem(409, "superseded");
    let holder = bed.holder("cam").await.unwrap();
    assert_eq!(holder.sid.to_string(), later.sid());
}

#[tokio::test]
async fn a_full_or_slow_worker_is_passed_over() {
    let bed = Bed::start().await;
    bed.hello_of(1).await;
    bed.worker.fail(Code::ResourceExhausted);
    assert_eq!(bed.post("/whip/cam").await.status, 201);
    let created = &bed.worker.state().created;
    let asked = |n: usize| created[n].owner.clone().unwrap().worker_id;
    assert_eq!(created.len(), 2);
    assert_ne!(asked(0), asked(1));
    assert_ne!(created[0].session_id, created[1].session_id);
}

#[tokio::test]
async fn a_post_gets_the_room_that_appears_where_every_worker_was_full() {
    let bed = Bed::start().await;
    bed.hello_of(1).await;
    // More often than workers are asked that fail otherwise.
    for _ in 0..10 {
        bed.worker.fail(Code::ResourceExhausted);
    }
    assert_eq!(bed.post("/whip/cam").await.status, 201);
    let created = bed.worker.state().created.len();
    assert_eq!(created, 11);
    let known = bed
        .directory
        .workers()
        .workers
        .iter()
        .map(|worker| worker.sessions)
        .sum::<usize>();
    assert_eq!(known, 1, "what was reserved in vain was released");
}

#[tokio::test]
async fn a_post_waits_for_room_for_so_long_and_asks_at_each_look() {
    let bed = Bed::start().await;
    for _ in 0..100 {
        bed.worker.fail(Code::ResourceExhausted);
    }
    let start = Instant::now();
    let answer = bed.post("/whip/cam").await;
    answer.is_problem(503, "no_worker");
    assert_eq!(answer.header("retry-after").as_deref(), Some("2"));
    assert!(start.elapsed() >= Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let asked = bed.worker.state().created.len();
    // Every 250 ms of 5 s, and at once.
    assert!((4..=21).contains(&asked), "{asked}");
}

#[tokio::test]
async fn an_encoder_that_goes_away_leaves_no_half_made_session() {
    let bed = Bed::start().await;
    bed.worker.next(Step::Late(Duration::from_millis(100)));
    let gone = tokio::time::timeout(Duration::from_millis(50), bed.post("/whip/cam")).await;
    assert!(gone.is_err());
    for _ in 0..100 {
        if bed.holder("cam").await.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the session was not committed");
}

/// A quarter of the queue is one token's at most.
#[tokio::test]
async fn one_token_does_not_take_every_place_in_the_queue_for_room() {
    const ROOM_WAIT: Duration = Duration::from_secs(5);
    const QUARTER: usize = 256;
    let bed = Bed::without_worker(&[]).await;
    let busy = bed.mint(&["*"]);
    let post = async |path: &str, token: &str| {
        let authorization = format!("Bearer {token}");
        let headers = [SDP, ("Authorization", authorization.as_str())];
        bed.request("POST", path, &headers, OFFER.as_bytes()).await
    };
    let begun = Instant::now();
    let mut posts: FuturesUnordered<_> = (0..QUARTER + 8).map(|_| post("/whip/busy", &busy)).collect();
    for _ in 0..8 {
        posts.next().await.unwrap().is_problem(503, "no_worker");
    }
    assert!(begun.elapsed() < ROOM_WAIT, "they waited for room");
    let other = post("/whip/other", &bed.token);
    let room = async {
        for n in 0..5 {
            bed.hello_of(n).await;
        }
    };
    let (other, ()) = tokio::join!(other, room);
    assert_eq!(other.status, 201, "{other:?}");
}
