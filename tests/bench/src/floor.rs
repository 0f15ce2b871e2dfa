//! The yardstick: receive in batches, open, count. Nothing that does WebRTC can be cheaper.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use whipcord_peer::{
    rtp::Header,
    srtp::{Opener, Replay, estimate},
};
use whipcord_udp::{Batch, Options, Queue, Socket};

use crate::server::{Cipher, say, wait_for_end};

const WAKE: mio::Token = mio::Token(1);

pub(crate) fn serve(cipher: Cipher) -> anyhow::Result<()> {
    let mut socket = Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), Options::default())?;
    let mut poll = mio::Poll::new()?;
    poll.registry()
        .register(&mut socket, mio::Token(0), mio::Interest::READABLE)?;
    let waker = mio::Waker::new(poll.registry(), WAKE)?;
    let received = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    say("address", socket.local_address().to_string())?;
    let thread = std::thread::spawn({
        let (received, stop) = (Arc::clone(&received), Arc::clone(&stop));
        move || run(cipher, &mut socket, &mut poll, &received, &stop)
    });
    wait_for_end();
    stop.store(true, Ordering::Relaxed);
    waker.wake()?;
    let _ = thread.join();
    say("received", received.load(Ordering::Relaxed))
}

fn run(cipher: Cipher, socket: &mut Socket, poll: &mut mio::Poll, received: &AtomicU64, stop: &AtomicBool) {
    let opener = Opener::new(cipher.profile(), &cipher.fixed_master()).expect("the key fits its profile");
    let mut streams: Vec<(u32, Replay)> = vec![];
    let mut batch = Batch::default();
    let mut events = mio::Events::with_capacity(2);
    while !stop.load(Ordering::Relaxed) {
        let _ = poll.poll(&mut events, None);
        while let Ok(queue) = socket.recv(&mut batch) {
            let mut opened = 0;
            for datagram in batch.datagrams() {
                opened += u64::from(open(&opener, &mut streams, datagram.bytes));
            }
            received.fetch_add(opened, Ordering::Relaxed);
            if queue == Queue::Drained {
                break;
            }
        }
    }
}

fn open(opener: &Opener, streams: &mut Vec<(u32, Replay)>, datagram: &mut [u8]) -> bool {
    let Ok(header) = Header::parse(datagram) else {
        return false;
    };
    let position = streams
        .iter()
        .position(|(ssrc, _)| *ssrc == header.ssrc)
        .unwrap_or_else(|| {
            streams.push((header.ssrc, Replay::default()));
            streams.len() - 1
        });
    let replay = &mut streams[position].1;
    let index = replay.highest().map_or_else(
        || u64::from(header.sequence),
        |highest| estimate(highest, header.sequence),
    );
    let opened = replay.check(index) && opener.open_rtp(datagram, header.len(), index).is_ok();
    if opened {
        replay.commit(index);
    }
    opened
}
