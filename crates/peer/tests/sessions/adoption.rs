//! A session leaves one process and goes on in another.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use whipcord_peer::{Checkpoint, EndReason, Event, checkpoint::Error, stats::DropReason};
use whipcord_whip::Credentials;

use crate::{
    bed::{Bed, ENCODER, address, mux},
    publisher::{Habits, VIDEO_PT, VIDEO_SSRC},
    random::Random,
};

fn habits() -> Habits {
    Habits {
        rtx: true,
        repairs: true,
        transport_cc: true,
        rate: 300,
        ..Habits::default()
    }
}

#[test]
fn there_is_no_checkpoint_before_the_first_authenticated_packet() {
    let mut bed = Bed::new(habits());
    assert!(bed.checkpoint().is_none());
    let end = bed.now + Duration::from_secs(1);
    while !bed.has(&Event::FirstMedia) {
        let taken = bed.checkpoint().is_some();
        bed.step(end);
        assert!(!taken);
    }
    assert!(bed.checkpoint().is_some());
}

#[test]
fn a_checkpoint_survives_its_bytes() {
    let mut bed = Bed::live(Habits {
        rids: &["a", "b"],
        ..habits()
    });
    let checkpoint = bed.checkpoint().expect("live");
    let bytes = checkpoint.encode();
    let again = Checkpoint::decode(&bytes).expect("our own bytes");
    assert!(again == checkpoint);
    assert!(bytes.len() < 1500, "{} bytes", bytes.len());
    assert!(!format!("{checkpoint:?}").contains("password"));
}

#[test]
fn the_encoder_does_not_notice_an_adoption() {
    for setup in ["actpass", "passive"] {
        let mut bed = Bed::live(Habits { setup, ..habits() });
        let bytes = bed.checkpoint().expect("live").encode();
        bed.run(Duration::from_millis(300));
        let before = bed.media.len();
        bed.adopt(&bytes);
        bed.run(Duration::from_secs(20));
        assert!(
            bed.media.len() >= before + 20 * 400 - 40,
            "{setup}: {}",
            bed.media.len() - before
        );
        let heard = &bed.publisher.heard;
        assert_eq!(
            (heard.unauthentic, heard.replayed, heard.closed),
            (0, 0, false),
            "{setup}"
        );
        assert!(heard.receiver_reports > 15 && heard.stun_successes > 3, "{setup}");
        assert_eq!(
            bed.mux
                .stats(bed.key)
                .expect("alive")
                .dropped
                .count(DropReason::Unauthentic),
            0,
            "{setup}"
        );
    }
}

/// Whatever has just happened to the session, another process can go on from there.
#[test]
fn a_session_can_be_carried_over_at_every_event_and_every_packet() {
    let mut bed = Bed::live(Habits {
        rids: &["a", "b"],
        announces_ssrcs: false,
        ..habits()
    });
    bed.network.loss = 0.02;
    bed.network.reordering = 0.05;
    let end = bed.now + Duration::from_secs(3);
    let mut adopted = 0;
    let mut seen = bed.events.len();
    let mut steps = 0;
    while bed.step(end) {
        steps += 1;
        if bed.events.len() > seen || steps % 7 == 0 {
            seen = bed.events.len();
            let bytes = bed.checkpoint().expect("live").encode();
            bed.adopt(&bytes);
            adopted += 1;
        }
    }
    bed.network.loss = 0.0;
    bed.run(Duration::from_secs(1));
    assert!(adopted > 100, "{adopted}");
    assert_eq!((bed.publisher.heard.unauthentic, bed.publisher.heard.replayed), (0, 0));
    let received: BTreeSet<u64> = bed.video_sequences().into_iter().collect();
    let sent = bed.publisher.next[0] - 1000;
    assert!(received.len() as u64 * 100 >= sent * 97, "{} of {sent}", received.len());
}

#[test]
fn what_was_lost_between_checkpoint_and_adoption_is_asked_for_and_comes_back() {
    let mut bed = Bed::live(habits());
    let bytes = bed.checkpoint().expect("live").encode();
    let last = *bed.video_sequences().last().expect("media");
    bed.media.clear();
    bed.network.cut = true;
    bed.run(Duration::from_millis(300));
    bed.network.cut = false;
    bed.adopt(&bytes);
    bed.run(Duration::from_secs(2));
    let received: BTreeSet<u64> = bed.video_sequences().into_iter().collect();
    let missing = (last + 1..bed.publisher.next[0] - 5)
        .filter(|sequence| !received.contains(sequence))
        .count();
    assert_eq!(missing, 0);
    assert!(bed.publisher.heard.keyframe_requests >= 2, "and a keyframe, to be sure");
}

#[test]
fn the_roll_over_counter_is_found_again_after_a_long_gap() {
    for skipped in [100, 20_000, 40_000, 70_000, 130_000] {
        let mut bed = Bed::live(Habits {
            rtx: false,
            repairs: false,
            ..habits()
        });
        let bytes = bed.checkpoint().expect("live").encode();
        bed.publisher.publishing = false;
        bed.adopt(&bytes);
        let sequence = bed.publisher.next[0] + skipped;
        let packet = bed
            .publisher
            .rtp(VIDEO_SSRC, VIDEO_PT, sequence, Some(0), vec![1; 100], false);
        bed.receive(address(ENCODER), packet);
        assert!(bed.video_sequences().contains(&sequence), "{skipped} packets later");
    }
}

#[test]
fn an_adopted_session_that_hears_nothing_ends() {
    let mut bed = Bed::live(habits());
    let bytes = bed.checkpoint().expect("live").encode();
    bed.adopt(&bytes);
    bed.network.cut = true;
    bed.run(Duration::from_secs(31));
    assert!(bed.ended(EndReason::Silent));
}

#[test]
fn an_adopted_session_answers_all_credentials_that_were_answered_before() {
    let mut bed = Bed::live(habits());
    let first = bed.publisher.server.clone();
    let credentials = |name: &str| Credentials {
        ufrag: format!("{name}ufrag"),
        pwd: format!("{name}password{name}password"),
    };
    for name in ["second", "third"] {
        assert!(bed.mux.restart(bed.key, credentials("client2"), credentials(name)));
    }
    let bytes = bed.checkpoint().expect("live").encode();
    bed.adopt(&bytes);
    for credentials in [credentials("third"), credentials("second"), first] {
        let before = bed.publisher.heard.stun_successes;
        let check = bed.publisher.check(&credentials, false);
        bed.publisher.push(check);
        bed.run(Duration::from_millis(50));
        assert!(bed.publisher.heard.stun_successes > before, "{}", credentials.ufrag);
    }
}

#[test]
fn a_checkpoint_is_refused_where_it_cannot_serve() {
    let mut bed = Bed::live(habits());
    let checkpoint = bed.checkpoint().expect("live");
    let now = bed.now;
    assert_eq!(
        mux(1).adopt(now, &checkpoint, 0).err(),
        Some(Error::StaleEpoch {
            checkpoint: 0,
            offered: 0
        })
    );
    assert_eq!(bed.mux.adopt(now, &checkpoint, 1).err(), Some(Error::AlreadyHere));
    let bytes = checkpoint.encode();
    assert_eq!(Checkpoint::decode(&[]).err(), Some(Error::Version(0)));
    // Field 1 comes first: one and the same session, but of a later version.
    assert_eq!(bytes[..2], [0x08, 1]);
    let later = [&[0x08, 2], &bytes[2..]].concat();
    assert_eq!(Checkpoint::decode(&later).err(), Some(Error::Version(2)));
    for len in 0..bytes.len() {
        if let Ok(cut) = Checkpoint::decode(&bytes[..len]) {
            assert!(mux(1).adopt(now, &cut, 1).is_err(), "{len} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn the_format_is_what_it_was() {
    // A change here is a change of format: other releases must still read it (see docs/architecture.md).
    let bytes = include_bytes!("checkpoint-v1.bin");
    let checkpoint = Checkpoint::decode(bytes).expect("the golden bytes");
    assert_eq!(checkpoint.encode(), bytes);
    assert!(
        mux(1)
            .adopt(std::time::Instant::now(), &checkpoint, checkpoint.epoch() + 1)
            .is_ok()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_whatever_panic(mut damage in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..8)) {
        let mut bytes = include_bytes!("checkpoint-v1.bin").to_vec();
        for (at, value) in damage.drain(..) {
            let at = usize::from(at) % bytes.len();
            bytes[at] = value;
        }
        if let Ok(checkpoint) = Checkpoint::decode(&bytes) {
            let _ = mux(1).adopt(std::time::Instant::now(), &checkpoint, u32::MAX);
        }
    }
}

/// Owners send, take checkpoints, have them persisted or lost, die and are replaced, and sometimes live on without knowing that
/// they were replaced. No (key, SSRC, index) may be sealed twice: the key is one for the session, so (SSRC, index) must be
/// unique over all owners.
#[test]
fn no_srtcp_nonce_is_ever_used_twice() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let mut bed = Bed::live(Habits { rate: 50, ..habits() });
        let mut sealed = BTreeSet::new();
        let mut persisted: Option<Vec<u8>> = None;
        let mut pending: Option<Checkpoint> = None;
        let mut zombies = vec![];
        for _ in 0..60 {
            match random.below(6) {
                0 => pending = bed.checkpoint(),
                1 => {
                    if let Some(checkpoint) = pending.take() {
                        persisted = Some(checkpoint.encode());
                        // The confirmation may never come back.
                        if random.chance(0.7) {
                            bed.mux.persisted(bed.key, &checkpoint);
                        }
                    }
                }
                2 => {
                    if let Some(bytes) = persisted.clone() {
                        let now = bed.now;
                        let before = std::mem::replace(&mut bed.mux, mux(0));
                        let key = bed.key;
                        bed.adopt(&bytes);
                        pending = None;
                        if random.chance(0.5) {
                            zombies.push((before, key));
                        }
                        assert!(bed.now >= now);
                    }
                }
                _ => {
                    bed.now += Duration::from_millis(200 + random.below(900));
                    bed.publisher.send_video(0, 100);
                    let datagram = bed.publisher.poll_transmit().expect("just sent");
                    bed.receive(address(ENCODER), datagram);
                }
            }
            bed.mux.handle_timeout(bed.now);
            let mut buffer = vec![];
            while bed.mux.poll_transmit(&mut buffer).is_some() {
                note(&mut sealed, &buffer, seed);
            }
            for (zombie, _) in &mut zombies {
                zombie.handle_timeout(bed.now);
                while zombie.poll_transmit(&mut buffer).is_some() {
                    note(&mut sealed, &buffer, seed);
                }
            }
            while bed.mux.poll_event().is_some() {}
        }
        assert!(sealed.len() > 20, "seed {seed}: {} packets prove nothing", sealed.len());
    }
}

/// The sender's SSRC and the index word lie in clear: the word is the last in GCM, before the tag in CM.
fn note(sealed: &mut BTreeSet<(u32, u32)>, datagram: &[u8], seed: u64) {
    if !matches!(datagram.first(), Some(128..=191)) {
        return;
    }
    let ssrc = u32::from_be_bytes(datagram[4..8].try_into().expect("four bytes"));
    let index = u32::from_be_bytes(datagram[datagram.len() - 4..].try_into().expect("four bytes"));
    assert!(
        sealed.insert((ssrc, index)),
        "seed {seed}: nonce ({ssrc:#x}, {index:#x}) twice"
    );
}
