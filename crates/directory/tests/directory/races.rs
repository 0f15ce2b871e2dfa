//! Two gateways at once.

use std::time::Duration;

use tokio::sync::Barrier;
use whipcord_directory::{CommitError, Directory, Lookup, PlaceError, Takeover};

use crate::{
    bed::{LONG, hello, placement, sid},
    server::Server,
};

/// A cheap series that differs in each place; its seed is the round.
fn delay(round: u64, who: u64, step: u64) -> Duration {
    let mixed = (round * 31 + who * 7 + step).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    Duration::from_micros(mixed % 2500)
}

/// Places and commits after random waits. True when the session lives, as far as this gateway knows.
async fn publish(
    d: &Directory,
    who: u8,
    round: u64,
    takeover: Takeover,
    barrier: &Barrier,
) -> Option<whipcord_directory::Session> {
    let stream = format!("cam/{round}");
    let placement = whipcord_directory::Placement {
        takeover,
        client: Some(who.into()),
        ..placement(who, who, &stream)
    };
    barrier.wait().await;
    tokio::time::sleep(delay(round, who.into(), 0)).await;
    let session = match d.place(&placement).await {
        Ok(session) => session,
        Err(PlaceError::Held) if takeover == Takeover::Reject => return None,
        Err(error) => panic!("{error}"),
    };
    tokio::time::sleep(delay(round, who.into(), 1)).await;
    match d.commit(&session).await {
        Ok(replaced) => {
            assert!(takeover == Takeover::Replace || replaced.is_empty());
            Some(session)
        }
        Err(CommitError::Lost) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_posts_at_one_barrier_one_session_lives() {
    let server = Server::start().await;
    let gateways = [server.directory(LONG), server.directory(LONG)];
    hello(&gateways[0], 1).await;
    hello(&gateways[1], 2).await;
    let barrier = Barrier::new(2);
    let (mut lost, mut replaced) = (0, 0);
    for round in 0..1000 {
        let takeover = if round % 4 == 3 {
            Takeover::Reject
        } else {
            Takeover::Replace
        };
        let (one, two) = tokio::join!(
            publish(&gateways[0], 1, round, takeover, &barrier),
            publish(&gateways[1], 2, round, takeover, &barrier)
        );
        let stream = format!("cam/{round}").parse().unwrap();
        let mut held = Vec::new();
        for who in [1, 2] {
            if let Lookup::Live(session) = gateways[0].lookup(&stream, sid(who)).await {
                held.push(session);
            }
        }
        assert_eq!(held.len(), 1, "round {round}");
        match (one, two) {
            (Some(one), Some(two)) => {
                assert_eq!(takeover, Takeover::Replace, "round {round}");
                let later = if one.owner.epoch > two.owner.epoch { one } else { two };
                assert_eq!(held[0], later, "round {round}: the later placed is the one");
                replaced += 1;
            }
            (Some(only), None) | (None, Some(only)) => {
                assert_eq!(held[0], only, "round {round}");
                lost += 1;
            }
            (None, None) => panic!("round {round}: nobody got the stream"),
        }
    }
    assert!(
        lost > 100 && replaced > 20,
        "they met: {lost} lost before, {replaced} after their commit"
    );
}
