//! What the encoder reports, and how it reads and answers what the server does.

use std::time::Instant;

use super::{Publisher, VIDEO_SSRC};

impl Publisher {
    /// A sender report (RFC 3550 §6.4.1), the first SRTCP packet of this SSRC.
    pub(crate) fn sender_report(&self, ssrc: u32) -> Vec<u8> {
        let mut report = vec![0x80, 200, 0, 6];
        report.extend(ssrc.to_be_bytes());
        report.resize(28, 0);
        self.sealer.as_ref().expect("connected").seal_rtcp(&mut report, 1);
        report
    }

    pub(super) fn receive_rtcp(&mut self, now: Instant, datagram: &mut [u8]) {
        let Some(opener) = &self.opener else { return };
        let sender = u32::from_be_bytes(datagram[4..8].try_into().expect("four bytes"));
        let Ok((len, index)) = opener.open_rtcp(datagram) else {
            self.heard.unauthentic += 1;
            return;
        };
        let replay = self.rtcp_seen.entry(sender).or_default();
        if !replay.check(index.into()) {
            self.heard.replayed += 1;
            return;
        }
        replay.commit(index.into());
        self.heard.rtcp_at.push(now);
        self.read_compound(&datagram[..len]);
    }

    /// An independent reading of what the server wrote: rtc-rtcp's.
    fn read_compound(&mut self, compound: &[u8]) {
        let mut types = vec![];
        let mut rest = compound;
        while rest.len() >= 4 {
            types.push((rest[1], rest[0] & 0x1f));
            let len = (usize::from(u16::from_be_bytes([rest[2], rest[3]])) + 1) * 4;
            self.read_packet(&rest[..len]);
            rest = &rest[len..];
        }
        assert!(rest.is_empty(), "a compound ends with its last packet");
        self.heard.compounds.push(types);
    }

    fn read_packet(&mut self, packet: &[u8]) {
        match (packet[1], packet[0] & 0x1f) {
            (201, blocks) => {
                self.heard.receiver_reports += 1;
                for block in packet[8..].chunks_exact(24).take(blocks.into()) {
                    self.heard
                        .reported
                        .push(u32::from_be_bytes(block[..4].try_into().expect("four bytes")));
                }
            }
            (205, 1) => {
                let media = u32::from_be_bytes(packet[8..12].try_into().expect("four bytes"));
                let layer = media.wrapping_sub(VIDEO_SSRC) as usize;
                for pair in packet[12..].chunks_exact(4) {
                    let first = u16::from_be_bytes([pair[0], pair[1]]);
                    let mask = u16::from_be_bytes([pair[2], pair[3]]);
                    let more = (0..16)
                        .filter(|bit| mask >> bit & 1 == 1)
                        .map(|bit| first.wrapping_add(bit + 1));
                    let asked: Vec<u16> = std::iter::once(first).chain(more).collect();
                    self.answer_nack(layer, &asked);
                    self.heard.nacks.extend(asked);
                }
            }
            (206, 1 | 4) => self.heard.keyframe_requests += 1,
            _ => {}
        }
    }

    fn answer_nack(&mut self, layer: usize, asked: &[u16]) {
        if !self.habits.repairs {
            return;
        }
        for sequence in asked {
            let mut history = self.history.iter();
            let sent = history.find(|(of, sent, _)| *of == layer && *sent as u16 == *sequence);
            let Some((_, original, packet)) = sent.cloned() else {
                continue;
            };
            if self.habits.rtx {
                self.send_rtx(layer, original)
            } else {
                self.out.push_back(packet)
            }
        }
    }
}
