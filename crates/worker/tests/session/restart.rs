//! ICE restarts that come to nothing, and one that replaces another.

use std::time::Duration;

use tonic::Code;
use whipcord_proto::worker::ConnectionState;

use crate::{
    bed::{Bed, blocking, eventually, fingerprint},
    encoder::{Answer, Encoder},
};

const TRICKLE: &str = "a=ice-ufrag:encd\r\na=ice-pwd:encoderencoderencoder1\r\na=end-of-candidates\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_restart_leaves_the_session_as_it_was_and_a_second_one_replaces_one_that_is_pending() {
    let bed = Bed::start().await;
    let mut encoder = Encoder::new();
    let created = bed.create(1, &encoder.offer()).await.unwrap();
    let first = Answer::parse(&created.answer);
    blocking(|| encoder.connect(&first, &fingerprint(&created.answer)));

    for refused in [
        "a=ice-ufrag:half\r\n",
        "a=ice-pwd:halfhalfhalfhalfhalfhalf\r\n",
        "a=ice-ufrag:half\r\na=ice-pwd:encoderencoderencoder1\r\n",
        "a=ice-ufrag:encd\r\na=ice-pwd:halfhalfhalfhalfhalfhalf\r\n",
        "a=ice-ufrag:half\r\na=ice-pwd:short\r\n",
    ] {
        let status = bed.patch(1, refused, &[]).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{refused}");
        // The ICE session has its name and its credentials still.
        let trickled = bed.patch(1, TRICKLE, &[&created.ice_session]).await;
        assert_eq!(trickled.unwrap(), None, "{refused}");
    }
    blocking(|| {
        encoder.check(&first);
        encoder.send(Duration::from_secs(1));
    });

    let mut names = vec![created.ice_session];
    let mut renewed = Vec::new();
    for ufrag in ["lost", "used"] {
        let restart = format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{ufrag}newnewnewnewnewnewne\r\n");
        let (fragment, name) = bed.patch(1, &restart, &[]).await.unwrap().expect("a restart");
        assert!(!names.contains(&name));
        names.push(name);
        renewed.push(Answer::parse(&fragment));
    }
    assert!(renewed[0].ufrag != renewed[1].ufrag && renewed[0].pwd != renewed[1].pwd);
    // The old credentials carry on, and the newest are answered beside them.
    blocking(|| {
        encoder.check(&first);
        encoder.send(Duration::from_secs(1));
        encoder.ufrag = "used".into();
        encoder.check(&renewed[1]);
        encoder.send(Duration::from_secs(1));
        encoder.check(&first);
    });
    eventually("nothing is lost", async || {
        bed.get(1).await.unwrap().packets_received == 3 * 75
    })
    .await;
    let session = bed.get(1).await.unwrap();
    assert_eq!((session.state(), session.tracks.len()), (ConnectionState::Connected, 2));
    bed.stop().await;
}
