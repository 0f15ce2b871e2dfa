use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use whipcord_identity::Incarnation;

use super::*;

/// RFC 9113 §6.5: no settings at all.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
/// RFC 9113 §6.2.
const HEADERS: u8 = 1;
/// RFC 9113 §3.4.
const PREFACE: usize = 24;

fn owner() -> Owner {
    Owner {
        worker: "worker-0".parse().unwrap(),
        incarnation: Incarnation(1),
        epoch: Epoch(0),
    }
}

/// Takes one call, and is gone before it answers.
async fn die_in_a_call(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(&SETTINGS).await.unwrap();
    stream.read_exact(&mut [0; PREFACE]).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
        if head[3] == HEADERS {
            return;
        }
    }
}

/// Its process may have been killed, or its network lost: which of the two, the next call says.
#[tokio::test]
async fn a_call_whose_connection_breaks_found_its_worker_away() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let workers = Workers::new(|address| Endpoint::try_from(format!("http://{address}")).unwrap().connect_lazy());
    let worker: WorkerAddress = address.to_string().parse().unwrap();
    let sid = SessionId::new([1; 16]);
    let owner = owner();
    let (called, ()) = tokio::join!(workers.get(&worker, sid, &owner), die_in_a_call(listener));
    assert!(matches!(called, Err(CallError::Unavailable)), "{called:?}");
    let called = workers.get(&worker, sid, &owner).await;
    assert!(matches!(called, Err(CallError::Dead)), "{called:?}");
}

#[test]
fn what_a_worker_says_is_told_from_what_happens_to_a_connection() {
    let broken = Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
    assert!(matches!(CallError::from(broken), CallError::Unavailable));
    let said = CallError::from(Status::unknown("said by the worker"));
    assert!(
        matches!(
            said,
            CallError::Defect {
                code: Code::Unknown,
                ..
            }
        ),
        "{said:?}"
    );
}
