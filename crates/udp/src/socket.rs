//! One UDP socket, not connected, not blocking.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
};

use mio::{Interest, Registry, Token, event, unix::SourceFd};
use quinn_udp::{Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Type};

use crate::batch::{Batch, canonical};

/// Datagrams that wait for a full send buffer. They are feedback, of which the newest is worth most: the oldest goes first.
/// 256 of at most 1.5 kB are 384 kB.
const BACKLOG_MAX: usize = 256;

/// Bytes of one send with segmentation offload: less than the longest IP packet with its headers.
const RUN_BYTES_MAX: usize = 60_000;

/// What the caller chooses about a socket.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes to ask for as SO_RCVBUF. Linux grants at most `net.core.rmem_max` unless the process has CAP_NET_ADMIN; the size
    /// granted is [`Socket::receive_buffer`].
    pub receive_buffer: usize,
}

impl Default for Options {
    /// 8 MiB hold 100 ms of 650 Mbit/s.
    fn default() -> Self {
        Self {
            receive_buffer: 8 << 20,
        }
    }
}

/// Whether the kernel may have more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Nothing is left. A readiness event announces what comes next.
    Drained,
    /// Call again: with edge-triggered readiness no event announces what is left.
    More,
}

/// What went wrong, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Received and not handed on: empty, longer than [`crate::DATAGRAM_MAX`], or from port 0.
    pub unusable: u64,
    /// Dropped because the send buffer stayed full.
    pub backlog_dropped: u64,
    /// Refused by the kernel: no route, too long for the path, a source address that is gone.
    pub send_failed: u64,
}

impl Counters {
    /// By how much each grew since then.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            unusable: self.unusable.saturating_sub(before.unusable),
            backlog_dropped: self.backlog_dropped.saturating_sub(before.backlog_dropped),
            send_failed: self.send_failed.saturating_sub(before.send_failed),
        }
    }
}

/// A socket with GRO, GSO and IP_PKTINFO where the kernel has them.
#[derive(Debug)]
pub struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    run: Run,
    backlog: VecDeque<Waiting>,
    counters: Counters,
}

/// Datagrams of equal size to one destination, which leave in one system call.
#[derive(Debug)]
struct Run {
    local: SocketAddr,
    remote: SocketAddr,
    /// Of every datagram but the last, which may be shorter. 0: no run is open.
    segment: usize,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Waiting {
    local: SocketAddr,
    remote: SocketAddr,
    bytes: Vec<u8>,
}

impl Socket {
    /// Binds to `address`; port 0 lets the kernel choose. `[::]` takes IPv4 as well.
    pub fn bind(address: SocketAddr, options: Options) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.ip() == IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED) {
            socket.set_only_v6(false)?;
        }
        raise_receive_buffer(&socket, options.receive_buffer)?;
        socket.bind(&address.into())?;
        let io = UdpSocket::from(socket);
        let state = UdpSocketState::new((&io).into())?;
        let local = io.local_addr()?;
        let run = Run {
            local,
            remote: local,
            segment: 0,
            bytes: Vec::with_capacity(RUN_BYTES_MAX),
        };
        Ok(Self {
            io,
            state,
            local,
            run,
            backlog: VecDeque::new(),
            counters: Counters::default(),
        })
    }

    /// The address bound, with the port really given.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// SO_RCVBUF as granted, in bytes. The kernel doubles what it grants, for its own book-keeping.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        self.state.recv_buffer_size((&self.io).into())
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Fills `batch` with what has arrived, without waiting; with nothing, if nothing has.
    pub fn recv(&mut self, batch: &mut Batch) -> io::Result<Queue> {
        let received = batch.fill(self.local, |slices, meta| {
            self.state.recv((&self.io).into(), slices, meta)
        });
        match received {
            Ok(filled) => {
                self.counters.unusable += filled.unusable;
                Ok(if filled.all { Queue::More } else { Queue::Drained })
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Queue::Drained),
            Err(error) => Err(error),
        }
    }

    /// Queues one datagram, to leave from `local` (whose port is ours), and sends what cannot be joined with it. UDP promises
    /// nothing, so neither does this: what the kernel does not take is counted.
    pub fn send(&mut self, local: SocketAddr, remote: SocketAddr, datagram: &[u8]) {
        debug_assert!(!datagram.is_empty(), "nothing that we speak has empty datagrams");
        if !self
            .run
            .takes(local, remote, datagram.len(), self.state.max_gso_segments())
        {
            self.flush();
            self.run.local = local;
            self.run.remote = remote;
            self.run.segment = datagram.len();
        }
        self.run.bytes.extend_from_slice(datagram);
    }

    /// Sends what [`Socket::send`] queued. To be called once after the last of a batch.
    pub fn flush(&mut self) {
        if self.run.segment == 0 {
            return;
        }
        let sent = if self.backlog.is_empty() {
            self.transmit(self.run.local, self.run.remote, &self.run.bytes, self.run.segment)
        } else {
            // Behind those that wait, so that the order stays.
            Err(io::ErrorKind::WouldBlock.into())
        };
        match sent {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.defer_run(),
            Err(_) if self.run.bytes.len() > self.run.segment => self.send_singly(),
            Err(_) => self.counters.send_failed += 1,
        }
        self.run.close();
    }

    /// Whether something waits for the send buffer. A caller then comes back in a millisecond: asking for readiness to write
    /// would wake it for every datagram that leaves.
    pub fn is_backlogged(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Sends what waited for the send buffer, as far as it takes it now.
    pub fn retry(&mut self) {
        while let Some(waiting) = self.backlog.pop_front() {
            match self.transmit(waiting.local, waiting.remote, &waiting.bytes, waiting.bytes.len()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.backlog.push_front(waiting),
                Err(_) => self.counters.send_failed += 1,
            }
        }
    }

    /// The kernel refused the run as a whole: a device without segmentation offload, or a path too narrow for one segment.
    fn send_singly(&mut self) {
        let run = std::mem::take(&mut self.run.bytes);
        for datagram in run.chunks(self.run.segment) {
            match self.transmit(self.run.local, self.run.remote, datagram, datagram.len()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.defer(datagram),
                Err(_) => self.counters.send_failed += 1,
            }
        }
        self.run.bytes = run;
    }

    fn defer_run(&mut self) {
        let run = std::mem::take(&mut self.run.bytes);
        run.chunks(self.run.segment).for_each(|datagram| self.defer(datagram));
        self.run.bytes = run;
    }

    fn defer(&mut self, datagram: &[u8]) {
        if self.backlog.len() == BACKLOG_MAX {
            self.backlog.pop_front();
            self.counters.backlog_dropped += 1;
        }
        let (local, remote) = (self.run.local, self.run.remote);
        self.backlog.push_back(Waiting {
            local,
            remote,
            bytes: datagram.to_vec(),
        });
    }

    fn transmit(&self, local: SocketAddr, remote: SocketAddr, contents: &[u8], segment: usize) -> io::Result<()> {
        let transmit = Transmit {
            destination: self.as_the_socket_writes(remote),
            ecn: None,
            contents,
            segment_size: Some(segment),
            src_ip: Some(local.ip()).filter(|ip| !ip.is_unspecified()),
        };
        self.state.try_send((&self.io).into(), &transmit)
    }

    /// An IPv6 socket speaks to an IPv4 host by its mapped address (RFC 3493 §3.7).
    fn as_the_socket_writes(&self, remote: SocketAddr) -> SocketAddr {
        match remote {
            SocketAddr::V4(remote) if self.local.is_ipv6() => {
                SocketAddr::new(remote.ip().to_ipv6_mapped().into(), remote.port())
            }
            remote => canonical(remote),
        }
    }
}

impl event::Source for Socket {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.io.as_raw_fd()).register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.io.as_raw_fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.io.as_raw_fd()).deregister(registry)
    }
}

impl Run {
    fn takes(&self, local: SocketAddr, remote: SocketAddr, length: usize, segments_max: usize) -> bool {
        self.segment > 0
            && (self.local, self.remote) == (local, remote)
            && length <= self.segment
            // A shorter datagram has closed the run.
            && self.bytes.len().is_multiple_of(self.segment)
            && self.bytes.len() < self.segment * segments_max
            && self.bytes.len() + length <= RUN_BYTES_MAX
    }

    fn close(&mut self) {
        self.bytes.clear();
        self.segment = 0;
    }
}

fn raise_receive_buffer(socket: &socket2::Socket, bytes: usize) -> io::Result<()> {
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, bytes).is_ok() {
        return Ok(());
    }
    // Without CAP_NET_ADMIN the kernel grants what it may, without an error.
    socket.set_recv_buffer_size(bytes)
}

#[cfg(test)]
mod tests;
