//! What publishing asks of an H.265 sequence parameter set: whether pictures are reordered, and how many a second shows.
//! Clause numbers are those of ITU-T H.265.

use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, decode_nal};

use super::super::rate::FrameRate;

pub(super) struct Sps {
    /// sps_max_num_reorder_pics of all layers together.
    pub(super) reordered: u32,
    /// From the VUI, if that tells.
    pub(super) rate: Option<FrameRate>,
}

/// What the syntax allows (clauses 7.4.3.2.1, 7.4.8); more is damage, and would be read for long.
const SHORT_TERM_SETS_MAX: u32 = 64;
const LONG_TERM_PICTURES_MAX: u32 = 32;
const PICTURES_OF_SET_MAX: u32 = 16;
/// aspect_ratio_idc that says that a ratio follows (Table E.1).
const EXTENDED_SAR: u8 = 255;

impl Sps {
    /// Of the whole NAL unit.
    pub(super) fn parse(unit: &[u8]) -> Option<Self> {
        let rbsp = rbsp(unit)?;
        let mut bits = BitReader::new(rbsp.as_slice());
        let order = Order::read(&mut bits).ok()?;
        // What lies between is long; a stream without a readable rate can still be sent.
        let rate = read_rate(&mut bits, order.count_bits).ok().flatten();
        Some(Self {
            reordered: order.reordered,
            rate,
        })
    }
}

/// A parameter set without its header and emulation prevention bytes. h264-reader takes off the one byte of an H.264
/// header, and here the second of two.
pub(super) fn rbsp(unit: &[u8]) -> Option<Vec<u8>> {
    let unit = unit.get(1..).filter(|unit| unit.len() >= 2)?;
    Some(decode_nal(unit).ok()?.into_owned())
}

/// Up to the order of pictures (clause 7.3.2.2.1).
struct Order {
    reordered: u32,
    /// Of a picture order count's lowest bits.
    count_bits: u32,
}

impl Order {
    fn read(bits: &mut impl BitRead) -> Result<Self, BitReaderError> {
        bits.skip(4, "sps_video_parameter_set_id")?;
        let sub_layers: u32 = bits.read::<3, _>("sps_max_sub_layers_minus1")?;
        bits.skip(1 + 12 * 8, "general profile, tier and level")?;
        let mut lengths = 0;
        for _ in 0..sub_layers {
            lengths += if bits.read_bit("sub_layer_profile_present_flag")? {
                88
            } else {
                0
            };
            lengths += if bits.read_bit("sub_layer_level_present_flag")? {
                8
            } else {
                0
            };
        }
        if sub_layers > 0 {
            lengths += 2 * (8 - sub_layers);
        }
        bits.skip(lengths, "levels of the sub-layers")?;
        bits.read_ue("sps_seq_parameter_set_id")?;
        if bits.read_ue("chroma_format_idc")? == 3 {
            bits.skip(1, "separate_colour_plane_flag")?;
        }
        unsigned(bits, 2, "pic_width_in_luma_samples, pic_height_in_luma_samples")?;
        if bits.read_bit("conformance_window_flag")? {
            unsigned(bits, 4, "conf_win_offset")?;
        }
        unsigned(bits, 2, "bit depths")?;
        let count_bits = bits.read_ue("log2_max_pic_order_cnt_lsb_minus4")?.saturating_add(4);
        let each = bits.read_bit("sps_sub_layer_ordering_info_present_flag")?;
        let mut reordered = 0;
        for _ in 0..=if each { sub_layers } else { 0 } {
            bits.read_ue("sps_max_dec_pic_buffering_minus1")?;
            reordered = reordered.max(bits.read_ue("sps_max_num_reorder_pics")?);
            bits.read_ue("sps_max_latency_increase_plus1")?;
        }
        Ok(Self { reordered, count_bits })
    }
}

/// The rest of the SPS, up to the timing of its VUI (clauses 7.3.2.2.1, E.2.1).
fn read_rate(bits: &mut impl BitRead, count_bits: u32) -> Result<Option<FrameRate>, BitReaderError> {
    unsigned(bits, 6, "sizes of coding and transform blocks")?;
    if bits.read_bit("scaling_list_enabled_flag")? && bits.read_bit("sps_scaling_list_data_present_flag")? {
        scaling_lists(bits)?;
    }
    bits.skip(2, "amp_enabled_flag, sample_adaptive_offset_enabled_flag")?;
    if bits.read_bit("pcm_enabled_flag")? {
        bits.skip(8, "pcm_sample_bit_depths")?;
        unsigned(bits, 2, "pcm block sizes")?;
        bits.skip(1, "pcm_loop_filter_disabled_flag")?;
    }
    if !short_term_sets(bits)? {
        return Ok(None);
    }
    if bits.read_bit("long_term_ref_pics_present_flag")? {
        let pictures = bits.read_ue("num_long_term_ref_pics_sps")?;
        if pictures > LONG_TERM_PICTURES_MAX || count_bits > 16 {
            return Ok(None);
        }
        bits.skip(pictures * (count_bits + 1), "long-term reference pictures")?;
    }
    bits.skip(2, "sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag")?;
    if !bits.read_bit("vui_parameters_present_flag")? {
        return Ok(None);
    }
    if bits.read_bit("aspect_ratio_info_present_flag")? && bits.read::<8, u8>("aspect_ratio_idc")? == EXTENDED_SAR {
        bits.skip(32, "sar_width, sar_height")?;
    }
    if bits.read_bit("overscan_info_present_flag")? {
        bits.skip(1, "overscan_appropriate_flag")?;
    }
    if bits.read_bit("video_signal_type_present_flag")? {
        bits.skip(4, "video_format, video_full_range_flag")?;
        if bits.read_bit("colour_description_present_flag")? {
            bits.skip(24, "colour description")?;
        }
    }
    if bits.read_bit("chroma_loc_info_present_flag")? {
        unsigned(bits, 2, "chroma_sample_loc_type")?;
    }
    bits.skip(
        3,
        "neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag",
    )?;
    if bits.read_bit("default_display_window_flag")? {
        unsigned(bits, 4, "def_disp_win_offset")?;
    }
    if !bits.read_bit("vui_timing_info_present_flag")? {
        return Ok(None);
    }
    let seconds = bits.read::<32, u32>("vui_num_units_in_tick")?;
    let pictures = bits.read::<32, u32>("vui_time_scale")?;
    // A picture lasts one tick, where one of H.264 lasts two.
    Ok(FrameRate::new(pictures, seconds))
}

/// Clause 7.3.4.
fn scaling_lists(bits: &mut impl BitRead) -> Result<(), BitReaderError> {
    for size in 0..4 {
        let matrices = if size == 3 { 2 } else { 6 };
        for _ in 0..matrices {
            if !bits.read_bit("scaling_list_pred_mode_flag")? {
                bits.read_ue("scaling_list_pred_matrix_id_delta")?;
                continue;
            }
            if size > 1 {
                bits.read_ue("scaling_list_dc_coef_minus8")?;
            }
            unsigned(bits, 64.min(1 << (4 + 2 * size)), "scaling_list_delta_coef")?;
        }
    }
    Ok(())
}

/// Clause 7.3.7. False if there are more of them than there can be.
fn short_term_sets(bits: &mut impl BitRead) -> Result<bool, BitReaderError> {
    let sets = bits.read_ue("num_short_term_ref_pic_sets")?;
    if sets > SHORT_TERM_SETS_MAX {
        return Ok(false);
    }
    // Of the set before (NumDeltaPocs).
    let mut pictures = 0;
    for set in 0..sets {
        if set > 0 && bits.read_bit("inter_ref_pic_set_prediction_flag")? {
            bits.skip(1, "delta_rps_sign")?;
            bits.read_ue("abs_delta_rps_minus1")?;
            let mut kept = 0;
            for _ in 0..=pictures {
                let used = bits.read_bit("used_by_curr_pic_flag")?;
                kept += u32::from(used || bits.read_bit("use_delta_flag")?);
            }
            pictures = kept;
        } else {
            let negative = bits.read_ue("num_negative_pics")?;
            let positive = bits.read_ue("num_positive_pics")?;
            if negative > PICTURES_OF_SET_MAX || positive > PICTURES_OF_SET_MAX {
                return Ok(false);
            }
            pictures = negative + positive;
            for _ in 0..pictures {
                bits.read_ue("delta_poc_minus1")?;
                bits.skip(1, "used_by_curr_pic_flag")?;
            }
        }
    }
    Ok(true)
}

/// So many Exp-Golomb codes, signed ones too: both are as long.
fn unsigned(bits: &mut impl BitRead, count: u32, name: &'static str) -> Result<(), BitReaderError> {
    (0..count).try_for_each(|_| bits.read_ue(name).map(|_| ()))
}

#[cfg(test)]
mod tests;
