use h264_reader::{
    nal::sps::SeqParameterSet,
    rbsp::{BitReader, decode_nal},
};

use super::{
    super::h264::{ParameterSets, kind},
    *,
};

fn pictures(pattern: &mut Pattern, count: usize) -> Vec<Frame> {
    std::iter::repeat_with(|| pattern.next())
        .filter(|frame| frame.codec == Codec::H264)
        .take(count)
        .collect()
}

fn nals(data: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = data
        .windows(4)
        .enumerate()
        .filter(|(_, window)| *window == [0, 0, 0, 1])
        .map(|(at, _)| at)
        .collect();
    let ends = starts.iter().skip(1).copied().chain([data.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| &data[start + 4..end])
        .collect()
}

fn hash(pictures: &[Frame]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64; // FNV-1a
    for &byte in pictures.iter().flat_map(|picture| &picture.data) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

/// FFmpeg 5.1 decodes these 150 pictures without a warning, and every sample of every flat macroblock is what `draw` asked for.
#[test]
fn the_first_five_seconds_are_the_ones_that_a_decoder_has_shown() {
    assert_eq!(
        hash(&pictures(&mut Pattern::new(false), 150)),
        GOLDEN,
        "the stream changed: have a decoder show it, then write its hash down here"
    );
}
const GOLDEN: u64 = 18_366_952_264_160_477_961;

#[test]
fn three_sizes_come_together() {
    let mut pattern = Pattern::new(true);
    let frames = pictures(&mut pattern, 3 * 70);
    let sizes = [(320, 180), (640, 360), (1280, 720)];
    for (number, sizes_of_picture) in frames.chunks(3).enumerate() {
        for ((frame, layer), size) in sizes_of_picture.iter().zip(Layer::ALL).zip(sizes) {
            assert_eq!(frame.layer, Some(layer));
            assert_eq!(frame.time, sizes_of_picture[0].time);
            assert_eq!(frame.keyframe, [0, 60].contains(&number), "picture {number}");
            if frame.keyframe {
                assert_eq!(dimensions(frame), size);
            }
        }
    }
    let of = |layer| -> Vec<Frame> {
        let layer = frames.iter().filter(|frame| frame.layer == Some(layer));
        layer.cloned().collect()
    };
    let alone = pictures(&mut Pattern::new(false), 70);
    let data = |frames: &[Frame]| -> Vec<Bytes> { frames.iter().map(|frame| frame.data.clone()).collect() };
    assert_eq!(
        data(&of(Layer::Half)),
        data(&alone),
        "the middle size is the one that comes alone"
    );
    // As FFmpeg 5.1 has shown them: see above.
    assert_eq!(
        [Layer::Quarter, Layer::Full].map(|layer| hash(&of(layer))),
        GOLDEN_LAYERS
    );
    let bytes = Layer::ALL.map(|layer| of(layer).iter().map(|frame| frame.data.len()).sum::<usize>());
    assert!(2 * bytes[0] < bytes[1] && 3 * bytes[1] < 2 * bytes[2], "{bytes:?}");
}
const GOLDEN_LAYERS: [u64; 2] = [8_021_224_369_388_441_059, 10_881_195_421_462_568_024];

fn dimensions(keyframe: &Frame) -> (u32, u32) {
    let rbsp = decode_nal(nals(&keyframe.data)[0]).unwrap();
    let sps = SeqParameterSet::from_bits(BitReader::new(rbsp.as_ref())).unwrap();
    sps.pixel_dimensions().unwrap()
}

#[test]
fn keyframes_come_every_two_seconds_and_when_asked_for() {
    let mut pattern = Pattern::new(false);
    let mut keyframes = Vec::new();
    for number in 0..150 {
        if number == 70 {
            pattern.request_keyframe();
        }
        let picture = pictures(&mut pattern, 1).remove(0);
        let kinds: Vec<u8> = nals(&picture.data).into_iter().filter_map(kind::of).collect();
        assert_eq!(
            kinds,
            if picture.keyframe { vec![7, 8, 5] } else { vec![1] },
            "picture {number}"
        );
        if picture.keyframe {
            keyframes.push(number);
        }
    }
    assert_eq!(keyframes, [0, 60, 70, 120]);
}

#[test]
fn the_parameter_sets_tell_size_and_frame_rate() {
    let picture = pictures(&mut Pattern::new(false), 1).remove(0);
    let rbsp = decode_nal(nals(&picture.data)[0]).unwrap();
    let sps = SeqParameterSet::from_bits(BitReader::new(rbsp.as_ref())).unwrap();
    assert_eq!(sps.pixel_dimensions().unwrap(), (640, 360));
    let timing = sps.vui_parameters.unwrap().timing_info.unwrap();
    assert_eq!((timing.time_scale, timing.num_units_in_tick), (60, 1));
}

#[test]
fn the_stream_passes_as_one_that_can_be_published() {
    let mut sets = ParameterSets::default();
    for picture in pictures(&mut Pattern::new(false), 70) {
        let unit = sets.access_unit(nals(&picture.data).into_iter()).unwrap().unwrap();
        assert_eq!((unit.keyframe, &unit.data), (picture.keyframe, &picture.data));
    }
    assert_eq!(
        sets.track().unwrap(),
        Track::H264 {
            profile_level_id: h264::PROFILE_LEVEL_ID
        }
    );
}

#[test]
fn no_emulated_start_code_is_inside_a_nal_unit() {
    for picture in pictures(&mut Pattern::new(false), 150) {
        for unit in nals(&picture.data) {
            assert!(!unit.windows(3).any(|window| window[..2] == [0, 0] && window[2] < 3));
            assert_ne!(unit.last(), Some(&0));
        }
    }
}

#[test]
fn sound_and_picture_share_a_clock_and_the_beep_comes_with_the_flash() {
    let mut pattern = Pattern::new(false);
    let frames: Vec<Frame> = std::iter::repeat_with(|| pattern.next()).take(400).collect();
    assert!(frames.is_sorted_by_key(|frame| frame.time));
    let packets: Vec<&Frame> = frames.iter().filter(|frame| frame.codec == Codec::Opus).collect();
    for (number, packet) in packets.iter().enumerate() {
        assert_eq!(packet.time, Duration::from_millis(20) * number as u32);
        // The last packet before the second holds the attack; after the tone the encoder takes 480 ms to believe in silence.
        match number % 50 {
            0..5 | 49 => assert!(packet.data.len() > 100, "packet {number} sounds"),
            30..49 => assert_eq!(packet.data.len(), 3, "packet {number} is silent"),
            _ => {}
        }
    }
}
