//! Outbound: appends what authentication adds. Never sealing an index twice is the caller's duty.

use super::cipher::Cipher;
use super::derivation::{Purpose, derive};
use super::open::{ENCRYPTED, INDEX_LEN, RTCP_CLEAR_LEN, RTP_HEADER_MIN};
use super::{Master, Profile, WrongKeyLength};

/// The keys that seal what we send. The caller counts the indices: one (SSRC, index) sealed twice gives the key stream away.
#[derive(Debug)]
pub struct Sealer {
    pub(super) rtp: Cipher,
    pub(super) rtcp: Cipher,
}

impl Sealer {
    pub fn new(profile: Profile, master: &Master) -> Result<Self, WrongKeyLength> {
        Ok(Self {
            rtp: derive(profile, master, Purpose::Rtp)?,
            rtcp: derive(profile, master, Purpose::Rtcp)?,
        })
    }

    /// Encrypts `packet` from `header_len` on and appends the tag. `index` is the 48-bit packet index, its low 16 bits the sequence
    /// number in the header.
    ///
    /// # Panics
    /// If `packet` is shorter than `header_len`, or that than the 12 bytes of a fixed header.
    pub fn seal_rtp(&self, packet: &mut Vec<u8>, header_len: usize, index: u64) {
        assert!(header_len >= RTP_HEADER_MIN, "an RTP header has at least 12 bytes");
        let (header, payload) = packet.split_at_mut(header_len);
        let ssrc = [header[8], header[9], header[10], header[11]];
        match &self.rtp {
            Cipher::Cm(cm) => {
                cm.apply(ssrc, index, payload);
                let tag = cm.rtp_tag(packet, index);
                packet.extend_from_slice(&tag);
            }
            Cipher::Gcm(gcm) => {
                let tag = gcm.seal(gcm.rtp_nonce(ssrc, index), header, payload);
                packet.extend_from_slice(&tag);
            }
        }
    }

    /// Encrypts a compound from its second word on and appends index and tag. `index` counts from 0 and never passes 2^31 - 1
    /// (RFC 3711 §3.4).
    ///
    /// # Panics
    /// If `packet` is shorter than the 8 bytes that stay clear, or `index` has more than 31 bits: it would repeat a nonce.
    pub fn seal_rtcp(&self, packet: &mut Vec<u8>, index: u32) {
        assert!(index < ENCRYPTED, "SRTCP indices have 31 bits, and none comes twice");
        let word = (index | ENCRYPTED).to_be_bytes();
        let (clear, body) = packet.split_at_mut(RTCP_CLEAR_LEN);
        let ssrc = [clear[4], clear[5], clear[6], clear[7]];
        match &self.rtcp {
            Cipher::Cm(cm) => {
                cm.apply(ssrc, u64::from(index), body);
                packet.extend_from_slice(&word);
                let tag = cm.rtcp_tag(packet);
                packet.extend_from_slice(&tag);
            }
            Cipher::Gcm(gcm) => {
                let mut aad = [0; RTCP_CLEAR_LEN + INDEX_LEN];
                aad[..RTCP_CLEAR_LEN].copy_from_slice(clear);
                aad[RTCP_CLEAR_LEN..].copy_from_slice(&word);
                let tag = gcm.seal(gcm.rtcp_nonce(ssrc, index), &aad, body);
                packet.extend_from_slice(&tag);
                packet.extend_from_slice(&word);
            }
        }
    }
}
