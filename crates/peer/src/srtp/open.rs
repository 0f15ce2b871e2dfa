//! Inbound: what does not authenticate is refused before anything else happens.

use super::cipher::{CM_TAG_LEN, Cipher, GCM_TAG_LEN, same};
use super::derivation::{Purpose, derive};
use super::{Master, Profile, WrongKeyLength};

/// The word after an SRTCP packet: its highest bit says that the packet is encrypted, the rest is the index (RFC 3711 §3.4).
pub(super) const ENCRYPTED: u32 = 1 << 31;
/// Bytes of that word.
pub(super) const INDEX_LEN: usize = 4;
/// An RTCP packet's header and sender, which stay clear (RFC 3711 §3.4).
pub(super) const RTCP_CLEAR_LEN: usize = 8;
/// A fixed RTP header (RFC 3550 §5.1).
pub(super) const RTP_HEADER_MIN: usize = 12;

/// The longest ciphertext a probe opens: more than Ethernet carries, little enough for the stack. A stream cannot begin with a longer
/// packet.
const PROBE_MAX: usize = 2048;

/// It was not sealed with this key, or not at this index, or it is no such packet at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the packet does not authenticate")]
pub struct Unauthentic;

/// The keys that open what the peer sends. Opening changes nothing here: replay protection is the caller's [`super::Replay`].
#[derive(Debug)]
pub struct Opener {
    pub(super) rtp: Cipher,
    pub(super) rtcp: Cipher,
}

impl Opener {
    pub fn new(profile: Profile, master: &Master) -> Result<Self, WrongKeyLength> {
        Ok(Self {
            rtp: derive(profile, master, Purpose::Rtp)?,
            rtcp: derive(profile, master, Purpose::Rtcp)?,
        })
    }

    /// Authenticates and decrypts in place; the answer is where the payload ends in `datagram`. `header_len` is the RTP header with its
    /// CSRCs and extension, `index` the 48-bit packet index (RFC 3711 §3.3.1).
    ///
    /// An error may leave `datagram` cleared (AES-GCM): whoever has several indices or keys to try calls [`Self::probe_rtp`] first.
    pub fn open_rtp(&self, datagram: &mut [u8], header_len: usize, index: u64) -> Result<usize, Unauthentic> {
        match &self.rtp {
            Cipher::Cm(cm) => {
                let (end, ssrc) = rtp_bounds(datagram, header_len, CM_TAG_LEN)?;
                let (packet, tag) = datagram.split_at_mut(end);
                same(tag, &cm.rtp_tag(packet, index))?;
                cm.apply(ssrc, index, &mut packet[header_len..]);
                Ok(end)
            }
            Cipher::Gcm(gcm) => {
                let (end, ssrc) = rtp_bounds(datagram, header_len, GCM_TAG_LEN)?;
                let (header, body) = datagram.split_at_mut(header_len);
                gcm.open(gcm.rtp_nonce(ssrc, index), header, body)?;
                Ok(end)
            }
        }
    }

    /// Whether [`Self::open_rtp`] would succeed, with `datagram` left as it is. For the first packet of a stream, whose roll-over
    /// counter is a guess, and for packets that may be of several sessions. False for payloads over 2 KiB.
    pub fn probe_rtp(&self, datagram: &[u8], header_len: usize, index: u64) -> bool {
        self.try_probe(datagram, header_len, index).is_ok()
    }

    fn try_probe(&self, datagram: &[u8], header_len: usize, index: u64) -> Result<(), Unauthentic> {
        match &self.rtp {
            Cipher::Cm(cm) => {
                let (end, _) = rtp_bounds(datagram, header_len, CM_TAG_LEN)?;
                let (packet, tag) = datagram.split_at(end);
                same(tag, &cm.rtp_tag(packet, index))
            }
            Cipher::Gcm(gcm) => {
                let (end, ssrc) = rtp_bounds(datagram, header_len, GCM_TAG_LEN)?;
                let mut scratch = [0; PROBE_MAX];
                let plaintext = scratch.get_mut(..end - header_len).ok_or(Unauthentic)?;
                let (packet, tag) = datagram.split_at(end);
                let (header, ciphertext) = packet.split_at(header_len);
                gcm.probe(gcm.rtp_nonce(ssrc, index), header, ciphertext, tag, plaintext)
            }
        }
    }

    /// Authenticates and decrypts a compound in place; the answer is its length, and its 31-bit index for the replay check. A packet
    /// that says it is not encrypted (E = 0) is only authenticated.
    ///
    /// An error may leave `datagram` changed.
    pub fn open_rtcp(&self, datagram: &mut [u8]) -> Result<(usize, u32), Unauthentic> {
        match &self.rtcp {
            Cipher::Cm(cm) => {
                // packet | E and index | tag: the tag covers all before it.
                let signed = datagram.len().checked_sub(CM_TAG_LEN).ok_or(Unauthentic)?;
                let (signed, tag) = datagram.split_at_mut(signed);
                let (end, ssrc, word) = rtcp_bounds(signed, INDEX_LEN)?;
                same(tag, &cm.rtcp_tag(signed))?;
                if word & ENCRYPTED != 0 {
                    cm.apply(ssrc, u64::from(word & !ENCRYPTED), &mut signed[RTCP_CLEAR_LEN..end]);
                }
                Ok((end, word & !ENCRYPTED))
            }
            Cipher::Gcm(gcm) => {
                // packet | tag | E and index: the tag covers the word after it (RFC 7714 §9.2 and §9.3).
                let (end, ssrc, word) = rtcp_bounds(datagram, GCM_TAG_LEN + INDEX_LEN)?;
                let index = word & !ENCRYPTED;
                let nonce = gcm.rtcp_nonce(ssrc, index);
                if word & ENCRYPTED != 0 {
                    let mut aad = [0; RTCP_CLEAR_LEN + INDEX_LEN];
                    aad[..RTCP_CLEAR_LEN].copy_from_slice(&datagram[..RTCP_CLEAR_LEN]);
                    aad[RTCP_CLEAR_LEN..].copy_from_slice(&word.to_be_bytes());
                    gcm.open(nonce, &aad, &mut datagram[RTCP_CLEAR_LEN..end + GCM_TAG_LEN])?;
                } else {
                    // All of it is associated data, and it must be in one piece: tag and word change places.
                    datagram[end..].rotate_right(INDEX_LEN);
                    let (aad, tag) = datagram.split_at_mut(end + INDEX_LEN);
                    gcm.open(nonce, aad, tag)?;
                }
                Ok((end, index))
            }
        }
    }
}

/// Where the tag of an RTP packet begins, and its SSRC.
fn rtp_bounds(datagram: &[u8], header_len: usize, tag_len: usize) -> Result<(usize, [u8; 4]), Unauthentic> {
    let end = datagram.len().checked_sub(tag_len).ok_or(Unauthentic)?;
    if header_len < RTP_HEADER_MIN || header_len > end {
        return Err(Unauthentic);
    }
    Ok((end, [datagram[8], datagram[9], datagram[10], datagram[11]]))
}

/// Where the RTCP packet ends, with `trailer` bytes after it, its sender, and the last word.
fn rtcp_bounds(datagram: &[u8], trailer: usize) -> Result<(usize, [u8; 4], u32), Unauthentic> {
    let end = datagram
        .len()
        .checked_sub(trailer)
        .filter(|end| *end >= RTCP_CLEAR_LEN)
        .ok_or(Unauthentic)?;
    let (_, word) = datagram.split_last_chunk().ok_or(Unauthentic)?;
    Ok((
        end,
        [datagram[4], datagram[5], datagram[6], datagram[7]],
        u32::from_be_bytes(*word),
    ))
}
