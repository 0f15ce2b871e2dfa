use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn parsed(unit: &[u8]) -> Option<(u32, Option<String>)> {
    let sps = Sps::parse(unit)?;
    Some((sps.reordered, sps.rate.map(|rate| rate.to_string())))
}

/// Of libx265: with scaling lists, an aspect ratio and colours; with two temporal layers; with B-frames; lossless in small
/// blocks; without times.
const OF_X265: [(&str, u32, Option<&str>); 5] = [
    (
        "42010101600000030090000003000003001ea0122071c44465ba4a4e1781db808080db0800001f480003a98040",
        0,
        Some("30000/1001"),
    ),
    (
        "42010101600000030090000003000003001ea0122071c444659692930bc05a020000030002000003003210",
        0,
        Some("25"),
    ),
    (
        "42010101600000030090000003000003003ca0122071c4446595952930bc05a020000003002000000781",
        2,
        Some("60"),
    ),
    (
        "4201010160000003009000000300000300ffa0122071c44465ba4a4c2f0168080000030008000003019040",
        0,
        Some("50"),
    ),
    (
        "42010101600000030090000003000003001ea0122071c44465ba4a4c2f01680080",
        0,
        None,
    ),
];

#[test]
fn what_an_encoder_wrote_is_read() {
    for (hex, reordered, rate) in OF_X265 {
        assert_eq!(parsed(&bytes(hex)), Some((reordered, rate.map(str::to_owned))), "{hex}");
    }
}

/// Bits in the making, as text.
#[derive(Default)]
struct Bits(String);

impl Bits {
    fn u(&mut self, width: usize, value: u64) -> &mut Self {
        self.0 += &format!("{value:0width$b}");
        self
    }

    fn ue(&mut self, value: u64) -> &mut Self {
        let code = value + 1;
        let width = code.ilog2() as usize;
        self.0 += &"0".repeat(width);
        self.u(width + 1, code)
    }

    /// A NAL unit of them, with its emulation prevention bytes.
    fn unit(&self) -> Vec<u8> {
        let mut text = format!("{}1", self.0);
        text += &"0".repeat(text.len().next_multiple_of(8) - text.len());
        let mut unit = vec![0x42, 0x01];
        for at in (0..text.len()).step_by(8) {
            let byte = u8::from_str_radix(&text[at..at + 8], 2).unwrap();
            if unit.ends_with(&[0, 0]) && byte <= 3 {
                unit.push(3);
            }
            unit.push(byte);
        }
        unit
    }
}

/// All that may stand before the times, as no encoder writes it together: two sub-layers of which one has a profile and a
/// level, 4:4:4, scaling lists of both forms, PCM, reference picture sets of which two are predicted from the one before,
/// long-term ones, an aspect ratio in figures, and each other part of the VUI.
#[test]
fn whatever_stands_before_the_times_is_passed_over() {
    let mut bits = Bits::default();
    bits.u(4, 0).u(3, 1).u(1, 1).u(48, 1).u(48, 93);
    bits.u(1, 1).u(1, 1).u(14, 0).u(48, 5).u(48, 6);
    bits.ue(0).ue(3).u(1, 0).ue(640).ue(360);
    bits.u(1, 1).ue(0).ue(0).ue(0).ue(4);
    bits.ue(0).ue(0).ue(4).u(1, 1);
    bits.ue(4).ue(1).ue(0).ue(4).ue(3).ue(0);
    // Sizes of blocks; scaling lists.
    bits.ue(0).ue(3).ue(0).ue(3).ue(1).ue(2).u(1, 1).u(1, 1);
    for (matrices, coefficients, has_dc) in [(6, 16, false), (6, 64, false), (6, 64, true), (2, 64, true)] {
        for matrix in 0..matrices {
            if matrix % 2 == 0 {
                bits.u(1, 0).ue(0);
                continue;
            }
            bits.u(1, 1);
            for value in 0..coefficients + u64::from(has_dc) {
                bits.ue(value);
            }
        }
    }
    bits.u(2, 3).u(1, 1).u(8, 0x77).ue(0).ue(2).u(1, 1);
    // Three pictures; of them and the one itself three are kept; of these four all are.
    bits.ue(3).ue(2).ue(1).ue(0).u(1, 1).ue(1).u(1, 0).ue(0).u(1, 1);
    bits.u(1, 1).u(1, 1).ue(0).u(1, 1).u(2, 0b01).u(2, 0b00).u(1, 1);
    bits.u(1, 1).u(1, 0).ue(2).u(1, 1).u(2, 0b01).u(1, 1).u(1, 1);
    // Long-term pictures, of 8 bits and a flag.
    bits.u(1, 1).ue(2).u(9, 0x155).u(9, 0xaa);
    bits.u(2, 3).u(1, 1);
    bits.u(1, 1)
        .u(8, 255)
        .u(16, 4)
        .u(16, 3)
        .u(1, 1)
        .u(1, 0)
        .u(1, 1)
        .u(4, 5)
        .u(1, 1)
        .u(24, 0x10101);
    bits.u(1, 1).ue(2).ue(2).u(3, 0).u(1, 1).ue(0).ue(0).ue(0).ue(8);
    bits.u(1, 1).u(32, 1001).u(32, 24_000).u(1, 0);
    assert_eq!(parsed(&bits.unit()), Some((3, Some("24000/1001".to_owned()))));
}

proptest! {
    /// Whatever an SPS holds: an answer, never a panic, and not for long.
    #[test]
    fn never_panics(
        (hex, _, _) in prop::sample::select(OF_X265.to_vec()),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        tail in prop::collection::vec(any::<u8>(), 0..200),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut unit = bytes(hex);
        unit.extend(tail);
        for (at, value) in flips {
            let length = unit.len();
            unit[at.index(length)] = value;
        }
        unit.truncate(cut.index(unit.len() + 1));
        let _ = Sps::parse(&unit);
    }
}
