use std::future::Future;

use mio::{Poll, Token, Waker};
use tokio::sync::mpsc;

use super::*;
use crate::sessions::tests::live;

const EPOCH: Epoch = Epoch(1);

fn sid() -> SessionId {
    SessionId::new([1; 16])
}

/// To a shard that takes no commands but for the test.
pub(crate) fn handle(room: usize) -> (shard::Handle, mpsc::Receiver<Command>) {
    let poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
    let (sender, commands) = mpsc::channel(room);
    (shard::Handle::new(sender, waker, Arc::default()), commands)
}

/// With so many live sessions.
pub(crate) fn control(shard: shard::Handle, live_sessions: u8) -> Control {
    let sessions = Sessions::new(live_sessions.into());
    for number in 1..=live_sessions {
        let admitted = sessions.admit(SessionId::new([number; 16]), EPOCH, [0; 32]);
        assert!(matches!(admitted, Ok(Admitted::New(_))));
        sessions.establish(live(number));
    }
    Control {
        worker: "worker".parse().unwrap(),
        incarnation: Incarnation(1),
        number: AtomicU32::new(1),
        ice_keys: IceKeys::generate([1; 32]),
        certificate: Certificate::generate().unwrap(),
        addresses: Known::fixed(Vec::new()),
        preferences: Preferences::default(),
        sessions,
        stories: Stories::default(),
        shard,
        recorder: None,
        downloads: Downloads::default(),
        voice: Voice::new(),
        grace: watch::Sender::new(Grace::Endless),
        tasks: TaskTracker::new(),
        shutdown: CancellationToken::new(),
        created: crate::metrics::created(),
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_while_the_shard_is_busy_leaves_a_session_that_can_still_be_ended() {
    let (handle, mut commands) = handle(1);
    let control = control(handle, 1);
    control.shard.send(Command::Stop).unwrap();

    let mut given_up = Box::pin(control.close(sid(), EPOCH, EndReason::Deleted));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(given_up.as_mut().poll(&mut context).is_pending(), "there is no room");
    drop(given_up);

    assert!(matches!(commands.recv().await, Some(Command::Stop)));
    control.close(sid(), EPOCH, EndReason::Deleted).await.unwrap();
    assert!(matches!(commands.try_recv(), Ok(Command::Close { .. })));
}
