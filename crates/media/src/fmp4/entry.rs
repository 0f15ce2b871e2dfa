//! Sample entries of video: how a track is coded. H.264 and H.265 as `avc3` and `hev1`, whose parameter sets may also be
//! among the samples, because a stream changes them where it likes.

use mp4_atom::{Av01, Av1c, Avc3, Avcc, AvccExt, Codec, Hev1, HvcCArray, Hvcc, Visual, Vp09, VpcC};

use super::Coding;
use crate::params::{Av1Parameters, H264Parameters, H265Parameters, Vp9Parameters};

/// Profiles whose decoder configuration says chroma format and bit depth too (ISO/IEC 14496-15,
/// AVCDecoderConfigurationRecord).
const PROFILES_WITH_CHROMA: [u8; 4] = [100, 110, 122, 144];

/// `nal_unit_type` of the parameter sets (ITU-T H.265 table 7-1).
const H265_VPS: u8 = 32;
const H265_SPS: u8 = 33;
const H265_PPS: u8 = 34;

/// By ISO/IEC 23091-2: the stream does not say.
const UNSPECIFIED: u8 = 2;

/// Width and height: 0 where the size is unknown or more than the field holds, as players go by the stream.
pub(super) fn sides(coding: &Coding) -> (u16, u16) {
    let Some(size) = coding.picture_size() else {
        return (0, 0);
    };
    let side = |side: u32| u16::try_from(side).unwrap_or(0);
    (side(size.width), side(size.height))
}

pub(super) fn sample_entry(coding: &Coding) -> Codec {
    let (width, height) = sides(coding);
    let visual = Visual {
        data_reference_index: 1,
        width,
        height,
        ..Visual::default()
    };
    match coding {
        Coding::H264(parameters) => Codec::Avc3(Avc3 {
            visual,
            avcc: avcc(parameters),
            ..Avc3::default()
        }),
        Coding::H265(parameters) => Codec::Hev1(Hev1 {
            visual,
            hvcc: hvcc(parameters),
            ..Hev1::default()
        }),
        Coding::Vp9(parameters) => Codec::Vp09(Vp09 {
            visual,
            vpcc: vpcc(parameters),
            btrt: None,
            colr: None,
            pasp: None,
            spatial: None,
        }),
        Coding::Av1(parameters) => Codec::Av01(Av01 {
            visual,
            av1c: av1c(parameters),
            ..Av01::default()
        }),
    }
}

fn avcc(parameters: &H264Parameters) -> Avcc {
    let first = &parameters.sps[0];
    let ext = parameters
        .picture
        .filter(|_| PROFILES_WITH_CHROMA.contains(&first[1]))
        .map(|picture| AvccExt {
            chroma_format: picture.chroma_format,
            bit_depth_luma: picture.bit_depth_luma,
            bit_depth_chroma: picture.bit_depth_chroma,
            sequence_parameter_sets_ext: Vec::new(),
        });
    Avcc {
        configuration_version: 1,
        avc_profile_indication: first[1],
        profile_compatibility: first[2],
        avc_level_indication: first[3],
        length_size: 4,
        sequence_parameter_sets: parameters.sps.clone(),
        picture_parameter_sets: parameters.pps.clone(),
        ext,
    }
}

fn hvcc(parameters: &H265Parameters) -> Hvcc {
    let [profile, c0, c1, c2, c3, i0, i1, i2, i3, i4, i5, level] = parameters.profile_tier_level;
    let array = |nal_unit_type, sets: &[Vec<u8>]| HvcCArray {
        completeness: false,
        nal_unit_type,
        nalus: sets.to_vec(),
    };
    Hvcc {
        configuration_version: 1,
        general_profile_space: profile >> 6,
        general_tier_flag: profile & 0x20 != 0,
        general_profile_idc: profile & 0x1f,
        general_profile_compatibility_flags: [c0, c1, c2, c3],
        general_constraint_indicator_flags: [i0, i1, i2, i3, i4, i5],
        general_level_idc: level,
        // 0: unknown, as are the rates.
        min_spatial_segmentation_idc: 0,
        parallelism_type: 0,
        chroma_format_idc: parameters.chroma_format,
        bit_depth_luma_minus8: parameters.bit_depth_luma - 8,
        bit_depth_chroma_minus8: parameters.bit_depth_chroma - 8,
        avg_frame_rate: 0,
        constant_frame_rate: 0,
        num_temporal_layers: parameters.temporal_layers,
        temporal_id_nested: parameters.temporal_layers_nested,
        length_size_minus_one: 3,
        arrays: vec![
            array(H265_VPS, &parameters.vps),
            array(H265_SPS, &parameters.sps),
            array(H265_PPS, &parameters.pps),
        ],
    }
}

fn vpcc(parameters: &Vp9Parameters) -> VpcC {
    VpcC {
        profile: parameters.profile,
        level: parameters.level,
        bit_depth: parameters.bit_depth,
        chroma_subsampling: parameters.chroma_subsampling,
        video_full_range_flag: parameters.full_range,
        color_primaries: UNSPECIFIED,
        transfer_characteristics: UNSPECIFIED,
        matrix_coefficients: parameters.matrix_coefficients,
        codec_initialization_data: Vec::new(),
    }
}

fn av1c(parameters: &Av1Parameters) -> Av1c {
    Av1c {
        seq_profile: parameters.profile,
        seq_level_idx_0: parameters.level_idx,
        seq_tier_0: parameters.high_tier,
        high_bitdepth: parameters.bit_depth > 8,
        twelve_bit: parameters.bit_depth == 12,
        monochrome: parameters.monochrome,
        chroma_subsampling_x: parameters.subsampling_x,
        chroma_subsampling_y: parameters.subsampling_y,
        chroma_sample_position: parameters.chroma_sample_position,
        initial_presentation_delay: None,
        config_obus: parameters.sequence_header.clone(),
    }
}
