use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use super::*;
use crate::DATAGRAM_MAX;

/// (local, remote, bytes) of a datagram.
type Seen = (SocketAddr, SocketAddr, Vec<u8>);

fn v4(address: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::from((address, port))
}

fn bound(address: impl Into<IpAddr>) -> Socket {
    Socket::bind(SocketAddr::new(address.into(), 0), Options::default()).unwrap()
}

/// Receives until `count` datagrams are there; what the kernel delivers at once needs no waiting.
fn receive(socket: &mut Socket, count: usize) -> Vec<Seen> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut batch = Batch::default();
    let mut seen = Vec::new();
    while seen.len() < count && Instant::now() < deadline {
        socket.recv(&mut batch).unwrap();
        seen.extend(batch.datagrams().map(|d| (d.local, d.remote, d.bytes.to_vec())));
    }
    seen
}

fn numbered(sizes: impl IntoIterator<Item = usize>) -> Vec<Vec<u8>> {
    sizes
        .into_iter()
        .zip(0u8..)
        .map(|(size, number)| vec![number; size])
        .collect()
}

#[test]
fn datagrams_sent_in_runs_arrive_one_by_one_in_order() {
    let mut server = bound(Ipv4Addr::LOCALHOST);
    let mut client = bound(Ipv4Addr::LOCALHOST);
    let (from, to) = (client.local_address(), server.local_address());
    // A run, its shorter end, a longer one, equal ones, more bytes than one run holds.
    let sizes = [1200, 1200, 1200, 500, 900, 30, 30].into_iter().chain([1400; 60]);
    let sent = numbered(sizes);
    sent.iter().for_each(|datagram| client.send(from, to, datagram));
    client.flush();
    let received = receive(&mut server, sent.len());
    assert_eq!(
        received.iter().map(|(_, _, bytes)| bytes.clone()).collect::<Vec<_>>(),
        sent
    );
    assert!(
        received
            .iter()
            .all(|(local, remote, _)| (*local, *remote) == (to, from))
    );
    assert_eq!((client.counters(), server.counters()), Default::default());
}

#[test]
fn a_coalesced_burst_is_split_by_its_stride() {
    let mut server = bound(Ipv4Addr::LOCALHOST);
    let mut client = bound(Ipv4Addr::LOCALHOST);
    if client.state.max_gso_segments() == 1 || server.state.gro_segments() == 1 {
        println!("skipped: this kernel has no UDP segmentation offload");
        return;
    }
    let (from, to) = (client.local_address(), server.local_address());
    let sent = numbered([1000, 1000, 1000, 7]);
    sent.iter().for_each(|datagram| client.send(from, to, datagram));
    client.flush();
    let mut batch = Batch::default();
    assert_eq!(server.recv(&mut batch).unwrap(), Queue::Drained);
    assert_eq!(batch.filled, 1, "one buffer holds the burst");
    assert_eq!(batch.datagrams().map(|d| d.bytes.to_vec()).collect::<Vec<_>>(), sent);
}

#[test]
fn a_reply_leaves_from_the_address_that_was_asked() {
    let mut server = bound(Ipv4Addr::UNSPECIFIED);
    let port = server.local_address().port();
    let mut client = bound(Ipv4Addr::LOCALHOST);
    let from = client.local_address();
    for asked in [v4([127, 0, 0, 2], port), v4([127, 0, 0, 1], port)] {
        client.send(from, asked, b"question");
        client.flush();
        let question = receive(&mut server, 1);
        assert_eq!(question, [(asked, from, b"question".to_vec())]);
        server.send(question[0].0, question[0].1, b"answer");
        server.flush();
        assert_eq!(receive(&mut client, 1), [(from, asked, b"answer".to_vec())]);
    }
}

#[test]
fn a_dual_stack_socket_speaks_canonical_ipv4_and_ipv6() {
    let Ok(mut server) = Socket::bind((Ipv6Addr::UNSPECIFIED, 0).into(), Options::default()) else {
        println!("skipped: no IPv6 here");
        return;
    };
    let port = server.local_address().port();
    let asked = [v4([127, 0, 0, 3], port), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
    for (mut client, asked) in [bound(Ipv4Addr::LOCALHOST), bound(Ipv6Addr::LOCALHOST)]
        .into_iter()
        .zip(asked)
    {
        let from = client.local_address();
        client.send(from, asked, b"question");
        client.flush();
        assert_eq!(receive(&mut server, 1), [(asked, from, b"question".to_vec())]);
        // Two of a size: offload over a mapped address.
        server.send(asked, from, b"answer 1");
        server.send(asked, from, b"answer 2");
        server.flush();
        let answers = [(from, asked, b"answer 1".to_vec()), (from, asked, b"answer 2".to_vec())];
        assert_eq!(receive(&mut client, 2), answers);
    }
    assert_eq!(server.counters(), Counters::default());
}

#[test]
fn oversize_and_empty_datagrams_are_dropped_and_counted() {
    let mut server = bound(Ipv4Addr::LOCALHOST);
    let to = server.local_address();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for size in [0, DATAGRAM_MAX + 1, 65_507, DATAGRAM_MAX] {
        client.send_to(&vec![1; size], to).unwrap();
    }
    let lengths: Vec<usize> = receive(&mut server, 1)
        .iter()
        .map(|(_, _, bytes)| bytes.len())
        .collect();
    assert_eq!(lengths, [DATAGRAM_MAX]);
    assert_eq!(server.counters().unusable, 3);
}

#[test]
fn more_than_one_batch_is_said_to_be_there() {
    let mut server = bound(Ipv4Addr::LOCALHOST);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..=quinn_udp::BATCH_SIZE {
        // Alternating sizes, so that nothing is coalesced.
        client.send_to(&vec![0; 10 + number], server.local_address()).unwrap();
    }
    let mut batch = Batch::default();
    assert_eq!(server.recv(&mut batch).unwrap(), Queue::More);
    assert_eq!(batch.datagrams().count(), quinn_udp::BATCH_SIZE);
    assert_eq!(server.recv(&mut batch).unwrap(), Queue::Drained);
    assert_eq!(batch.datagrams().count(), 1);
    assert_eq!(server.recv(&mut batch).unwrap(), Queue::Drained);
    assert_eq!(
        batch.datagrams().count(),
        0,
        "an empty socket leaves no datagram of the last call"
    );
}

#[test]
fn a_full_send_buffer_costs_the_oldest() {
    let mut server = bound(Ipv4Addr::LOCALHOST);
    let mut client = bound(Ipv4Addr::LOCALHOST);
    let (from, to) = (client.local_address(), server.local_address());
    client.run.local = from;
    client.run.remote = to;
    let sent: Vec<Vec<u8>> = (0..BACKLOG_MAX as u32 + 3).map(|n| n.to_be_bytes().to_vec()).collect();
    sent.iter().for_each(|datagram| client.defer(datagram));
    client.send(from, to, b"last");
    client.flush();
    assert_eq!(
        client.counters().backlog_dropped,
        4,
        "what is sent meanwhile waits behind"
    );
    assert!(client.is_backlogged());
    client.retry();
    assert!(!client.is_backlogged());
    let received: Vec<Vec<u8>> = receive(&mut server, BACKLOG_MAX)
        .into_iter()
        .map(|(_, _, bytes)| bytes)
        .collect();
    assert_eq!(received[..BACKLOG_MAX - 1], sent[4..]);
    assert_eq!(received[BACKLOG_MAX - 1], b"last");
}

#[test]
fn what_the_kernel_refuses_is_counted_and_does_not_stop_the_rest() {
    let mut server = bound(Ipv4Addr::LOCALHOST);
    let mut client = bound(Ipv4Addr::LOCALHOST);
    let (from, to) = (client.local_address(), server.local_address());
    // 203.0.113.1 (RFC 5737) is no address of ours, so nothing can leave from it.
    client.send(v4([203, 0, 113, 1], from.port()), to, b"a");
    client.send(v4([203, 0, 113, 1], from.port()), to, b"b");
    client.send(from, to, b"c");
    client.flush();
    assert_eq!(receive(&mut server, 1), [(to, from, b"c".to_vec())]);
    assert_eq!(client.counters().send_failed, 2);
}

#[test]
fn the_receive_buffer_is_raised() {
    let default = Socket::bind(v4([127, 0, 0, 1], 0), Options { receive_buffer: 4096 }).unwrap();
    let raised = bound(Ipv4Addr::LOCALHOST);
    assert!(raised.receive_buffer().unwrap() > default.receive_buffer().unwrap());
}

#[test]
fn a_port_in_use_is_an_error() {
    let first = bound(Ipv4Addr::LOCALHOST);
    let second = Socket::bind(first.local_address(), Options::default());
    assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn readiness_reaches_a_poll() {
    let mut poll = mio::Poll::new().unwrap();
    let mut events = mio::Events::with_capacity(4);
    let mut server = bound(Ipv4Addr::LOCALHOST);
    poll.registry()
        .register(&mut server, Token(7), Interest::READABLE)
        .unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"x", server.local_address()).unwrap();
    poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
    assert!(
        events
            .iter()
            .any(|event| event.token() == Token(7) && event.is_readable())
    );
    poll.registry().deregister(&mut server).unwrap();
}
