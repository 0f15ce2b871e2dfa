use std::future::Future;

use mio::{Poll, Token, Waker};
use tokio::sync::mpsc;
use whipcord_whip::{Kind, ice::IceOptions, negotiate::Transport};

use super::*;

const EPOCH: Epoch = Epoch(1);

fn sid() -> SessionId {
    SessionId::new([1; 16])
}

fn live() -> Live {
    let info = Info {
        sid: sid(),
        stream: "cam".parse().unwrap(),
        created_at_ms: 0,
        metadata: HashMap::new(),
        mids: Vec::new(),
        recording: None,
    };
    Live {
        info: Arc::new(info),
        created: Created {
            answer: String::new(),
            ice_session: EntityTag::new("ice").unwrap(),
        },
        ice_session: EntityTag::new("ice").unwrap(),
        remote: Credentials {
            ufrag: "abcd".into(),
            pwd: "p".repeat(22),
        },
        transport: Transport {
            mids: Vec::new(),
            tagged_mid: String::new(),
            tagged_kind: Kind::Audio,
            ice_options: IceOptions::default(),
        },
        origin: 0,
    }
}

/// With one live session, and a shard that takes no commands but for the test.
fn control(shard: shard::Handle) -> Control {
    let sessions = Sessions::new(1);
    assert!(matches!(sessions.admit(sid(), EPOCH, [0; 32]), Ok(Admitted::New(_))));
    sessions.establish(live());
    Control {
        worker: "worker".parse().unwrap(),
        incarnation: Incarnation(1),
        number: AtomicU32::new(1),
        ice_keys: IceKeys::generate([1; 32]),
        certificate: Certificate::generate().unwrap(),
        candidates: Vec::new(),
        preferences: Preferences::default(),
        sessions,
        shard,
        recorder: None,
        tasks: TaskTracker::new(),
        shutdown: CancellationToken::new(),
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_while_the_shard_is_busy_leaves_a_session_that_can_still_be_ended() {
    let poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
    let (sender, mut commands) = mpsc::channel(1);
    let control = control(shard::Handle::new(sender, waker));
    control.shard.send(Command::Stop).unwrap();

    let mut given_up = Box::pin(control.close(sid(), EPOCH, EndReason::Deleted));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(given_up.as_mut().poll(&mut context).is_pending(), "there is no room");
    drop(given_up);

    assert!(matches!(commands.recv().await, Some(Command::Stop)));
    control.close(sid(), EPOCH, EndReason::Deleted).await.unwrap();
    assert!(matches!(commands.try_recv(), Ok(Command::Close { .. })));
}
