//! A worker on a host of its own, and the two roads to it: for calls, and for media. Each leads through a router that can drop
//! what it is given, without a word to anybody: no reset, no ICMP, and both ends have their links.

use std::{
    net::Ipv4Addr,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

use crate::{output, space::Space};

/// What does not pass any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Both,
    FromWorker,
    ToWorker,
}

/// Two hosts and two roads; to be made in a network of its own ([`crate::space::apart`]).
#[derive(Debug)]
pub struct Roads {
    pub calls: Road,
    pub media: Road,
    host: Space,
}

/// One road, `10.78.N.0/24` on this side of its router and `10.79.N.0/24` on the other.
#[derive(Debug)]
pub struct Road {
    number: u8,
    router: Space,
}

/// Addresses on this side: all of `10.77.0.0/24`.
pub(crate) const HERE: [u8; 3] = [10, 77, 0];

impl Roads {
    /// # Panics
    /// When not run as root.
    pub fn new() -> Self {
        // What is gone with its namespace goes a moment later: the next has other numbers.
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let [calls, media] = [(); 2].map(|()| NEXT.fetch_add(1, Ordering::Relaxed));
        let host = Space::new();
        shell("ip route replace local 10.77.0.0/24 dev lo");
        let roads = Self {
            calls: Road::to(&host, calls),
            media: Road::to(&host, media),
            host,
        };
        // What leaves from the address for media takes the road for media.
        roads.host.run(&format!(
            "ip route add default via 10.79.{calls}.1
             ip rule add from 10.79.{media}.2 table 100
             ip route add default via 10.79.{media}.1 table 100"
        ));
        roads
    }

    /// A command that runs on the host at their end.
    pub(crate) fn command(&self, program: &Path) -> Command {
        self.host.command(program)
    }
}

impl Default for Roads {
    fn default() -> Self {
        Self::new()
    }
}

impl Road {
    fn to(host: &Space, number: u8) -> Self {
        let router = Space::new();
        let (n, router_id, host_id) = (number, router.id(), host.id());
        shell(&format!(
            "ip link add near{n} type veth peer name in{n} netns {router_id}
             ip address add 10.78.{n}.1/24 dev near{n}
             ip link set near{n} up"
        ));
        router.run(&format!(
            "echo 1 > /proc/sys/net/ipv4/ip_forward
             echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
             ip address add 10.78.{n}.2/24 dev in{n}
             ip link set in{n} up
             ip link add out{n} type veth peer name far{n} netns {host_id}
             ip address add 10.79.{n}.1/24 dev out{n}
             ip link set out{n} up
             ip route add 10.77.0.0/24 via 10.78.{n}.1"
        ));
        host.run(&format!(
            "ip address add 10.79.{n}.2/24 dev far{n}
             ip link set far{n} up"
        ));
        shell(&format!("ip route add 10.79.{n}.0/24 via 10.78.{n}.2"));
        Self { number, router }
    }

    /// Of the host at its end.
    pub(crate) fn far_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 79, self.number, 2)
    }

    /// From now on.
    pub fn cut(&self, cut: Cut) {
        self.change("add", cut);
    }

    /// What was cut passes again.
    pub fn heal(&self, cut: Cut) {
        self.change("del", cut);
    }

    fn change(&self, verb: &str, cut: Cut) {
        let address = self.far_address();
        // A router throws away in silence what is routed into a black hole.
        if cut != Cut::FromWorker {
            self.router.run(&format!("ip route {verb} blackhole {address}/32"));
        }
        if cut != Cut::ToWorker {
            self.router.run(&format!("ip rule {verb} from {address} blackhole"));
        }
    }

    /// IP packets that its router was given and has not passed on.
    ///
    /// # Panics
    /// When the kernel does not count them.
    pub fn dropped(&self) -> u64 {
        let table = self.router.run("cat /proc/net/snmp");
        let mut lines = table.lines().filter_map(|line| line.strip_prefix("Ip: "));
        let [names, counts] = [(); 2].map(|()| lines.next().expect("the kernel counts"));
        let count = |wanted: &str| -> u64 {
            let mut pairs = names.split(' ').zip(counts.split(' '));
            let (_, count) = pairs.find(|(name, _)| *name == wanted).expect("it is counted");
            count.parse().expect("a count is a number")
        };
        count("InReceives") - count("ForwDatagrams") - count("InDelivers")
    }
}

fn shell(lines: &str) {
    output(Command::new("sh").args(["-e", "-c", lines]));
}
