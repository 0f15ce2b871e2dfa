//! The encoder's connectivity checks, written byte by byte.

use aws_lc_rs::hmac;
use whipcord_whip::Credentials;

use super::Publisher;

impl Publisher {
    /// A binding request to credentials of the server's.
    pub(crate) fn check(&mut self, server: &Credentials, nominates: bool) -> Vec<u8> {
        self.binding_request(server, nominates.then_some(0x0025))
    }

    /// The same, with an eight-byte attribute of this type.
    pub(crate) fn check_with(&mut self, server: &Credentials, odd: u16) -> Vec<u8> {
        self.binding_request(server, Some(odd))
    }

    fn binding_request(&mut self, server: &Credentials, extra: Option<u16>) -> Vec<u8> {
        self.transaction += 1;
        let mut attributes = vec![];
        let username = format!("{}:{}", server.ufrag, self.local.ufrag);
        attribute(&mut attributes, 0x0006, username.as_bytes());
        attribute(&mut attributes, 0x0024, &1_853_824_767u32.to_be_bytes());
        // ICE-CONTROLLING, unless the extra attribute says the contrary.
        if extra != Some(0x8029) {
            attribute(&mut attributes, 0x802a, &7u64.to_be_bytes());
        }
        match extra {
            Some(0x0025) => attribute(&mut attributes, 0x0025, &[]),
            Some(other) => attribute(&mut attributes, other, &7u64.to_be_bytes()),
            None => {}
        }
        let mut request = vec![0x00, 0x01];
        // The length covers MESSAGE-INTEGRITY, 24 bytes, which is not there yet (RFC 8489 §14.5).
        request.extend((attributes.len() as u16 + 24).to_be_bytes());
        request.extend(0x2112_a442u32.to_be_bytes());
        request.extend([0; 8]);
        request.extend(self.transaction.to_be_bytes());
        request.extend(attributes);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, server.pwd.as_bytes());
        let tag = hmac::sign(&key, &request);
        attribute(&mut request, 0x0008, tag.as_ref());
        request
    }
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}
