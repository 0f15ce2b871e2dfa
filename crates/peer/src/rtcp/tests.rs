use std::time::Instant;

use bytes::Bytes;
use proptest::prelude::*;
use rtc_rtcp::packet::Packet;
use rtc_rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::source_description::SourceDescription;
use rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

use super::write::{ReportBlock, full_intra_request, generic_nack, picture_loss, receiver_report, remb};
use super::{SenderReport, sender_reports};

/// The trackers' tests begin here and count on.
#[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
pub(super) fn start() -> Instant {
    Instant::now()
}

const BLOCK: ReportBlock = ReportBlock {
    ssrc: 0x0102_0304,
    fraction_lost: 64,
    lost: -2,
    highest: 0x0001_fffe,
    jitter: 90,
    last_sender_report: 0xaabb_ccdd,
    delay: 65_536,
};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// What another implementation reads.
fn oracle(bytes: &[u8]) -> Vec<Box<dyn Packet>> {
    rtc_rtcp::packet::unmarshal(&mut Bytes::copy_from_slice(bytes)).unwrap()
}

fn one<T: Packet + Clone + 'static>(bytes: &[u8]) -> T {
    let packets = oracle(bytes);
    assert_eq!(packets.len(), 1);
    packets[0].as_any().downcast_ref::<T>().unwrap().clone()
}

#[test]
fn a_receiver_report_is_written_byte_for_byte() {
    let bytes = written(|out| receiver_report(out, 0x1122_3344, &[BLOCK], "abc"));
    #[rustfmt::skip]
    assert_eq!(bytes, [
        0x81, 201, 0, 7, 0x11, 0x22, 0x33, 0x44,
        1, 2, 3, 4, 64, 0xff, 0xff, 0xfe, 0, 1, 0xff, 0xfe, 0, 0, 0, 90, 0xaa, 0xbb, 0xcc, 0xdd, 0, 1, 0, 0,
        0x81, 202, 0, 3, 0x11, 0x22, 0x33, 0x44, 1, 3, b'a', b'b', b'c', 0, 0, 0,
    ]);
}

#[test]
fn a_receiver_report_is_what_another_implementation_reads() {
    for (count, cname) in [(0, ""), (1, "0123456789abcdef"), (31, "ab"), (40, "abcdef")] {
        let bytes = written(|out| receiver_report(out, 7, &vec![BLOCK; count], cname));
        let packets = oracle(&bytes);
        let report = packets[0].as_any().downcast_ref::<ReceiverReport>().unwrap();
        assert_eq!((report.ssrc, report.reports.len()), (7, count.min(31)));
        if let Some(block) = report.reports.first() {
            assert_eq!(
                (block.ssrc, block.fraction_lost, block.total_lost),
                (BLOCK.ssrc, 64, 0x00ff_fffe)
            );
            assert_eq!((block.last_sequence_number, block.jitter), (BLOCK.highest, 90));
            assert_eq!(
                (block.last_sender_report, block.delay),
                (BLOCK.last_sender_report, 65_536)
            );
        }
        let description = packets[1].as_any().downcast_ref::<SourceDescription>().unwrap();
        assert_eq!(description.chunks[0].source, 7);
        assert_eq!(description.chunks[0].items[0].text, cname);
    }
}

#[test]
fn keyframe_requests_are_what_another_implementation_reads() {
    let pli: PictureLossIndication = one(&written(|out| picture_loss(out, 1, 2)));
    assert_eq!((pli.sender_ssrc, pli.media_ssrc), (1, 2));
    let fir: FullIntraRequest = one(&written(|out| full_intra_request(out, 1, 2, 9)));
    assert_eq!((fir.sender_ssrc, fir.media_ssrc, fir.fir.len()), (1, 0, 1));
    assert_eq!((fir.fir[0].ssrc, fir.fir[0].sequence_number), (2, 9));
}

#[test]
fn remb_is_what_another_implementation_reads() {
    let bytes = written(|out| remb(out, 1, 5_000_000, &[5]));
    assert_eq!(bytes[8..], *b"\0\0\0\0REMB\x01\x16\x62\x5a\0\0\0\x05");
    for bits_per_second in [1, 300_000, 5_000_000, 50_000_000, 262_143, 262_144, u64::MAX] {
        let bytes = written(|out| remb(out, 1, bits_per_second, &[5, 6]));
        let exponent = (64 - bits_per_second.leading_zeros()).saturating_sub(18);
        let sent = bits_per_second >> exponent << exponent;
        let remb: ReceiverEstimatedMaximumBitrate = one(&bytes);
        assert_eq!(
            (remb.sender_ssrc, remb.bitrate, &remb.ssrcs[..]),
            (1, sent as f32, &[5, 6][..])
        );
    }
}

#[test]
fn a_nack_packs_what_follows_within_16() {
    let bytes = written(|out| generic_nack(out, 1, 2, &[10, 11, 26, 27, 65_535, 3, 15, 16]));
    #[rustfmt::skip]
    assert_eq!(bytes, [
        0x81, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2,
        0, 10, 0x80, 0x01, // 11 and 26
        0, 27, 0, 0,
        0xff, 0xff, 0x80, 0x08, // 3 and 15
        0, 16, 0, 0,
    ]);
    assert!(written(|out| generic_nack(out, 1, 2, &[])).is_empty());
}

#[test]
fn the_sender_reports_of_a_compound_are_read() {
    #[rustfmt::skip]
    let mut compound = vec![
        0x80, 200, 0, 6, 0, 0, 0, 9, 0, 0, 0, 1, 0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 5, 0, 0, 2, 0,
        0x81, 202, 0, 2, 0, 0, 0, 9, 1, 1, b'a', 0,
        // A BYE of more sources than it holds is nothing to us.
        0x82, 203, 0, 1, 0, 0, 0, 9,
        0x80, 77, 0, 0,
        0x80, 200, 0, 4, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4,
    ];
    let expected = [
        SenderReport {
            ssrc: 9,
            ntp: 0x0000_0001_8000_0000,
            timestamp: 256,
        },
        SenderReport {
            ssrc: 8,
            ntp: 0x0000_0002_0000_0003,
            timestamp: 4,
        },
    ];
    assert_eq!(sender_reports(&compound).collect::<Vec<_>>(), expected);

    // Another version ends it; so does a length beyond the end, and a sender report too short for its fields.
    let (good, last) = (compound.len(), compound[compound.len() - 20..].to_vec());
    for malformed in [
        &[0x40, 77, 0, 0][..],
        &[0x80, 77, 0, 99],
        &[0x80, 200, 0, 1, 0, 0, 0, 9],
    ] {
        compound.truncate(good);
        compound.extend_from_slice(malformed);
        compound.extend_from_slice(&last);
        assert_eq!(sender_reports(&compound).count(), 2, "{malformed:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 198_u8..208) {
        if bytes.len() > 4 {
            bytes[0] = 0x80 | bytes[0] & 0x3f;
            bytes[1..3].copy_from_slice(&[kind, 0]);
            bytes[3] %= 16;
        }
        prop_assert!(sender_reports(&bytes).count() <= bytes.len() / 20);
    }

    #[test]
    fn a_nack_names_exactly_what_was_asked(start: u16, steps in prop::collection::vec(1_u16..40, 0..199)) {
        let mut sequences = vec![start];
        for step in steps {
            sequences.push(sequences.last().unwrap().wrapping_add(step));
        }
        let bytes = written(|out| generic_nack(out, 1, 2, &sequences));
        prop_assert!(bytes.len() <= 812);
        let nack: TransportLayerNack = one(&bytes);
        let mut named: Vec<u16> = nack.nacks.iter().flat_map(|pair| pair.packet_list()).collect();
        named.sort_by_key(|sequence| sequence.wrapping_sub(start));
        prop_assert_eq!(named, sequences);
    }
}
