//! A TCP proxy that holds back what passes, each piece for a while drawn at random: answers and requests of others overtake.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Read at once.
const PIECE: usize = 16 * 1024;

/// It serves until the test's process ends; a connection ends with either side.
#[derive(Debug)]
pub struct Delaying {
    address: SocketAddr,
    delayed: Arc<AtomicUsize>,
}

impl Delaying {
    /// A proxy to `server`, each piece held back for less than `most`.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn to(server: SocketAddr, most: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port can be had");
        let address = listener.local_addr().expect("a bound socket has an address");
        let delayed = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&delayed);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(server) else {
                    continue;
                };
                join(client, server, most, &counted);
            }
        });
        Self { address, delayed }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Pieces that were held back so far.
    pub fn delayed(&self) -> usize {
        self.delayed.load(Ordering::Relaxed)
    }
}

fn join(client: TcpStream, server: TcpStream, most: Duration, delayed: &Arc<AtomicUsize>) {
    let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    pass(client, server_too, most, Arc::clone(delayed));
    pass(server, client_too, most, Arc::clone(delayed));
}

/// One direction: one thread reads, another writes when it is time, in the order in which it came.
fn pass(mut from: TcpStream, to: TcpStream, most: Duration, delayed: Arc<AtomicUsize>) {
    let (held, pieces) = channel();
    thread::spawn(move || write_when_due(to, &pieces));
    thread::spawn(move || {
        let mut buffer = [0; PIECE];
        let _ = from.set_nodelay(true);
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let due = Instant::now() + most.mul_f64(draw());
            delayed.fetch_add(1, Ordering::Relaxed);
            if held.send((due, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Read);
    });
}

fn write_when_due(mut to: TcpStream, pieces: &Receiver<(Instant, Vec<u8>)>) {
    let _ = to.set_nodelay(true);
    let (_never, clock): (Sender<()>, _) = channel();
    for (due, piece) in pieces {
        let _ = clock.recv_timeout(due.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// From 0 to 1 (splitmix64: enough to spread delays).
fn draw() -> f64 {
    static STATE: AtomicU64 = AtomicU64::new(0);
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = STATE.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as f64 / u64::MAX as f64
}
