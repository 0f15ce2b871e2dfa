//! A recording over HTTP: by a token while its stream is live, then by the link that was given.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use whipcord_tests::{
    eventually, http,
    whipcord::{Whipcord, binary},
};

/// Connecting, the first fragment, and a loaded machine.
const RECORDED: Duration = Duration::from_secs(30);

#[test]
fn a_recording_is_handed_out_while_it_grows_and_after_its_stream() {
    let whipcord = Whipcord::standalone();
    let mut publishing = Command::new(binary())
        .args(["publish", &whipcord.whip_url("live/cam"), "--duration", "6s"])
        .args(["--token", whipcord.token(), "test"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let authorization = format!("Bearer {}", whipcord.token());
    let head = |url: &str, headers: &[(&str, &str)]| http::request("HEAD", url, headers, "");
    let (plain, growing) = eventually("there is a recording", RECORDED, || {
        let sid = whipcord.sessions().into_keys().next()?;
        let plain = format!("{}/recordings/live/cam/{sid}", whipcord.origin());
        let head = head(&plain, &[("Authorization", &authorization)]);
        (head.status == 200).then_some((plain, head))
    });
    assert_eq!(head(&plain, &[]).status, 401);
    let (folder, _) = plain.rsplit_once('/').unwrap();
    let link = format!("{folder}/{}", growing.header("content-location").unwrap());
    let length = |response: &http::Response| response.header("content-length").unwrap().parse::<u64>().unwrap();

    assert!(publishing.wait().unwrap().success());
    let file = whipcord.recording("live/cam");
    let ended = eventually("its last fragment is written", RECORDED, || {
        let ended = head(&link, &[]);
        (length(&ended) == fs::metadata(&file).unwrap().len() && whipcord.sessions().is_empty()).then_some(ended)
    });
    assert!(length(&ended) > length(&growing));
    assert_eq!(ended.header("content-type"), Some("video/mp4"));
    // An MP4 file begins with a box of this name, behind its length (ISO/IEC 14496-12 §4.3).
    let part = http::request("GET", &link, &[("Range", "bytes=4-7")], "");
    assert_eq!((part.status, part.body.as_str()), (206, "ftyp"));
    let range = format!("bytes 4-7/{}", length(&ended));
    assert_eq!(part.header("content-range"), Some(range.as_str()));
    // The link is for reading.
    let session = link.replacen("/recordings/", "/whip/", 1);
    assert_eq!(http::request("DELETE", &session, &[], "").status, 404);
}
