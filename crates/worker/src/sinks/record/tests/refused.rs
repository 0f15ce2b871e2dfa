//! What is not recorded.

use super::*;

#[test]
fn what_cannot_be_recorded_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, writers) = Recorder::start(folder.path().to_owned(), &Voice::new()).unwrap();
    let record = |sections: &[Section]| {
        let refused = recorder.record(
            &"cam".parse().unwrap(),
            SessionId::new([1; 16]),
            sections,
            Instant::now(),
            Default::default(),
        );
        refused.map(|_| ()).unwrap_err().to_string()
    };
    let two_videos = [
        section(Kind::Video, Codec::Av1, &[]),
        section(Kind::Video, Codec::H264, &[]),
    ];
    assert!(record(&two_videos).contains("two Video tracks"));
    assert!(record(&[]).contains("no track"));
    join(&recorder, writers);
    assert!(
        recorder
            .record(
                &"cam".parse().unwrap(),
                SessionId::new([1; 16]),
                &sections(&[]),
                Instant::now(),
                Default::default()
            )
            .is_err()
    );
}
