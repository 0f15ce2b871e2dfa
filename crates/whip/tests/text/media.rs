//! What is chosen of an offer's media sections.

use whipcord_whip::{
    Codec, Offer, Preferences,
    negotiate::{Extensions, Source, negotiate},
};

use crate::{answered, edit, negotiated};

const CHROMIUM: &str = include_str!("../offers/chromium-156.offer.sdp");
const FFMPEG: &str = include_str!("../offers/ffmpeg-9.0-passive.offer.sdp");
const FFMPEG_VIDEO: &str = include_str!("../offers/ffmpeg-8.0-passive-video-only.offer.sdp");
const GST: &str = include_str!("../offers/gst-1.22.offer.sdp");
const PION: &str = include_str!("../offers/pion.offer.sdp");
const SIMULCAST: &str = include_str!("../offers/obs-32.1-simulcast.offer.sdp");

#[test]
fn video_is_chosen_by_preference_and_not_by_the_offers_order() {
    let choice = |video: &[Codec]| {
        let preferences = Preferences {
            video: video.to_vec(),
            ..Preferences::default()
        };
        let offer = Offer::parse(CHROMIUM.as_bytes()).unwrap();
        negotiate(&offer, &preferences).map(|n| {
            (
                n.sections[1].codec,
                n.sections[1].payload_type,
                n.sections[1].rtx_payload_type,
            )
        })
    };
    assert_eq!(
        choice(&Preferences::default().video),
        Ok((Codec::H264, 108, Some(109))),
        "constrained baseline, mode 1"
    );
    assert_eq!(choice(&[Codec::Vp8, Codec::H264]), Ok((Codec::Vp8, 96, Some(97))));
    assert_eq!(
        choice(&[Codec::H265, Codec::Vp9]),
        Ok((Codec::Vp9, 98, Some(99))),
        "profile 0"
    );
    assert_eq!(choice(&[Codec::Av1]), Ok((Codec::Av1, 45, Some(46))));
    assert!(choice(&[Codec::H265]).is_err());
}

#[test]
fn h264_by_mode_then_profile_then_the_offers_order() {
    let choose = |fmtps: &[&str]| {
        let pts: Vec<usize> = (96..96 + fmtps.len()).collect();
        let list = pts.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
        let lines: String = pts
            .iter()
            .zip(fmtps)
            .map(|(pt, fmtp)| format!("a=rtpmap:{pt} h264/90000\r\na=fmtp:{pt} {fmtp}\r\n"))
            .collect();
        let start = FFMPEG_VIDEO.find("a=rtpmap").unwrap();
        let offer = edit(&FFMPEG_VIDEO[..start], "SAVPF 106", &format!("SAVPF {list}")) + &lines;
        answered(&offer);
        negotiated(&offer).sections[0].payload_type - 96
    };
    let mode_1 = |id: &str| format!("profile-level-id={id};packetization-mode=1");
    for (better, worse) in [
        (mode_1("42e01f"), mode_1("42001f")),
        (mode_1("42c01f"), mode_1("4d001f")),
        (mode_1("42001f"), mode_1("4d001f")),
        (mode_1("4d001f"), mode_1("640028")),
        (mode_1("64001f"), mode_1("f4001f")),
        (mode_1("64001f"), mode_1("422001f")),
        (mode_1("42E01F"), mode_1("42001f")),
        (
            mode_1("422001f"),
            "profile-level-id=42e01f;packetization-mode=0".to_owned(),
        ),
        (mode_1("640028"), "profile-level-id=42e01f".to_owned()),
        (
            "profile-level-id=42e01f".to_owned(),
            "profile-level-id=4d001f;packetization-mode=0".to_owned(),
        ),
        (
            "packetization-mode=0".to_owned(),
            mode_1("42e01f").replace("mode=1", "mode=2"),
        ),
        (
            "PACKETIZATION-MODE=1; PROFILE-LEVEL-ID=42e01f".to_owned(),
            "packetization-mode=0".to_owned(),
        ),
    ] {
        assert_eq!(choose(&[&better, &worse]), 0, "{better} over {worse}");
        assert_eq!(choose(&[&worse, &better]), 1, "{better} over {worse}");
        assert_eq!(choose(&[&better, &better]), 0, "the offer's order between equals");
    }
}

#[test]
fn the_answers_h264_is_the_offers() {
    let fmtp = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("a=fmtp:106"))
            .map(str::to_owned)
    };
    let offered = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=422001f";
    assert_eq!(
        fmtp(&answered(FFMPEG_VIDEO)).unwrap(),
        "a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1"
    );
    let legal = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640028";
    assert_eq!(
        fmtp(&answered(&edit(FFMPEG_VIDEO, offered, legal))).unwrap(),
        format!("a=fmtp:106 {legal}")
    );
    assert_eq!(
        fmtp(&answered(&edit(FFMPEG_VIDEO, &format!("a=fmtp:106 {offered}\r\n"), ""))),
        None
    );
}

#[test]
fn opus_is_stereo_where_offered() {
    for (offered, agreed) in [
        (
            "minptime=10;stereo=1;useinbandfec=1",
            "a=fmtp:111 minptime=10;useinbandfec=1;stereo=1",
        ),
        ("sprop-stereo=1", "a=fmtp:111 stereo=1"),
        ("sprop-stereo=0;stereo=0", ""),
        ("maxaveragebitrate=96000;usedtx=1", ""),
    ] {
        let text = answered(&edit(
            PION,
            "a=fmtp:111 minptime=10;useinbandfec=1",
            &format!("a=fmtp:111 {offered}"),
        ));
        assert_eq!(
            text.lines().find(|line| line.starts_with("a=fmtp:111")).unwrap_or(""),
            agreed,
            "{offered}"
        );
    }
    assert!(
        answered(GST).contains("a=rtpmap:97 OPUS/48000/2\r\n"),
        "spelt as offered"
    );
}

#[test]
fn transport_wide_feedback_needs_extension_and_message() {
    let twcc = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    let video = |offer: &str| {
        answered(offer);
        negotiated(offer).sections[1].clone()
    };
    let both = video(CHROMIUM);
    assert!(both.feedback.transport_cc && !both.feedback.remb);
    assert_eq!(both.extensions.transport_cc, Some(3));

    let no_extension = video(&edit(CHROMIUM, twcc, "urn:example:other"));
    assert!(
        !no_extension.feedback.transport_cc && no_extension.feedback.remb,
        "REMB where only that is left"
    );
    assert_eq!(no_extension.extensions.transport_cc, None);
    // Our REMB does not need it, and it would cost the encoder four bytes per packet.
    assert!(!answered(&edit(CHROMIUM, twcc, "urn:example:other")).contains("abs-send-time"));

    let no_message = video(&edit(CHROMIUM, "a=rtcp-fb:108 transport-cc\r\n", ""));
    assert!(!no_message.feedback.transport_cc && no_message.extensions.transport_cc.is_none());

    // pion's wildcard stands for every payload type.
    let wildcard = edit(PION, "a=rtcp-fb:106 nack pli\r\n", "");
    assert!(negotiated(&wildcard).sections[1].feedback.transport_cc);
    assert!(answered(&wildcard).contains("a=rtcp-fb:106 transport-cc\r\n"));
    assert!(
        !negotiated(&edit(&wildcard, "a=rtcp-fb:* transport-cc\r\n", "")).sections[1]
            .feedback
            .transport_cc
    );
}

#[test]
fn feedback_is_no_more_than_offered() {
    let video = &negotiated(FFMPEG).sections[1];
    assert!(video.feedback.nack && video.feedback.reduced_size && !video.feedback.pli && !video.feedback.fir);
    assert!(!negotiated(FFMPEG).sections[0].feedback.reduced_size);
    let of_another_format = edit(FFMPEG, "a=rtcp-fb:106 nack", "a=rtcp-fb:105 nack");
    assert!(!negotiated(&of_another_format).sections[1].feedback.nack);
}

#[test]
fn extensions_keep_the_offers_ids() {
    let extensions = |offer: &str| negotiated(offer).sections[1].extensions;
    let expected = Extensions {
        mid: Some(4),
        rid: Some(10),
        repaired_rid: Some(11),
        transport_cc: Some(3),
    };
    assert_eq!(extensions(CHROMIUM), expected);
    let mid = "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid";
    let id = |line: &str| {
        let offer = edit(PION, mid, line);
        answered(&offer);
        extensions(&offer).mid
    };
    assert_eq!(id("a=extmap:1/sendonly urn:ietf:params:rtp-hdrext:sdes:mid"), Some(1));
    assert_eq!(id("a=extmap:255 urn:ietf:params:rtp-hdrext:sdes:mid"), Some(255));
    for unusable in [
        "0",
        "256",
        "4096",
        "-1",
        "x",
        "1/recvonly",
        "1/inactive",
        "1/sendonl",
        "01",
        "+1",
    ] {
        assert_eq!(
            id(&format!("a=extmap:{unusable} urn:ietf:params:rtp-hdrext:sdes:mid")),
            None,
            "{unusable}"
        );
    }
    // An id of two meanings within the bundle would be misread.
    assert_eq!(id("a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid"), None);
    let session = edit(PION, &format!("{mid}\r\n"), "").replace("t=0 0\r\n", &format!("t=0 0\r\n{mid}\r\n"));
    assert_eq!(extensions(&session).mid, Some(1));
}

#[test]
fn sources_and_what_repeats_them() {
    let source = |ssrc, rtx| Source { ssrc, rtx };
    // FFmpeg has no a=ssrc line for its retransmissions.
    assert_eq!(
        negotiated(FFMPEG).sections[1].sources,
        [source(510_317_999, Some(510_318_000))]
    );
    assert_eq!(negotiated(FFMPEG).sections[0].sources, [source(510_317_998, None)]);
    assert_eq!(
        negotiated(CHROMIUM).sections[1].sources,
        [source(81_648_610, Some(1_185_959_100))]
    );
    let only_group = edit(FFMPEG, "a=ssrc:510317999", "a=x:510317999");
    assert_eq!(
        negotiated(&only_group).sections[1].sources,
        [source(510_317_999, Some(510_318_000))]
    );
    let with_fec = edit(
        FFMPEG,
        "a=ssrc-group:FID",
        "a=ssrc-group:FEC-FR 510317999 7\r\na=ssrc:7 cname:x\r\na=ssrc-group:FID",
    );
    assert_eq!(
        negotiated(&with_fec).sections[1].sources,
        [source(510_317_999, Some(510_318_000))]
    );
    let shared = edit(FFMPEG, "a=ssrc:510317998 ", "a=ssrc:510317999 ");
    assert!(
        negotiated(&shared)
            .sections
            .iter()
            .all(|section| section.sources.is_empty()),
        "an SSRC of two sections"
    );
    assert!(negotiated(SIMULCAST).sections[1].sources.is_empty());
}

#[test]
fn retransmissions_belong_to_the_chosen_format() {
    let rtx = |offer: &str| {
        answered(offer);
        negotiated(offer).sections[1].rtx_payload_type
    };
    assert_eq!(rtx(FFMPEG), Some(105));
    assert_eq!(rtx(&edit(FFMPEG, "apt=106", "rtx-time=125;apt=106")), Some(105));
    assert_eq!(rtx(&edit(FFMPEG, "apt=106", "apt=107")), None);
    assert_eq!(rtx(&edit(FFMPEG, "rtx/90000", "rtx/48000")), None);
    assert_eq!(rtx(&edit(FFMPEG, "SAVPF 106 105", "SAVPF 106")), None);
}

#[test]
fn every_layer_is_accepted_in_its_order() {
    for (offered, agreed, rids) in [
        ("send 0;1;2", "recv 0;1;2", &["0", "1", "2"][..]),
        ("send 2;0;1", "recv 2;0;1", &["2", "0", "1"]),
        ("send 0,1;~2", "recv 0,1;~2", &["0", "1", "2"]),
        ("recv x send 1", "recv 1", &["1"]),
        ("send 0;0;1", "recv 0;1", &["0", "1"]),
        ("send 0;unknown;2", "recv 0;2", &["0", "2"]),
    ] {
        let offer = edit(SIMULCAST, "a=simulcast:send 0;1;2", &format!("a=simulcast:{offered}"));
        assert!(
            answered(&offer).contains(&format!("a=simulcast:{agreed}\r\n")),
            "{offered}"
        );
        assert_eq!(negotiated(&offer).sections[1].rids, rids, "{offered}");
    }
}

#[test]
fn no_simulcast_where_it_could_not_work() {
    let line = "a=simulcast:send 0;1;2\r\n";
    for offer in [
        edit(SIMULCAST, line, &line.repeat(2)),
        edit(SIMULCAST, line, "").replace("t=0 0\r\n", &format!("t=0 0\r\n{line}")),
        edit(SIMULCAST, line, "a=simulcast:recv 0;1;2\r\n"),
        edit(SIMULCAST, line, "a=simulcast:0;1;2\r\n"),
        edit(SIMULCAST, "a=rid:", "a=id:"),
        edit(SIMULCAST, " send\r\n", " recv\r\n"),
        edit(SIMULCAST, "rtp-stream-id", "rtp-stream-name"),
    ] {
        let text = answered(&offer);
        assert!(!text.contains("a=simulcast") && !text.contains("a=rid"), "{offer}");
        assert!(negotiated(&offer).sections[1].rids.is_empty());
    }
}

#[test]
fn layers_keep_their_restrictions() {
    let offer = edit(
        SIMULCAST,
        "a=rid:0 send",
        "a=rid:0 send pt=96,97;max-width=1920;max-fps=30",
    )
    .replace("a=rid:1 send", "a=rid:1 send max-width=960")
    .replace("a=rid:2 send", "a=rid:2 send pt=97");
    let text = answered(&offer);
    assert!(text.contains("a=rid:0 recv pt=96;max-width=1920;max-fps=30\r\n"));
    assert!(text.contains("a=rid:1 recv max-width=960\r\n"));
    assert!(
        text.contains("a=simulcast:recv 0;1\r\n"),
        "layer 2 is in another format"
    );
}
