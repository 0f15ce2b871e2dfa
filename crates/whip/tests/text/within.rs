//! Whether an answer stays within its offer, seen by a parser that is not ours (rtc-sdp).

use std::{collections::HashSet, io::Cursor};

use rtc_sdp::description::{media::MediaDescription, session::SessionDescription};

const URIS_READ: usize = 5;

/// Panics unless `answer` is legal SDP, and agrees to nothing that `offer` does not have.
pub(crate) fn assert_answer_is_within(offer: &str, answer: &str) {
    assert!(answer.len() < 8192, "{} bytes", answer.len());
    assert!(answer.ends_with("\r\n") && !answer.contains("\r\n\r\n"));
    assert_eq!(answer.matches('\n').count(), answer.matches("\r\n").count(), "bare LF");
    let answer = parse(answer);
    let offer = parse(&without_what_is_not_compared(offer));

    assert_eq!(session(&answer, "ice-lite").len(), 1);
    assert!(session(&answer, "tls-id").is_empty());
    assert!(session(&offer, "extmap-allow-mixed").len() >= session(&answer, "extmap-allow-mixed").len());
    assert_eq!(answer.media_descriptions.len(), offer.media_descriptions.len());
    let group = group(&answer);
    let tagged = tagged(&offer);
    assert_eq!(group.is_empty(), self::group(&offer).is_empty());

    let offered_options = options(&offer, &offer.media_descriptions[tagged]);
    for option in session(&answer, "ice-options")
        .iter()
        .flat_map(|value| value.split(' '))
    {
        assert!(
            offered_options.iter().any(|offered| offered == option),
            "ice option {option}"
        );
    }
    for (index, (theirs, ours)) in offer
        .media_descriptions
        .iter()
        .zip(&answer.media_descriptions)
        .enumerate()
    {
        assert_section_is_within(&offer, theirs, ours);
        assert_transport(&offer, theirs, &offer.media_descriptions[tagged], ours);
        assert_eq!(
            all(ours, "candidate").is_empty(),
            index != tagged,
            "candidates in the tagged section, and there alone"
        );
        assert_eq!(all(ours, "end-of-candidates").len(), usize::from(index == tagged));
        if !group.is_empty() {
            assert!(group.contains(&all(ours, "mid")[0]));
        }
    }
}

fn assert_section_is_within(offer: &SessionDescription, theirs: &MediaDescription, ours: &MediaDescription) {
    assert_eq!(ours.media_name.media, theirs.media_name.media);
    assert_eq!(ours.media_name.protos, theirs.media_name.protos);
    assert_ne!(ours.media_name.port.value, 0, "a section is rejected");
    assert_eq!(
        all(ours, "mid"),
        all(theirs, "mid").into_iter().take(1).collect::<Vec<_>>()
    );

    let formats = &ours.media_name.formats;
    if ours.media_name.media == "application" {
        assert_eq!(formats, &theirs.media_name.formats);
        assert_eq!(all(ours, "sctp-port"), ["5000"]);
        assert_eq!(all(ours, "max-message-size"), ["65536"]);
        for of_media in ["rtpmap", "fmtp", "rtcp-fb", "extmap", "rid", "simulcast"] {
            assert!(all(ours, of_media).is_empty(), "{of_media}");
        }
        return;
    }
    assert!(formats.len() == 1 || formats.len() == 2);
    assert!(formats.iter().all(|format| theirs.media_name.formats.contains(format)));
    for pt in formats {
        let of = |media, name| all(media, name).into_iter().find_map(|value| after(&value, pt));
        assert_eq!(
            of(ours, "rtpmap").unwrap().to_lowercase(),
            of(theirs, "rtpmap").unwrap().to_lowercase()
        );
        let offered = of(theirs, "fmtp").unwrap_or_default().to_lowercase();
        let offered: HashSet<&str> = offered.split(';').map(str::trim).collect();
        for parameter in of(ours, "fmtp")
            .unwrap_or_default()
            .split(';')
            .filter(|parameter| !parameter.is_empty())
        {
            let is_stereo = parameter == "stereo=1" && offered.contains("sprop-stereo=1");
            assert!(
                is_stereo || offered.contains(parameter.to_lowercase().as_str()),
                "fmtp {parameter}"
            );
        }
    }
    if let Some(rtx) = formats.get(1) {
        assert!(
            all(ours, "rtpmap").contains(&format!("{rtx} rtx/90000")),
            "only video has retransmissions here"
        );
        assert!(all(ours, "fmtp").contains(&format!("{rtx} apt={}", formats[0])));
    }

    let feedback = all(theirs, "rtcp-fb");
    for agreed in all(ours, "rtcp-fb") {
        let message = after(&agreed, &formats[0]).expect("feedback for the chosen payload type alone");
        assert!(
            feedback.contains(&agreed) || feedback.contains(&format!("* {message}")),
            "feedback {agreed}"
        );
    }
    assert_extensions(offer, theirs, ours);
    assert_simulcast(theirs, ours);
}

fn assert_extensions(offer: &SessionDescription, theirs: &MediaDescription, ours: &MediaDescription) {
    let offered: Vec<String> = all(theirs, "extmap")
        .into_iter()
        .chain(session(offer, "extmap"))
        .collect();
    let mut ids = HashSet::new();
    for agreed in all(ours, "extmap") {
        let (id, uri) = agreed.split_once(' ').unwrap();
        let (id, direction) = id.split_once('/').map_or((id, ""), |(id, direction)| (id, direction));
        assert!(ids.insert(id.to_owned()), "extension id {id} twice");
        let directions: &[&str] = if direction.is_empty() {
            &[""]
        } else {
            &["/sendonly", "/sendrecv"]
        };
        assert!(
            directions
                .iter()
                .any(|direction| offered.contains(&format!("{id}{direction} {uri}"))),
            "{agreed}"
        );
    }
    assert!(ids.len() <= URIS_READ);
    let has = |needle: &str, name| all(ours, name).iter().any(|value| value.contains(needle));
    assert_eq!(has("transport-wide-cc", "extmap"), has("transport-cc", "rtcp-fb"));
}

fn assert_simulcast(theirs: &MediaDescription, ours: &MediaDescription) {
    let agreed = all(ours, "simulcast");
    let Some(line) = agreed.first() else {
        assert!(all(ours, "rid").is_empty());
        return;
    };
    assert_eq!(agreed.len(), 1);
    let [offered] = &all(theirs, "simulcast")[..] else {
        panic!("simulcast without one line of it in the offer")
    };
    let sent = ids(offered.split("send ").nth(1).unwrap().split(' ').next().unwrap());
    let received = ids(line.strip_prefix("recv ").unwrap());
    let mut seen = HashSet::new();
    let mut is_first = |id: &&String| seen.insert(id.trim_start_matches('~').to_owned());
    let in_order: Vec<_> = sent
        .iter()
        .filter(|id| is_first(id) && received.contains(id))
        .cloned()
        .collect();
    assert_eq!(received, in_order);
    assert_eq!(all(ours, "rid").len(), received.len());
    for id in received {
        let rid = id.trim_start_matches('~');
        assert!(
            all(ours, "rid")
                .iter()
                .any(|value| value.starts_with(&format!("{rid} recv")))
        );
        assert!(
            all(theirs, "rid")
                .iter()
                .any(|value| value.starts_with(&format!("{rid} send")))
        );
    }
}

fn assert_transport(
    offer: &SessionDescription,
    theirs: &MediaDescription,
    tagged: &MediaDescription,
    ours: &MediaDescription,
) {
    let is_media = ours.media_name.media != "application";
    assert_eq!(all(ours, "recvonly").len(), usize::from(is_media));
    for never in [
        "sendonly",
        "sendrecv",
        "inactive",
        "bundle-only",
        "ssrc",
        "msid",
        "tls-id",
    ] {
        assert!(all(ours, never).is_empty(), "{never}");
    }
    for never in ["recvonly", "inactive"] {
        assert!(
            !is_media
                || all(theirs, never).is_empty()
                || !all(theirs, "sendonly").is_empty()
                || !all(theirs, "sendrecv").is_empty()
        );
    }
    let is_bundle_only = !all(theirs, "bundle-only").is_empty();
    assert_eq!(all(ours, "rtcp-mux").len(), usize::from(is_media));
    assert!(!is_media || !all(theirs, "rtcp-mux").is_empty() || is_bundle_only && !all(tagged, "rtcp-mux").is_empty());
    for only_if_offered in ["rtcp-rsize", "rtcp-mux-only", "extmap-allow-mixed"] {
        assert!(
            all(ours, only_if_offered).len() <= all(theirs, only_if_offered).len(),
            "{only_if_offered}"
        );
    }
    for once in ["ice-ufrag", "ice-pwd", "fingerprint", "setup"] {
        assert_eq!(all(ours, once).len(), 1, "{once}");
    }
    let offered = all(tagged, "setup").into_iter().chain(session(offer, "setup")).next();
    let expected = if offered.as_deref() == Some("passive") {
        "active"
    } else {
        "passive"
    };
    assert_eq!(all(ours, "setup")[0], expected);
}

fn parse(sdp: &str) -> SessionDescription {
    SessionDescription::unmarshal(&mut Cursor::new(sdp.as_bytes())).unwrap_or_else(|e| panic!("{e}: {sdp}"))
}

/// rtc-sdp insists on the order of lines that nobody reads; an offer without one of them is still an offer.
fn without_what_is_not_compared(offer: &str) -> String {
    let kept = offer
        .lines()
        .filter(|line| line.starts_with("m=") || line.starts_with("a="));
    let header = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n".to_owned();
    kept.fold(header, |text, line| text + line + "\r\n")
}

/// The first section whose mid the group names and whose port is not 0.
fn tagged(offer: &SessionDescription) -> usize {
    let sections = &offer.media_descriptions;
    let of = |mid: &String| sections.iter().position(|s| all(s, "mid").first() == Some(mid));
    group(offer)
        .iter()
        .filter_map(of)
        .find(|&index| sections[index].media_name.port.value != 0)
        .unwrap_or(0)
}

fn group(sdp: &SessionDescription) -> Vec<String> {
    let groups = session(sdp, "group");
    let bundle = groups
        .iter()
        .map(|value| value.split(' '))
        .find_map(|mut words| (words.next() == Some("BUNDLE")).then_some(words));
    bundle.into_iter().flatten().map(str::to_owned).collect()
}

fn options(offer: &SessionDescription, tagged: &MediaDescription) -> Vec<String> {
    let values = all(tagged, "ice-options")
        .into_iter()
        .chain(session(offer, "ice-options"));
    values
        .flat_map(|value| value.split([' ', ',']).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

fn ids(list: &str) -> Vec<String> {
    list.split([';', ',']).map(str::to_owned).collect()
}

fn all(media: &MediaDescription, name: &str) -> Vec<String> {
    let named = media.attributes.iter().filter(|attribute| attribute.key == name);
    named.map(|attribute| normalized(attribute.value.as_deref())).collect()
}

fn session(sdp: &SessionDescription, name: &str) -> Vec<String> {
    let named = sdp.attributes.iter().filter(|attribute| attribute.key == name);
    named.map(|attribute| normalized(attribute.value.as_deref())).collect()
}

/// Words one space apart.
fn normalized(value: Option<&str>) -> String {
    value.unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn after(value: &str, payload_type: &str) -> Option<String> {
    value
        .split_once(' ')
        .filter(|(pt, _)| *pt == payload_type)
        .map(|(_, rest)| rest.to_owned())
}
