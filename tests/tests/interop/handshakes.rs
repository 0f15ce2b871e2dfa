//! What the DTLS of an encoder leads to.

use std::time::Duration;

use whipcord_tests::{encoder::Encoder, eventually, matrix, whipcord::Whipcord};

/// Within this, what happened to a session is in the log.
const LOGGED: Duration = Duration::from_secs(5);

/// PyAV's certificate is one of P-224, which neither our DTLS nor most others verify: it hears so at once, by an alert, and the
/// log says why.
#[test]
fn pyav_is_told_that_its_certificate_is_not_taken() {
    for encoder in [Encoder::PyavPassive, Encoder::PyavActive] {
        let whipcord = Whipcord::standalone();
        let stderr = encoder.publish(&whipcord, "live", 2).failed();
        assert!(stderr.contains("A TLS fatal alert has been received"), "{stderr}");
        eventually("the log says why", LOGGED, || {
            let log = whipcord.log();
            let said = log.contains("signature cannot be verified; keys may be EC P-256");
            (said && log.contains("handshake_failed")).then_some(())
        });
        assert_eq!(whipcord.sessions().len(), 0, "a session is left");
        matrix::note(encoder, "refused with an alert: its certificate is of P-224");
    }
}

/// With Mbed TLS it offers no other, in neither role; Chromium shows that GCM is taken from those who have it.
#[test]
fn an_encoder_without_gcm_gets_aes_cm() {
    let table = [
        (Encoder::Libdatachannel, "Aes128CmHmacSha1_80"),
        (Encoder::LibdatachannelPassive, "Aes128CmHmacSha1_80"),
        (Encoder::ChromiumVp8, "AeadAes"),
    ];
    for (encoder, profile) in table {
        let whipcord = Whipcord::standalone();
        encoder.publish(&whipcord, "live", 1).sent();
        let log = whipcord.log();
        let connected = log.lines().find(|line| line.contains("connection state: connected"));
        assert!(
            connected.is_some_and(|line| line.contains(&format!("profile={profile}"))),
            "{encoder:?}: {connected:?}"
        );
    }
}
