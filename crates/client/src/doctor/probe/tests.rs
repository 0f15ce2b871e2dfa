use super::*;

const REPLY_FOREIGN: Outcome = Outcome::Wrong(Reply::Foreign);

fn udp(address: &str) -> Candidate {
    Candidate::Udp(address.parse().unwrap())
}

fn answered(local: &str, mapped: Option<&str>) -> Outcome {
    Outcome::Answered {
        after: Duration::from_micros(1_250),
        local: local.parse().unwrap(),
        mapped: mapped.map(|mapped| mapped.parse().unwrap()),
    }
}

fn lines(outcomes: Vec<(Candidate, Outcome)>, server: Place) -> Vec<String> {
    said(&outcomes, server).iter().map(ToString::to_string).collect()
}

#[test]
fn a_candidate_that_answers_tells_whether_a_nat_lies_between() {
    let server = || udp("203.0.113.5:8189");
    let found = lines(
        vec![
            (server(), answered("192.0.2.7:4000", Some("192.0.2.7:4000"))),
            (server(), answered("10.0.0.7:4000", Some("192.0.2.7:9"))),
            (server(), answered("10.0.0.7:4000", None)),
        ],
        Place::Public,
    );
    assert_eq!(
        found,
        [
            "ok    stun  203.0.113.5:8189 answers in 1.2 ms, and sees 192.0.2.7:4000: no NAT lies between",
            "ok    stun  203.0.113.5:8189 answers in 1.2 ms, and sees 10.0.0.7:4000 as 192.0.2.7:9: a NAT lies between, which \
             does no harm",
            "ok    stun  203.0.113.5:8189 answers in 1.2 ms, and does not say from where it was asked",
        ]
    );
}

#[test]
fn silence_is_a_failure_only_where_nothing_answers() {
    let silent = || (udp("203.0.113.5:8189"), Outcome::Silent);
    let sentence = "stun  UDP 8189 of 203.0.113.5 is not reachable from here, 5 checks in 3 s had no answer: open the firewall \
                    for UDP, or set --advertise to the address that encoders reach";
    assert_eq!(lines(vec![silent()], Place::Public), [format!("FAIL  {sentence}")]);
    let other = (udp("203.0.113.6:8189"), answered("192.0.2.7:4000", None));
    assert_eq!(
        lines(vec![silent(), other], Place::Public)[0],
        format!("warn  {sentence}")
    );
    let none = lines(vec![], Place::Public);
    assert!(
        none[0].starts_with("FAIL  stun  the answer names no address"),
        "{none:?}"
    );
}

#[test]
fn tcp_beside_udp_that_answers_is_no_fault() {
    let tcp = Candidate::Tcp("203.0.113.5:443".parse().unwrap());
    let found = lines(
        vec![
            (udp("203.0.113.5:8189"), answered("192.0.2.7:4000", None)),
            (tcp, Outcome::Unfit),
        ],
        Place::Public,
    );
    assert!(
        found[0].starts_with("ok ") && found[1].starts_with("skip  stun  203.0.113.5:443 is for media over TCP"),
        "{found:?}"
    );
}

#[test]
fn every_other_fault_has_its_sentence() {
    let error = Reply::Error {
        code: 401,
        reason: "Unauthorized".to_owned(),
    };
    let unreachable = || Outcome::Unroutable(io::Error::other("Network is unreachable"));
    let table = [
        (
            udp("203.0.113.5:8189"),
            Outcome::Refused,
            "203.0.113.5:8189 refuses by ICMP: nothing listens on UDP 8189 there, or a firewall",
        ),
        (
            udp("203.0.113.5:8189"),
            Outcome::Wrong(error),
            "203.0.113.5:8189 refuses the check with 401 Unauthorized: ",
        ),
        (
            udp("203.0.113.5:8189"),
            Outcome::Wrong(Reply::Forged),
            "203.0.113.5:8189 answers, but not with the session's password",
        ),
        (
            udp("203.0.113.5:8189"),
            REPLY_FOREIGN,
            "203.0.113.5:8189 sends something, but no answer to an ICE check",
        ),
        (
            udp("203.0.113.5:8189"),
            unreachable(),
            "UDP 8189 of 203.0.113.5 is not reachable from here, nothing can be sent to it (Network is unreachable): set --advertise",
        ),
        (
            udp("[2001:db8::5]:8189"),
            unreachable(),
            "UDP 8189 of 2001:db8::5 is not reachable from here, nothing can be sent to it (Network is unreachable): this machine",
        ),
        (
            udp("0.0.0.0:8189"),
            Outcome::Unfit,
            "0.0.0.0:8189 was not tried; 0.0.0.0:8189 is no host's own address: set --advertise to the address that",
        ),
        (
            Candidate::Tcp("203.0.113.5:443".parse().unwrap()),
            Outcome::Unfit,
            "203.0.113.5:443 is for media over TCP, which was not tried",
        ),
        (
            Candidate::Named("a.local".to_owned()),
            Outcome::Unfit,
            "a.local is a name in place of an address",
        ),
    ];
    for (candidate, outcome, expected) in table {
        let line = lines(vec![(candidate, outcome)], Place::Public).remove(0);
        assert!(line.starts_with(&format!("FAIL  stun  {expected}")), "{line}");
    }
}

#[test]
fn a_near_address_of_a_far_server_is_a_fault_even_if_it_answers() {
    let line = |candidate: &str, server| lines(vec![(udp(candidate), answered("10.0.0.7:1", None))], server).remove(0);
    let private = line("10.0.0.5:8189", Place::Public);
    assert!(
        private.starts_with("warn  stun  ")
            && private.ends_with(
                "; this address is private, and the server's public, so that encoders elsewhere cannot reach it: set \
                 --advertise to the address that encoders reach"
            ),
        "{private}"
    );
    for (candidate, server) in [
        ("10.0.0.5:8189", Place::Private),
        ("10.0.0.5:8189", Place::Loopback),
        ("127.0.0.1:8189", Place::Loopback),
        ("203.0.113.5:8189", Place::Private),
    ] {
        assert!(line(candidate, server).starts_with("ok "), "{candidate} {server:?}");
    }
    assert!(!is_fit("127.0.0.1:8189".parse().unwrap(), Place::Public));
    assert!(!is_fit("203.0.113.5:0".parse().unwrap(), Place::Public));
    assert!(!is_fit("[::]:8189".parse().unwrap(), Place::Loopback));
}

fn check() -> Arc<Check> {
    Arc::new(Check::new("ours", "AQAAASab", "ZYXWVUTSRQPONMLKJIHGFEDC", [7; 8]).unwrap())
}

#[tokio::test]
async fn a_closed_port_refuses_and_a_stranger_is_not_believed() {
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let candidates = [Candidate::Udp(closed), Candidate::Udp(stranger.local_addr().unwrap())];
    let echo = tokio::spawn(async move {
        let mut buffer = [0; DATAGRAM_MAX];
        let mut requests = 0;
        while requests < TRIES {
            let (len, from) = stranger.recv_from(&mut buffer).await.unwrap();
            // The request as its own success: the transaction is right, the signature is not.
            buffer[..2].copy_from_slice(&[0x01, 0x01]);
            stranger.send_to(&buffer[..len], from).await.unwrap();
            requests += 1;
        }
    });
    let outcomes = probe(&check(), &candidates, Place::Loopback).await;
    assert!(
        matches!(
            outcomes[..],
            [(_, Outcome::Refused), (_, Outcome::Wrong(Reply::Forged))]
        ),
        "{outcomes:?}"
    );
    // All tries went out, for the one that is right may be lost.
    echo.await.unwrap();
}
