//! A checkpoint, decoded, adopted, and lived with until it ends.

use crate::session;
use whipcord_peer::{Checkpoint, checkpoint::Error};

pub fn run(data: &[u8]) {
    let Ok(checkpoint) = Checkpoint::decode(data) else {
        return;
    };
    let again = Checkpoint::decode(&checkpoint.encode());
    assert!(again.is_ok_and(|again| again == checkpoint));

    let mut mux = session::mux();
    let mut now = session::beginning();
    let stale = mux.adopt(now, &checkpoint, checkpoint.epoch());
    assert!(matches!(stale, Err(Error::StaleEpoch { .. })));
    let Ok(key) = mux.adopt(now, &checkpoint, u32::MAX) else {
        return assert_eq!((mux.sessions(), mux.poll_timeout()), (0, None));
    };
    assert_eq!(mux.adopt(now, &checkpoint, u32::MAX), Err(Error::AlreadyHere));

    let next = mux.checkpoint(key).expect("an adopted session can be handed on");
    assert!(next.epoch() == u32::MAX && Checkpoint::decode(&next.encode()).is_ok_and(|read| read == next));
    mux.persisted(key, &next);
    let mut buffer = vec![];
    let end = now + session::LIFE_MAX;
    while mux.sessions() > 0 {
        now = mux.poll_timeout().expect("a session has a deadline").max(now);
        assert!(now < end, "silent, and still here");
        mux.handle_timeout(now);
        while mux.poll_transmit(&mut buffer).is_some() {
            assert!((1..=1500).contains(&buffer.len()));
        }
    }
}
