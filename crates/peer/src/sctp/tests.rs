//! Data channels between an encoder's SCTP and ours, over a simulated wire.

mod client;
mod exchanges;
mod hand;
mod hostile;
mod wire;

use whipcord_whip::{Data, DataPolicy, Offer, Preferences, negotiate::negotiate};

use super::*;

const OFFER: &str = include_str!("tests/data.sdp");

fn data(port: u16, echo: bool) -> Data {
    let offer = OFFER.replace("sctp-port:5000", &format!("sctp-port:{port}"));
    let offer = Offer::parse(offer.as_bytes()).expect("a good offer");
    let preferences = Preferences {
        data: if echo { DataPolicy::Echo } else { DataPolicy::Accept },
        ..Preferences::default()
    };
    let negotiated = negotiate(&offer, &preferences).expect("an acceptable offer");
    negotiated.data.expect("data channels")
}
