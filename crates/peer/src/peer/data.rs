//! Data channels of a session: what passes between their SCTP and DTLS.

use std::time::Instant;

use super::Peer;
use crate::{Event, dtls::Dtls, outputs::Output};

impl Peer {
    /// Whether DTLS carries more than handshakes.
    pub(crate) fn has_data(&self) -> bool {
        self.data.is_some()
    }

    /// Carries SCTP packets between DTLS and the data channels; nothing where there are none.
    pub(super) fn pump_data(&mut self, now: Instant, out: &mut Output<'_>) {
        while let Some(packet) = self.association().and_then(Dtls::poll_data) {
            if let Some(data) = &mut self.data
                && let Err(reason) = data.receive(now, &packet.freeze())
            {
                self.dropped.add(reason);
            }
        }
        let Some(data) = &mut self.data else { return };
        while let Some(label) = data.poll_opened() {
            out.event(Event::DataChannel { label });
        }
        let proven = self.ice.is_proven();
        while let Some(packet) = self.data.as_mut().and_then(|data| data.poll_transmit()) {
            // Otherwise lost, and repeated: SRTP follows a check within moments.
            if proven && let Some(dtls) = self.association() {
                dtls.send_data(now, &packet);
            }
        }
        self.flush_dtls(out);
    }
}
