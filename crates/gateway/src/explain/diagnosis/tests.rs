use super::*;
use crate::explain::facts::Window;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Connected, and media comes.
fn well() -> Facts {
    Facts {
        stun: Some(seconds(1)),
        handshake_datagrams: 4,
        connected: Some(seconds(1)),
        media: Some(seconds(1)),
        keyframe_wait: Some(seconds(1)),
        keyframe_seen: true,
        window: Window {
            packets: 1000,
            lost: 4,
            pictures_backward: 0,
        },
        disk: Disk::Takes,
        ..Facts::default()
    }
}

fn ended_by(end: End) -> Facts {
    Facts {
        end: Some(end),
        ..well()
    }
}

fn before(change: fn(&mut Facts)) -> Facts {
    let mut facts = well();
    change(&mut facts);
    facts
}

fn unconnected(datagrams: u64) -> Facts {
    Facts {
        stun: Some(seconds(50)),
        handshake_datagrams: datagrams,
        ..Facts::default()
    }
}

fn window(packets: u64, lost: u64, pictures_backward: u64) -> Facts {
    Facts {
        window: Window {
            packets,
            lost,
            pictures_backward,
        },
        ..well()
    }
}

fn waiting(wait: u64, seen: bool) -> Facts {
    Facts {
        keyframe_wait: Some(seconds(wait)),
        keyframe_seen: seen,
        ..well()
    }
}

/// Of a session of 100 s: one row per diagnosis, and its neighbours on the other side of each limit.
#[track_caller]
fn check<const N: usize>(table: [(Facts, Diagnosis); N]) {
    for (facts, expected) in table {
        assert_eq!(diagnose(&facts, seconds(100)), expected, "{facts:?}");
    }
}

#[test]
fn each_step_of_the_way_has_its_diagnosis() {
    use Diagnosis as D;
    check([
        (well(), D::Delivering),
        (Facts::default(), D::NoStun { waited: seconds(100) }),
        (
            Facts {
                wrong_passwords: 1,
                ..Facts::default()
            },
            D::WrongPassword,
        ),
        // Anybody can send such checks; a good one came.
        (before(|facts| facts.wrong_passwords = 9), D::Delivering),
        (unconnected(0), D::NoDtls),
        (unconnected(1), D::DtlsUnfinished),
        (before(|facts| facts.media = None), D::NoMedia { waited: seconds(99) }),
    ]);
}

#[test]
fn media_has_its_diagnosis() {
    use Diagnosis as D;
    check([
        (
            before(|facts| facts.silent = SILENT),
            D::EncoderSilent { silent: seconds(5) },
        ),
        (before(|facts| facts.silent = seconds(4)), D::Delivering),
        (
            before(|facts| {
                facts.is_disconnected = true;
                facts.silent = seconds(8);
            }),
            D::EncoderGone { silent: seconds(8) },
        ),
        (before(|facts| facts.disk = Disk::Full), D::DiskFull),
        (before(|facts| facts.disk = Disk::Refuses), D::DiskRefuses),
        (before(|facts| facts.disk = Disk::None), D::Delivering),
        (
            waiting(12, true),
            D::NoKeyframe {
                waited: seconds(12),
                seen: true,
            },
        ),
        (waiting(11, true), D::Delivering),
        (
            waiting(5, false),
            D::NoKeyframe {
                waited: seconds(5),
                seen: false,
            },
        ),
        (waiting(4, false), D::Delivering),
        // Sound alone has none.
        (before(|facts| facts.keyframe_wait = None), D::Delivering),
        (window(1000, 0, 3), D::BFrames),
        (window(1000, 0, 2), D::Delivering),
        (window(900, 100, 0), D::Loss { percent: 10.0 }),
        (window(990, 10, 0), D::Loss { percent: 1.0 }),
        (window(991, 9, 0), D::Delivering),
        (window(40, 4, 0), D::Delivering),
    ]);
}

#[test]
fn each_end_has_its_diagnosis() {
    use Diagnosis as D;
    check([
        (ended_by(End::Deleted), D::Deleted),
        (ended_by(End::ClosedByPeer), D::ClosedByPeer),
        (ended_by(End::Replaced), D::Replaced),
        (ended_by(End::Operator), D::Operator),
        (ended_by(End::Drained), D::Drained),
        (ended_by(End::Abandoned), D::Abandoned),
        (ended_by(End::FingerprintMismatch), D::FingerprintMismatch),
        (ended_by(End::NoSrtpProfile), D::NoSrtpProfile),
        (ended_by(End::Fault), D::Fault),
        (ended_by(End::Other), D::EndedOtherwise),
        (
            Facts {
                silent: seconds(30),
                ..ended_by(End::Silent)
            },
            D::EncoderGone { silent: seconds(30) },
        ),
    ]);
}

#[test]
fn an_end_before_it_was_connected_has_its_diagnosis() {
    use Diagnosis as D;
    check([
        (
            Facts {
                end: Some(End::NoStun),
                silent: seconds(30),
                ..Facts::default()
            },
            D::NoStun { waited: seconds(30) },
        ),
        (
            Facts {
                end: Some(End::NoStun),
                wrong_passwords: 7,
                ..Facts::default()
            },
            D::WrongPassword,
        ),
        (
            Facts {
                end: Some(End::HandshakeTimeout),
                ..unconnected(0)
            },
            D::NoDtls,
        ),
        (
            Facts {
                end: Some(End::HandshakeTimeout),
                ..unconnected(3)
            },
            D::DtlsUnfinished,
        ),
        (
            Facts {
                handshake: Some(Handshake::Alert(48)),
                ..ended_by(End::HandshakeFailed)
            },
            D::DtlsAlert { number: 48 },
        ),
        (
            Facts {
                handshake: Some(Handshake::Error("signature".to_owned())),
                ..ended_by(End::HandshakeFailed)
            },
            D::DtlsFailed {
                error: "signature".to_owned(),
            },
        ),
    ]);
}

#[test]
fn a_session_has_three_seconds_for_each_step() {
    let stages = [
        Facts::default(),
        Facts {
            stun: Some(seconds(10)),
            ..Facts::default()
        },
        Facts {
            media: None,
            connected: Some(seconds(20)),
            ..well()
        },
    ];
    for (facts, begun) in stages.into_iter().zip([0, 10, 20]) {
        let almost = seconds(begun + 3) - Duration::from_millis(1);
        assert_eq!(diagnose(&facts, almost), Diagnosis::Starting, "{facts:?}");
        assert_ne!(diagnose(&facts, seconds(begun + 3)), Diagnosis::Starting, "{facts:?}");
    }
}

/// Users end what does not work: that is why, and not the DELETE.
#[test]
fn what_was_the_matter_before_an_end_is_told() {
    let silent = |end| Facts {
        silent: seconds(20),
        ..ended_by(end)
    };
    let silence = Some(Diagnosis::EncoderSilent { silent: seconds(20) });
    assert_eq!(before_end(&silent(End::Deleted), seconds(100)), silence);
    assert_eq!(before_end(&silent(End::Replaced), seconds(100)), silence);
    // The end says it itself.
    assert_eq!(before_end(&silent(End::Silent), seconds(100)), None);
    assert_eq!(before_end(&ended_by(End::Deleted), seconds(100)), None);
    assert_eq!(before_end(&well(), seconds(100)), None);
}

#[test]
fn a_number_is_in_its_sentence() {
    let sentence = |diagnosis: Diagnosis| diagnosis.sentence();
    let alert = sentence(Diagnosis::DtlsAlert { number: 48 });
    assert!(alert.contains("alert 48 (unknown_ca)"), "{alert}");
    assert!(sentence(Diagnosis::NoStun { waited: seconds(31) }).contains("31 s"));
    assert!(sentence(Diagnosis::Loss { percent: 12.345 }).contains("12.3 %"));
}
