use std::collections::HashMap;

use tokio::sync::oneshot;
use whipcord_identity::{Epoch, SessionId};
use whipcord_peer::EndReason;
use whipcord_udp::Options;
use whipcord_whip::{Credentials, Offer, Preferences, negotiate};

use super::{port::FAULTS_MAX, *};
use crate::{
    snapshot::{Info, Snapshot},
    tap::{RING_BYTES, Tap, tap},
    voice::LEASE,
};

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
    c=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaa\r\n\
    a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n\
    a=setup:active\r\na=rtpmap:111 opus/48000/2\r\n";

/// A shard without its thread: the test takes the turns.
struct Bench {
    shard: Shard,
    commands: mpsc::Sender<Command>,
    notices: mpsc::Receiver<Notice>,
    voice: Voice,
}

impl Bench {
    fn new(sessions_max: usize) -> Self {
        let (sender, notices) = mpsc::channel(NOTICES_MAX);
        let voice = Voice::new();
        let setup = Setup {
            socket: Socket::bind("127.0.0.1:0".parse().unwrap(), Options::default()).unwrap(),
            certificate: Certificate::generate().unwrap(),
            sessions_max,
            notices: sender,
            voice: voice.clone(),
        };
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        Self {
            shard: Shard::new(Poll::new().unwrap(), receiver, setup, Arc::default()),
            commands,
            notices,
            voice,
        }
    }

    fn create(&mut self, number: u8) -> bool {
        self.create_with(number, None)
    }

    fn create_with(&mut self, number: u8, tap: Option<Tap>) -> bool {
        let info = Info {
            sid: SessionId::new([number; 16]),
            stream: "cam".parse().unwrap(),
            epoch: Epoch(1),
            created_at: std::time::UNIX_EPOCH,
            metadata: HashMap::new(),
            mids: Vec::new(),
            recording: None,
            trace: Default::default(),
            heard: Default::default(),
        };
        let offer = Offer::parse(OFFER.as_bytes()).unwrap();
        let (reply, mut answer) = oneshot::channel();
        let create = Create {
            info: Arc::new(info),
            offer: negotiate::negotiate(&offer, &Preferences::default()).unwrap(),
            local: Credentials {
                ufrag: format!("ufrag{number}"),
                pwd: "p".repeat(24),
            },
            candidates: vec!["127.0.0.1:1".parse().unwrap()].into(),
            origin: 1,
            tap,
            started: Instant::now(),
            reply,
        };
        self.commands.try_send(Command::Create(Box::new(create))).unwrap();
        self.shard.turn();
        answer.try_recv().unwrap().is_ok()
    }

    fn snapshots(&mut self, numbers: &[u8]) -> Vec<(SessionId, Snapshot)> {
        let sids = numbers.iter().map(|number| SessionId::new([*number; 16])).collect();
        let (reply, mut snapshots) = oneshot::channel();
        self.commands.try_send(Command::Snapshots { sids, reply }).unwrap();
        self.shard.turn();
        snapshots.try_recv().unwrap()
    }

    fn tell(&mut self, command: Command) {
        self.commands.try_send(command).unwrap();
    }

    fn close(&mut self, number: u8, reason: EndReason) {
        let sid = SessionId::new([number; 16]);
        self.tell(Command::Close { sid, reason });
    }

    /// Datagrams that were read and belonged to nobody.
    fn strays(&self) -> u64 {
        self.shard.port.strays().total()
    }

    fn send_garbage(&self) {
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"garbage", self.shard.socket.local_address()).unwrap();
    }

    /// Reasons of the sessions that ended, and how many faults were told of.
    fn notices(&mut self) -> (Vec<EndReason>, usize) {
        let (mut ends, mut faults) = (Vec::new(), 0);
        while let Ok(notice) = self.notices.try_recv() {
            match notice {
                Notice::Ended { last, .. } => ends.extend(last.journal.state.end()),
                Notice::Fault { .. } => faults += 1,
                Notice::Event { .. } | Notice::Keyframe { .. } | Notice::Dropped { .. } | Notice::Lost { .. } => {}
            }
        }
        (ends, faults)
    }
}

#[test]
fn a_panic_outside_any_session_ends_none() {
    let mut bench = Bench::new(2);
    assert!(bench.create(1));
    bench.shard.port.on_panic(&"a defect");
    assert_eq!(bench.snapshots(&[1, 2]).len(), 1);
    assert_eq!(bench.notices(), (vec![], 1));
}

#[test]
fn a_panic_over_what_a_packet_carries_ends_its_session_alone() {
    let mut bench = Bench::new(2);
    assert!(bench.create(1) && bench.create(2));
    let port = &mut bench.shard.port;
    port.delivering = port.sessions.keys().first().copied();
    port.on_panic(&"a defect");
    bench.shard.turn();
    assert_eq!(bench.snapshots(&[1, 2]).len(), 1);
    assert_eq!(bench.notices(), (vec![EndReason::Fault], 1));
}

#[test]
fn panics_without_end_end_every_session_and_then_new_ones_are_served() {
    let mut bench = Bench::new(2);
    assert!(bench.create(1) && bench.create(2));
    assert!(!bench.create(3), "full");
    (0..FAULTS_MAX).for_each(|_| bench.shard.port.on_panic(&"a defect"));
    assert_eq!(bench.snapshots(&[1, 2]).len(), 0);
    assert_eq!(bench.notices(), (vec![EndReason::Fault; 2], FAULTS_MAX as usize));
    assert!(bench.create(3) && bench.create(4));
}

#[test]
fn what_belongs_to_no_session_is_said_once_a_minute() {
    let mut bench = Bench::new(1);
    let start = Instant::now();
    let said = |bench: &mut Bench, seconds| {
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"garbage", bench.shard.socket.local_address()).unwrap();
        bench.shard.turn();
        bench.shard.tell_dropped(start + Duration::from_secs(seconds));
        match bench.notices.try_recv() {
            Ok(Notice::Dropped { strays, .. }) => Some(strays.total()),
            _ => None,
        }
    };
    assert_eq!(
        [0, 1, 59, 60].map(|seconds| said(&mut bench, seconds)),
        [Some(1), None, None, Some(4)]
    );
}

#[test]
fn commands_are_worked_off_some_at_a_time() {
    let mut bench = Bench::new(1);
    for _ in 0..=COMMANDS_PER_TURN {
        let close = Command::Close {
            sid: SessionId::new([0; 16]),
            reason: EndReason::Deleted,
        };
        bench.commands.try_send(close).unwrap();
    }
    assert_eq!(bench.shard.turn(), Turn::Busy);
    assert_eq!(bench.shard.turn(), Turn::Idle);
    bench.commands.try_send(Command::Stop).unwrap();
    assert_eq!(bench.shard.turn(), Turn::Stop);
}

#[test]
fn who_stood_still_reads_nothing_until_the_directory_has_confirmed_it() {
    let mut bench = Bench::new(1);
    assert!(bench.create(1));
    bench.send_garbage();
    bench.voice.stand_still(LEASE * 2);
    assert_eq!(bench.shard.turn(), Turn::Idle);
    assert_eq!((bench.strays(), bench.shard.course), (0, Course::Mute));
    assert!(
        bench.shard.timeout().unwrap() > Duration::ZERO,
        "its timers do not make it spin"
    );
    assert_eq!(bench.snapshots(&[1]).len(), 1, "it answers");
    let stops = bench.voice.stops();
    bench.voice.stand_still(LEASE * 2);
    bench.tell(Command::Speak(stops));
    bench.shard.turn();
    assert_eq!(bench.strays(), 0, "that was confirmed before the last stop");
    bench.tell(Command::Speak(bench.voice.stops()));
    bench.shard.turn();
    assert_eq!((bench.strays(), bench.shard.course), (1, Course::Steady));
}

#[test]
fn of_those_that_end_before_it_may_speak_the_replaced_ones_write_nothing_more() {
    let mut bench = Bench::new(4);
    let mut feeds = Vec::new();
    for number in 0..4 {
        let (tap, feed) = tap(RING_BYTES);
        assert!(bench.create_with(number, Some(tap)));
        feeds.push(feed);
    }
    bench.close(0, EndReason::Replaced);
    bench.shard.turn();
    bench.voice.stand_still(LEASE * 2);
    bench.close(1, EndReason::Replaced);
    bench.shard.turn();
    bench.close(2, EndReason::Deleted);
    bench.close(3, EndReason::Replaced);
    bench.tell(Command::Speak(bench.voice.stops()));
    bench.shard.turn();
    let ended = (EndReason::Replaced, EndReason::Deleted);
    assert_eq!(bench.notices().0, [ended.0, ended.0, ended.1, ended.0]);
    let discarded: Vec<bool> = feeds.iter().map(|feed| feed.is_discarded()).collect();
    assert_eq!(discarded, [false, true, false, true]);
}

#[test]
fn a_stop_amid_a_turn_is_noticed_before_anything_leaves() {
    let mut bench = Bench::new(1);
    bench.voice.stand_still(LEASE * 2);
    bench.shard.transmit();
    assert_eq!(bench.shard.course, Course::Mute);
}
