//! What one system call received.

use std::{
    io::IoSliceMut,
    net::{IpAddr, SocketAddr},
};

use quinn_udp::{BATCH_SIZE, RecvMeta};

/// The longest datagram handed on: what a jumbo frame of 9000 bytes carries, rounded up. Longer ones reached us in IP
/// fragments, which no encoder sends.
pub const DATAGRAM_MAX: usize = 9216;

/// The kernel coalesces datagrams of one flow up to the longest IP packet; a shorter buffer would cut them.
const BUFFER: usize = 64 * 1024;

/// Buffers for one system call, 2 MiB of them; made once and used again. Pages that no datagram touched cost nothing.
#[derive(Debug)]
pub struct Batch {
    bytes: Box<[u8]>,
    meta: [RecvMeta; BATCH_SIZE],
    /// Buffers filled by the last call.
    pub(crate) filled: usize,
    /// Our end of each datagram where the kernel did not say.
    bound: SocketAddr,
}

/// One datagram, in the batch's memory, so that it can be decrypted in place.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// The address asked, and our port.
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub bytes: &'a mut [u8],
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            bytes: vec![0; BATCH_SIZE * BUFFER].into_boxed_slice(),
            meta: [RecvMeta::default(); BATCH_SIZE],
            filled: 0,
            bound: SocketAddr::from(([0, 0, 0, 0], 0)),
        }
    }
}

impl Batch {
    /// The datagrams of the last receive, in the order of arrival, coalesced ones apart again. Not among them: empty ones, those
    /// longer than [`DATAGRAM_MAX`], and those that cannot be answered because they name port 0.
    pub fn datagrams(&mut self) -> impl Iterator<Item = Datagram<'_>> {
        let (bound, bound_ip) = (self.bound, self.bound.ip());
        let buffers = self.bytes.chunks_exact_mut(BUFFER).zip(&self.meta[..self.filled]);
        buffers
            .filter(|(_, meta)| is_usable(meta))
            .flat_map(move |(buffer, meta)| {
                let local = SocketAddr::new(meta.dst_ip.unwrap_or(bound_ip).to_canonical(), bound.port());
                let remote = canonical(meta.addr);
                buffer[..meta.len]
                    .chunks_mut(meta.stride)
                    .map(move |bytes| Datagram { local, remote, bytes })
            })
    }

    /// Fills the buffers through `receive`, which says how many it filled. Returns how many datagrams of these are dropped.
    pub(crate) fn fill<E>(
        &mut self,
        bound: SocketAddr,
        receive: impl FnOnce(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> Result<usize, E>,
    ) -> Result<Filled, E> {
        self.bound = bound;
        self.filled = 0;
        let mut buffers = self.bytes.chunks_exact_mut(BUFFER);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(buffers.next().expect("one buffer for each message of a batch")));
        self.filled = receive(&mut slices, &mut self.meta)?;
        let unusable = self.meta[..self.filled].iter().filter(|meta| !is_usable(meta)).count();
        Ok(Filled {
            all: self.filled == BATCH_SIZE,
            unusable: unusable as u64,
        })
    }
}

/// What a system call brought.
pub(crate) struct Filled {
    /// Every buffer was used, so that more may wait.
    pub(crate) all: bool,
    pub(crate) unusable: u64,
}

fn is_usable(meta: &RecvMeta) -> bool {
    meta.len > 0 && (1..=DATAGRAM_MAX).contains(&meta.stride) && meta.addr.port() != 0
}

pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        // A link-local IPv6 address means nothing without its scope.
        IpAddr::V6(_) => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}
