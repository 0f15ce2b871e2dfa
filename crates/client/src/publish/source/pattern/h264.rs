//! The smallest H.264 encoder that a test picture needs: Constrained Baseline, one slice per picture, macroblocks of one
//! colour, macroblocks of noise, and macroblocks left as they were.
//!
//! The quantiser is chosen so that one step of a transform level is one step of a sample value: what is asked for is
//! what a decoder shows, to the bit. Clause numbers are those of ITU-T H.264.

use bytes::Bytes;

use super::bits::NalWriter;

/// One macroblock, 16x16 samples, as it shall look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Macroblock {
    /// One colour all over.
    Flat { y: u8, cb: u8, cr: u8 },
    /// Grey noise from this seed: incompressible, 384 bytes in the stream.
    Noise { seed: u32 },
}

/// What a picture starts from: sizes that do not change within a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    /// In samples, a multiple of 16.
    pub(super) width: u32,
    /// In samples, even; the last row of macroblocks is cropped to it.
    pub(super) height: u32,
    pub(super) frames_per_second: u32,
}

impl Format {
    pub(super) fn columns(self) -> usize {
        (self.width / 16) as usize
    }

    pub(super) fn rows(self) -> usize {
        self.height.div_ceil(16) as usize
    }
}

pub(super) struct Encoder {
    format: Format,
    previous: Vec<Macroblock>,
    /// Pictures since the last IDR picture; `frame_num` is this modulo 16.
    since_idr: u32,
    /// Differs between neighbouring IDR pictures (clause 7.4.3).
    idr_pic_id: u32,
}

/// Profile 66 with constraint_set0..2: Constrained Baseline. Level 3.1 carries 108,000 macroblocks/s in pictures
/// of 3600: just 1280x720 at 30/s.
pub(super) const PROFILE_LEVEL_ID: [u8; 3] = [0x42, 0xe0, 0x1f];

/// At QP 28, LevelScale is 256 and a lone luma DC level L becomes (256 L + 2) >> 2 = 64 L, then (64 L + 32) >> 6 = L
/// (clauses 8.5.10 and 8.5.12).
const LUMA_QP: i32 = 28;
/// At QP 22 a lone chroma DC level L becomes ((256 L) << 3) >> 5 = 64 L, hence again L (clause 8.5.11).
const CHROMA_QP: i32 = 22;

const NAL_SPS: u8 = 0x67;
const NAL_PPS: u8 = 0x68;
const NAL_IDR: u8 = 0x65;
const NAL_SLICE: u8 = 0x41;

impl Encoder {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            previous: Vec::new(),
            since_idr: 0,
            idr_pic_id: 0,
        }
    }

    /// One access unit in Annex B form. `picture` holds the macroblocks in raster order, `columns` times `rows` of
    /// them. The first picture is a keyframe, asked for or not.
    pub(super) fn encode(&mut self, picture: Vec<Macroblock>, keyframe: bool) -> Bytes {
        assert_eq!(picture.len(), self.format.columns() * self.format.rows());
        let mut stream = Vec::new();
        if keyframe || self.previous.is_empty() {
            self.since_idr = 0;
            self.idr_pic_id ^= 1;
            sequence_parameter_set(self.format).finish(&mut stream);
            picture_parameter_set().finish(&mut stream);
            self.intra_slice(&picture).finish(&mut stream);
        } else {
            self.since_idr += 1;
            self.predicted_slice(&picture).finish(&mut stream);
        }
        self.previous = picture;
        Bytes::from(stream)
    }

    fn intra_slice(&self, picture: &[Macroblock]) -> NalWriter {
        let mut out = NalWriter::new(NAL_IDR);
        self.slice_header(&mut out, SliceType::I);
        let mut slice = Slice::new(self.format.columns(), picture, SliceType::I);
        for address in 0..picture.len() {
            slice.macroblock(&mut out, address);
        }
        out
    }

    fn predicted_slice(&self, picture: &[Macroblock]) -> NalWriter {
        let mut out = NalWriter::new(NAL_SLICE);
        self.slice_header(&mut out, SliceType::P);
        let mut slice = Slice::new(self.format.columns(), picture, SliceType::P);
        let mut skipped = 0;
        for (address, (new, old)) in picture.iter().zip(&self.previous).enumerate() {
            if new == old {
                skipped += 1;
                continue;
            }
            out.unsigned(skipped);
            skipped = 0;
            slice.macroblock(&mut out, address);
        }
        if skipped > 0 {
            out.unsigned(skipped);
        }
        out
    }

    /// Clause 7.3.3.
    fn slice_header(&self, out: &mut NalWriter, slice_type: SliceType) {
        out.unsigned(0); // first_mb_in_slice
        out.unsigned(slice_type as u32);
        out.unsigned(0); // pic_parameter_set_id
        out.bits(self.since_idr % 16, 4); // frame_num
        match slice_type {
            SliceType::I => {
                out.unsigned(self.idr_pic_id);
                out.flag(false); // no_output_of_prior_pics_flag
                out.flag(false); // long_term_reference_flag
            }
            SliceType::P => {
                out.flag(false); // num_ref_idx_active_override_flag
                out.flag(false); // ref_pic_list_modification_flag_l0
                out.flag(false); // adaptive_ref_pic_marking_mode_flag
            }
        }
        out.signed(0); // slice_qp_delta
        out.unsigned(1); // disable_deblocking_filter_idc: edges stay sharp, values exact
    }
}

/// Table 7-6; the upper five values say that all slices of the picture are of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SliceType {
    P = 5,
    I = 7,
}

/// Clause 7.3.2.1.1 with the VUI of clause E.1.1.
fn sequence_parameter_set(format: Format) -> NalWriter {
    let mut out = NalWriter::new(NAL_SPS);
    out.bytes(PROFILE_LEVEL_ID);
    out.unsigned(0); // seq_parameter_set_id
    out.unsigned(0); // log2_max_frame_num_minus4: frame_num of 4 bits
    out.unsigned(2); // pic_order_cnt_type: output order is decoding order
    out.unsigned(1); // max_num_ref_frames
    out.flag(false); // gaps_in_frame_num_value_allowed_flag
    out.unsigned(format.columns() as u32 - 1);
    out.unsigned(format.rows() as u32 - 1);
    out.flag(true); // frame_mbs_only_flag
    out.flag(true); // direct_8x8_inference_flag
    out.flag(true); // frame_cropping_flag
    for edge in [0, 0, 0, (format.rows() as u32 * 16 - format.height) / 2] {
        out.unsigned(edge); // left, right, top, bottom, in units of two luma samples
    }
    out.flag(true); // vui_parameters_present_flag
    out.bits(0, 4); // no aspect ratio, overscan, signal type, chroma location
    out.flag(true); // timing_info_present_flag
    out.bits(1, 32); // num_units_in_tick
    out.bits(2 * format.frames_per_second, 32); // time_scale: a frame is two ticks
    out.flag(true); // fixed_frame_rate_flag
    out.bits(0, 3); // no HRD parameters, no pic_struct
    out.flag(true); // bitstream_restriction_flag
    out.flag(true); // motion_vectors_over_pic_boundaries_flag
    for limit in [0, 0, 0, 0, 0, 1] {
        out.unsigned(limit); // ..., max_num_reorder_frames 0, max_dec_frame_buffering 1
    }
    out
}

/// Clause 7.3.2.2.
fn picture_parameter_set() -> NalWriter {
    let mut out = NalWriter::new(NAL_PPS);
    out.unsigned(0); // pic_parameter_set_id
    out.unsigned(0); // seq_parameter_set_id
    out.bits(0, 2); // CAVLC, no bottom field order
    out.unsigned(0); // num_slice_groups_minus1
    out.unsigned(0); // num_ref_idx_l0_default_active_minus1
    out.unsigned(0); // num_ref_idx_l1_default_active_minus1
    out.bits(0, 3); // no weighted prediction
    out.signed(LUMA_QP - 26);
    out.signed(0); // pic_init_qs_minus26
    out.signed(CHROMA_QP - LUMA_QP); // chroma_qp_index_offset; Table 8-15 is the identity below 30
    out.flag(true); // deblocking_filter_control_present_flag
    out.bits(0, 2); // intra may be predicted from inter, no redundant pictures
    out
}

/// The macroblock layer of one slice that covers the picture.
struct Slice<'a> {
    columns: usize,
    picture: &'a [Macroblock],
    slice_type: SliceType,
    /// Which macroblocks of this slice were written as I_PCM: it chooses their neighbours' code tables (clause 9.2.1).
    pcm: Vec<bool>,
}

/// Prediction that yields one value for the whole block: from the neighbour on that side, or none at all (128).
#[derive(Debug, Clone, Copy)]
enum Predicted<T> {
    Left(T),
    Above(T),
    Nothing,
}

impl<'a> Slice<'a> {
    fn new(columns: usize, picture: &'a [Macroblock], slice_type: SliceType) -> Self {
        Self {
            columns,
            picture,
            slice_type,
            pcm: vec![false; picture.len()],
        }
    }

    fn macroblock(&mut self, out: &mut NalWriter, address: usize) {
        match (self.picture[address], self.predict_luma(address)) {
            (Macroblock::Flat { y, cb, cr }, Some(luma)) => self.intra_16x16(out, address, luma, y, [cb, cr]),
            (Macroblock::Flat { y, cb, cr }, None) => {
                let samples = [[y; 256].as_slice(), &[cb; 64], &[cr; 64]].concat();
                self.pcm(out, address, samples);
            }
            (Macroblock::Noise { seed }, _) => self.pcm(out, address, noise(seed)),
        }
    }

    fn left(&self, address: usize) -> Option<usize> {
        (!address.is_multiple_of(self.columns)).then(|| address - 1)
    }

    fn above(&self, address: usize) -> Option<usize> {
        address.checked_sub(self.columns)
    }

    /// `None`: no neighbour gives one value to the whole block.
    fn predict_luma(&self, address: usize) -> Option<Predicted<u8>> {
        let flat = |neighbour: Option<usize>| match self.picture[neighbour?] {
            Macroblock::Flat { y, .. } => Some(y),
            Macroblock::Noise { .. } => None,
        };
        let (left, above) = (self.left(address), self.above(address));
        match (flat(left), flat(above)) {
            (Some(y), _) => Some(Predicted::Left(y)),
            (None, Some(y)) => Some(Predicted::Above(y)),
            (None, None) => (left.is_none() && above.is_none()).then_some(Predicted::Nothing),
        }
    }

    fn predict_chroma(&self, address: usize) -> Predicted<[u8; 2]> {
        let chroma = |neighbour: usize| match self.picture[neighbour] {
            Macroblock::Flat { cb, cr, .. } => [cb, cr],
            Macroblock::Noise { .. } => [128, 128],
        };
        match (self.left(address), self.above(address)) {
            (Some(left), _) => Predicted::Left(chroma(left)),
            (None, Some(above)) => Predicted::Above(chroma(above)),
            (None, None) => Predicted::Nothing,
        }
    }

    /// Intra_16x16 with DC levels only (clauses 7.3.5, 7.3.5.3; mb_type of Table 7-11).
    fn intra_16x16(&self, out: &mut NalWriter, address: usize, luma: Predicted<u8>, y: u8, chroma: [u8; 2]) {
        let (luma_mode, y_base) = match luma {
            Predicted::Above(y) => (0, y),
            Predicted::Left(y) => (1, y),
            Predicted::Nothing => (2, 128),
        };
        let (chroma_mode, base) = match self.predict_chroma(address) {
            Predicted::Nothing => (0, [128, 128]),
            Predicted::Left(chroma) => (1, chroma),
            Predicted::Above(chroma) => (2, chroma),
        };
        let chroma_coded = chroma != base;
        out.unsigned(self.first_intra_type() + 1 + luma_mode + 4 * u32::from(chroma_coded));
        out.unsigned(chroma_mode);
        out.signed(0); // mb_qp_delta
        lone_level(out, i32::from(y) - i32::from(y_base), self.luma_table(address));
        if chroma_coded {
            for (value, base) in chroma.into_iter().zip(base) {
                lone_level(out, i32::from(value) - i32::from(base), Table::ChromaDc);
            }
        }
    }

    fn pcm(&mut self, out: &mut NalWriter, address: usize, samples: Vec<u8>) {
        out.unsigned(self.first_intra_type() + 25);
        out.align();
        out.bytes(samples);
        self.pcm[address] = true;
    }

    /// Intra macroblock types are numbered behind the five inter ones in a P slice (Table 7-13).
    fn first_intra_type(&self) -> u32 {
        match self.slice_type {
            SliceType::I => 0,
            SliceType::P => 5,
        }
    }

    /// nC of clause 9.2.1: a neighbour counts 16 coefficients if I_PCM, here otherwise none.
    fn luma_table(&self, address: usize) -> Table {
        let pcm = |neighbour: Option<usize>| neighbour.is_some_and(|address| self.pcm[address]);
        if pcm(self.left(address)) || pcm(self.above(address)) {
            Table::Crowded
        } else {
            Table::Sparse
        }
    }
}

/// The columns of Table 9-5 that occur: 0 <= nC < 2, 8 <= nC, nC = -1.
#[derive(Debug, Clone, Copy)]
enum Table {
    Sparse,
    Crowded,
    ChromaDc,
}

/// A residual block with one level, at the DC position, or none (clauses 9.2.1 to 9.2.3).
fn lone_level(out: &mut NalWriter, level: i32, table: Table) {
    let (code, width) = match (level.unsigned_abs(), table) {
        (0, Table::Sparse) => (1, 1),
        (0, Table::Crowded) => (0b00_0011, 6),
        (0, Table::ChromaDc) => (0b01, 2),
        (1, Table::Sparse) => (0b01, 2),
        (1, Table::Crowded) => (0b00_0001, 6),
        (1, Table::ChromaDc) => (1, 1),
        (_, Table::Sparse) => (0b00_0101, 6),
        (_, Table::Crowded) => (0b00_0000, 6),
        (_, Table::ChromaDc) => (0b00_0111, 6),
    };
    out.bits(code, width); // coeff_token
    match level.unsigned_abs() {
        0 => return,
        1 => out.flag(level < 0), // trailing_ones_sign_flag
        magnitude => {
            // Not a trailing one, so the magnitude starts at two.
            let code = 2 * (magnitude - 2) + u32::from(level < 0);
            match code {
                0..14 => out.bits(1, code + 1),
                14..30 => {
                    out.bits(1, 15);
                    out.bits(code - 14, 4);
                }
                _ => {
                    out.bits(1, 16);
                    out.bits(code - 30, 12);
                }
            }
        }
    }
    out.flag(true); // total_zeros: none before the DC level
}

/// 256 luma samples of noise in the video range, then 128 of grey chroma. Xorshift: the look matters, not the quality.
fn noise(seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let luma = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        16 + (state >> 24) as u8 % 220
    });
    luma.take(256).chain([128; 128]).collect()
}
