//! A bad network between one Whipcord and its encoders, without privileges: a UDP relay that delays, loses, repeats and
//! reorders, and an HTTP relay that puts the UDP relay's port into the answers, so that any encoder goes through it.

use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use crate::whipcord::Whipcord;

mod answers;

/// What happens to datagrams, in each direction alike but for loss. Chances are from 0 to 1, drawn from the seed.
#[derive(Debug, Clone, Copy)]
pub struct Impairment {
    /// One way: half of the round trip.
    pub delay: Duration,
    /// What can get lost.
    pub lost: Datagrams,
    /// Of what the encoder sends.
    pub loss_up: f64,
    /// Of what Whipcord sends.
    pub loss_down: f64,
    pub duplicate: f64,
    /// The chance of an extra delay of [`LATE`], which later datagrams overtake.
    pub reorder: f64,
    pub seed: u64,
}

/// A kind of datagrams.
#[derive(Debug, Clone, Copy)]
pub enum Datagrams {
    All,
    Dtls,
    /// And SRTCP, which shares its range.
    Srtp,
}

/// The extra delay of a reordered datagram: at 1 Mbit/s, two packets overtake it.
pub const LATE: Duration = Duration::from_millis(20);
/// Larger than any datagram of an encoder.
const DATAGRAM: usize = 2048;
/// How often threads look whether they should end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Impairment {
    pub const NONE: Self = Self {
        delay: Duration::ZERO,
        lost: Datagrams::All,
        loss_up: 0.0,
        loss_down: 0.0,
        duplicate: 0.0,
        reorder: 0.0,
        seed: 1,
    };
}

impl Datagrams {
    fn include(self, bytes: &[u8]) -> bool {
        match self {
            Self::All => true,
            // RFC 7983, section 7.
            Self::Dtls => bytes.first().is_some_and(|first| (20..=63).contains(first)),
            Self::Srtp => bytes.first().is_some_and(|first| (128..=191).contains(first)),
        }
    }
}

/// The network; datagrams stop when it is dropped.
#[derive(Debug)]
pub struct Network {
    http: SocketAddr,
    switches: Arc<Switches>,
}

/// What can be done to a network at work.
#[derive(Debug, Default)]
struct Switches {
    stop: AtomicBool,
    /// How often it was cut: a client's datagrams pass as long as none came after its first.
    cuts: AtomicU32,
    /// How often encoders were moved: what is sent to the addresses before is lost.
    moves: AtomicU32,
    /// SRTCP that came from the server.
    acknowledgements: AtomicU32,
}

impl Switches {
    fn cuts(&self) -> u32 {
        self.cuts.load(Ordering::Relaxed)
    }

    fn moves(&self) -> u32 {
        self.moves.load(Ordering::Relaxed)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Network {
    pub fn to(whipcord: &Whipcord, impairment: Impairment) -> Self {
        Self::between(&whipcord.origin(), whipcord.media(), impairment)
    }

    /// A network to a gateway, `http://host:port`, whose answers name the candidate `media`.
    pub fn between(gateway: &str, media: SocketAddr, impairment: Impairment) -> Self {
        let switches = Arc::<Switches>::default();
        let stands_for = relay_datagrams(media, impairment, &switches);
        let http = answers::relay(gateway, (media, stands_for));
        Self { http, switches }
    }

    /// No datagram passes any more from or to the addresses that clients send from now: they have to find another path.
    pub fn cut(&self) {
        self.switches.cuts.fetch_add(1, Ordering::Relaxed);
    }

    /// From now on all encoders send from other addresses, and what is sent to the old ones is lost, as when a NAT forgets.
    pub fn move_encoders(&self) {
        self.switches.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// How many datagrams of SRTCP the server has sent so far.
    pub fn acknowledgements(&self) -> u32 {
        self.switches.acknowledgements.load(Ordering::Relaxed)
    }

    /// `http://host:port` of the gateway, through this network.
    pub fn origin(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The URL to publish a stream to, through this network.
    pub fn whip_url(&self, stream: &str) -> String {
        format!("{}/whip/{stream}", self.origin())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.switches.stop.store(true, Ordering::Relaxed);
    }
}

/// A datagram on its way.
#[derive(Debug)]
struct Datagram {
    due: Instant,
    bytes: Vec<u8>,
    from: Arc<UdpSocket>,
    to: SocketAddr,
}

/// Starts the relay and returns the address that stands for `server`.
fn relay_datagrams(server: SocketAddr, impairment: Impairment, switches: &Arc<Switches>) -> SocketAddr {
    let front = socket();
    let address = front.local_addr().expect("a bound socket has an address");
    let (sender, due) = channel();
    let road = Road {
        impairment,
        loss: impairment.loss_up,
        random: impairment.seed,
        sender,
    };
    thread::spawn(move || deliver(&due));
    let switches = Arc::clone(switches);
    thread::spawn(move || from_clients(&front, server, road, &switches));
    address
}

/// Takes in what clients send; each client gets a socket of its own towards the server, as behind a NAT.
fn from_clients(front: &Arc<UdpSocket>, server: SocketAddr, mut road: Road, switches: &Arc<Switches>) {
    let mut clients = HashMap::new();
    let mut buffer = [0; DATAGRAM];
    while !switches.is_stopped() {
        let Ok((length, client)) = front.recv_from(&mut buffer) else {
            continue;
        };
        let (now, place) = (switches.cuts(), switches.moves());
        clients.retain(|(_, of), _| *of == place);
        let (first, back) = clients.entry((client, place)).or_insert_with(|| {
            let back = socket();
            let (from, front, road) = (Arc::clone(&back), Arc::clone(front), road.opposite());
            let switches = Arc::clone(switches);
            let counted = Arc::clone(&switches);
            let count = move |datagram: &[u8]| {
                if is_srtcp(datagram) {
                    counted.acknowledgements.fetch_add(1, Ordering::Relaxed);
                }
            };
            let gone = move || switches.is_stopped() || switches.cuts() != now || switches.moves() != place;
            thread::spawn(move || from_server(&from, &front, client, road, (count, gone)));
            (now, back)
        });
        if *first == now {
            road.send(&buffer[..length], back, server);
        }
    }
}

fn from_server(
    back: &UdpSocket,
    front: &Arc<UdpSocket>,
    client: SocketAddr,
    mut road: Road,
    (count, gone): (impl Fn(&[u8]), impl Fn() -> bool),
) {
    let mut buffer = [0; DATAGRAM];
    while !gone() {
        let Ok(length) = back.recv(&mut buffer) else { continue };
        count(&buffer[..length]);
        road.send(&buffer[..length], front, client);
    }
}

/// RFC 5761 §4: RTP's range of first bytes (RFC 7983 §7), and a second one that is no payload type.
fn is_srtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, 192..=223, ..])
}

/// One direction for one client: what the impairment does, drawn in order from its seed.
struct Road {
    impairment: Impairment,
    loss: f64,
    random: u64,
    sender: Sender<Datagram>,
}

impl Road {
    fn opposite(&self) -> Self {
        let random = self.impairment.seed ^ u64::MAX;
        Self {
            impairment: self.impairment,
            loss: self.impairment.loss_down,
            random,
            sender: self.sender.clone(),
        }
    }

    fn send(&mut self, bytes: &[u8], from: &Arc<UdpSocket>, to: SocketAddr) {
        if self.impairment.lost.include(bytes) && self.chance(self.loss) {
            return;
        }
        let copies = if self.chance(self.impairment.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let late = if self.chance(self.impairment.reorder) {
                LATE
            } else {
                Duration::ZERO
            };
            let due = Instant::now() + self.impairment.delay + late;
            // A receiver that is gone means that the network was dropped.
            let _ = self.sender.send(Datagram {
                due,
                bytes: bytes.to_vec(),
                from: Arc::clone(from),
                to,
            });
        }
    }

    /// The next number of SplitMix64, as a fraction of 1, is below `chance`.
    fn chance(&mut self, chance: f64) -> bool {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 <= chance && chance > 0.0
    }
}

/// Sends each datagram when it is due, until all roads are gone.
fn deliver(arriving: &Receiver<Datagram>) {
    // By due time, then in order of arrival.
    let mut travelling = BTreeMap::new();
    for count in 0_u64.. {
        let next = travelling.first_key_value().map(|(&(due, _), _)| due);
        match arriving
            .recv_timeout(next.map_or(LOOK_EVERY, |due: Instant| due.saturating_duration_since(Instant::now())))
        {
            Ok(datagram) => drop(travelling.insert((datagram.due, count), datagram)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Some(first) = travelling.first_entry().filter(|first| first.key().0 <= Instant::now()) {
            let datagram = first.remove();
            // A receiver that is gone is as good as a lost datagram.
            let _ = datagram.from.send_to(&datagram.bytes, datagram.to);
        }
    }
}

fn socket() -> Arc<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port can be bound");
    socket
        .set_read_timeout(Some(LOOK_EVERY))
        .expect("a timeout over zero is taken");
    Arc::new(socket)
}
