//! The network of the bench: a test through a network that does nothing would prove nothing.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use whipcord_tests::{
    http,
    network::{Impairment, Network},
};

#[test]
fn datagrams_are_late_by_a_round_trip() {
    let (client, _network) = echoed(Impairment {
        delay: Duration::from_millis(75),
        ..Impairment::NONE
    });
    let start = Instant::now();
    client.send(b"there and back").unwrap();
    let mut buffer = [0; 100];
    assert_eq!(client.recv(&mut buffer).unwrap(), 14);
    let took = start.elapsed();
    assert!(
        took >= Duration::from_millis(150) && took < Duration::from_millis(400),
        "{took:?}"
    );
}

#[test]
fn datagrams_are_lost_doubled_and_overtaken_as_the_seed_says() {
    let impairment = Impairment {
        loss_up: 0.2,
        loss_down: 0.2,
        duplicate: 0.05,
        reorder: 0.05,
        ..Impairment::NONE
    };
    let echoes = |impairment| {
        let (client, _network) = echoed(impairment);
        let mut numbers = Vec::new();
        // In step, so that no socket's buffer overflows on a loaded machine.
        for number in 0..1000_u32 {
            client.send(&number.to_be_bytes()).unwrap();
            if number % 50 == 49 {
                numbers.extend(received(&client));
            }
        }
        numbers
    };
    let numbers = echoes(impairment);
    let mut distinct = numbers.clone();
    distinct.sort_unstable();
    distinct.dedup();
    // Both ways pass 0.8 * 0.8 = 64 % of 1000.
    assert!((570..710).contains(&distinct.len()), "{}", distinct.len());
    assert!(
        numbers.len() > distinct.len() + 20,
        "few duplicates: {} of {}",
        distinct.len(),
        numbers.len()
    );
    assert!(!numbers.is_sorted());
    let untouched = echoes(Impairment::NONE);
    assert_eq!(untouched, (0..1000).collect::<Vec<_>>());
}

#[test]
fn answers_name_the_way_through_the_network() {
    let media = UdpSocket::bind("127.0.0.1:0").unwrap();
    let candidate = |port| format!("a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\n");
    let answer = format!(
        "v=0\r\n{}a=end-of-candidates\r\n",
        candidate(media.local_addr().unwrap().port())
    );
    let gateway = gateway(&answer);
    let network = Network::between(&gateway, media.local_addr().unwrap(), Impairment::NONE);
    let response = http::request(
        "POST",
        &network.whip_url("live"),
        &[("Content-Type", "application/sdp")],
        "v=0",
    );
    assert_eq!(
        (response.status, response.header("location")),
        (201, Some("/whip/live/1"))
    );
    let port: u16 = response.body.split(' ').nth(5).unwrap().parse().unwrap();
    assert_ne!(port, media.local_addr().unwrap().port());
    assert_eq!(
        response.body,
        format!("v=0\r\n{}a=end-of-candidates\r\n", candidate(port))
    );
    assert_eq!(
        response.header("content-length"),
        Some(response.body.len().to_string().as_str())
    );
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"through", ("127.0.0.1", port)).unwrap();
    let mut buffer = [0; 100];
    media.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(media.recv(&mut buffer).unwrap(), 7);
}

/// A client of a server that sends back what it gets, with the network between them.
fn echoed(impairment: Impairment) -> (UdpSocket, Network) {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let media = server.local_addr().unwrap();
    server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 100];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            server.send_to(&buffer[..length], from).unwrap();
        }
    });
    let answer = format!("a=candidate:1 1 udp 1 {} {} typ host\r\n", media.ip(), media.port());
    let network = Network::between(&gateway(&answer), media, impairment);
    let response = http::request("POST", &network.whip_url("live"), &[], "v=0");
    let port: u16 = response.body.split(' ').nth(5).unwrap().parse().unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(SocketAddr::new(media.ip(), port)).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    (client, network)
}

/// The numbers that arrive until it is quiet.
fn received(client: &UdpSocket) -> Vec<u32> {
    let mut buffer = [0; 4];
    let mut numbers = Vec::new();
    while let Ok(4) = client.recv(&mut buffer) {
        numbers.push(u32::from_be_bytes(buffer));
        client.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    }
    numbers
}

/// Answers one request.
fn gateway(answer: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let length = answer.len();
    let response =
        format!("HTTP/1.1 201 Created\r\nLocation: /whip/live/1\r\nContent-Length: {length}\r\n\r\n{answer}");
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 1000];
        let _ = connection.read(&mut request).unwrap();
        connection.write_all(response.as_bytes()).unwrap();
    });
    url
}
