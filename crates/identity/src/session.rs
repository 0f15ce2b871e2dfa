//! Session ids and the sealed hint in a session URL.

use std::{fmt, str::FromStr};

use aws_lc_rs::aead;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{Epoch, Incarnation, KeyId, Owner, StreamName, WorkerAddress, WorkerId, key::SessionKeys};

/// 128 random bits; written as 22 characters of base64url. Public: it may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

/// Where a session lives: what any gateway needs to route a PATCH or DELETE without a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    pub owner: Owner,
    /// The worker's gRPC address.
    pub address: WorkerAddress,
}

/// What may be done by whoever holds a hint. One that was sealed for the one does not open for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// PATCH, DELETE and everything else about the session: its encoder's.
    Publish,
    /// Its recording may be read. Links are passed on, and must not end a stream.
    Read,
}

impl SessionId {
    /// Characters in its text: ⌈16 · 8 / 6⌉.
    pub const TEXT_LEN: usize = 22;

    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Hint {
    /// Seals for the session URL: base64url text; a capability, never logged. `nonce` is 96 random bits.
    ///
    /// AES-256-GCM under the newest key, with stream and session id as associated data: a hint moved to another URL does not
    /// open. A random nonce is safe for 2^32 hints under one key (NIST SP 800-38D §8.3).
    pub fn seal(
        &self,
        power: Power,
        keys: &SessionKeys,
        stream: &StreamName,
        sid: SessionId,
        nonce: [u8; 12],
    ) -> String {
        let keys = keys.set();
        let (id, key) = keys.newest();
        let header = id.with_version(VERSION);
        let mut body = self.to_bytes();
        let tag = key
            .seal_in_place_separate_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aad(power, header, stream, sid),
                &mut body,
            )
            .expect("a hint is far below AES-GCM's limit of 64 GiB");
        URL_SAFE_NO_PAD.encode([&[header][..], &nonce, &body, tag.as_ref()].concat())
    }

    /// Opens what [`Hint::seal`] made with this power for this stream and session, under any key of the set.
    pub fn open(
        text: &str,
        power: Power,
        keys: &SessionKeys,
        stream: &StreamName,
        sid: SessionId,
    ) -> Result<Self, Error> {
        if text.len() > HINT_TEXT_MAX {
            return Err(Error::NotAHint);
        }
        let mut sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::NotAHint)?;
        let (&mut header, rest) = sealed.split_first_mut().ok_or(Error::NotAHint)?;
        let (nonce, body) = rest.split_first_chunk_mut::<12>().ok_or(Error::NotAHint)?;
        let (version, id) = KeyId::split_version(header);
        let keys = keys.set();
        let key = keys.by_id(id).filter(|_| version == VERSION).ok_or(Error::NotAHint)?;
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        let body = key
            .open_in_place(nonce, aad(power, header, stream, sid), body)
            .map_err(|_| Error::NotAHint)?;
        Self::from_bytes(body).ok_or(Error::NotAHint)
    }

    /// `incarnation 8 | epoch 4 | length of the worker id 1 | worker id | address`.
    fn to_bytes(&self) -> Vec<u8> {
        let worker = self.owner.worker.as_str().as_bytes();
        let length = u8::try_from(worker.len()).expect("a worker id has at most 63 bytes");
        [
            &self.owner.incarnation.0.to_be_bytes()[..],
            &self.owner.epoch.0.to_be_bytes(),
            &[length],
            worker,
            self.address.as_str().as_bytes(),
        ]
        .concat()
    }

    fn from_bytes(body: &[u8]) -> Option<Self> {
        let (incarnation, rest) = body.split_first_chunk::<8>()?;
        let (epoch, rest) = rest.split_first_chunk::<4>()?;
        let (&length, rest) = rest.split_first()?;
        let (worker, address) = rest.split_at_checked(usize::from(length))?;
        Some(Self {
            owner: Owner {
                worker: text(worker)?,
                incarnation: Incarnation(u64::from_be_bytes(*incarnation)),
                epoch: Epoch(u32::from_be_bytes(*epoch)),
            },
            address: text(address)?,
        })
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for SessionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut bytes = [0; 16];
        // The length first: `decode_slice_unchecked` panics when the output is too small.
        if text.len() != Self::TEXT_LEN || URL_SAFE_NO_PAD.decode_slice_unchecked(text, &mut bytes) != Ok(16) {
            return Err(Error::NotASessionId);
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<&[u8]> for SessionId {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        bytes.try_into().map(Self).map_err(|_| Error::NotASessionId)
    }
}

/// Why a text or some bytes are no session's. It does not quote them: they may be a capability of another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not a session id")]
    NotASessionId,
    #[error("not a hint sealed for this session")]
    NotAHint,
}

const VERSION: u8 = 1;
/// The longest hint in bytes: header, nonce, body with worker id and address, tag.
const HINT_BYTES_MAX: usize = 1 + 12 + (8 + 4 + 1 + WorkerId::BYTES_MAX + WorkerAddress::BYTES_MAX) + 16;
/// As base64 without padding.
const HINT_TEXT_MAX: usize = (HINT_BYTES_MAX * 8).div_ceil(6);

/// The stream comes last because its length varies. Neither label begins with the other.
fn aad(power: Power, header: u8, stream: &StreamName, sid: SessionId) -> aead::Aad<Vec<u8>> {
    let label: &[u8] = match power {
        Power::Publish => b"whipcord hint",
        Power::Read => b"whipcord reading hint",
    };
    aead::Aad::from([label, &[header][..], sid.as_bytes(), stream.as_str().as_bytes()].concat())
}

fn text<T: FromStr>(bytes: &[u8]) -> Option<T> {
    str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::key::KeyFile;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn hint() -> Hint {
        Hint {
            owner: Owner {
                worker: "worker-0".parse().unwrap(),
                incarnation: Incarnation(0x0102_0304_0506_0708),
                epoch: Epoch(3),
            },
            address: "10.0.0.7:7000".parse().unwrap(),
        }
    }

    fn keys() -> SessionKeys {
        SessionKeys::generate([0x5a; 32])
    }

    fn stream() -> StreamName {
        "live/cam".parse().unwrap()
    }

    const SID: SessionId = SessionId([7; 16]);

    #[test]
    fn an_id_is_22_characters_of_base64url() {
        assert_eq!(SessionId([0xff; 16]).to_string(), "_____________________w");
        assert_eq!(SID.to_string(), "BwcHBwcHBwcHBwcHBwcHBw");
        for text in [
            "",
            "BwcHBwcHBwcHBwcHBwcHB",
            "BwcHBwcHBwcHBwcHBwcHBwcH",
            "BwcHBwcHBwcHBwcHBwcHBx",
            "BwcHBwcHBwcHBwcHBwcH+w",
        ] {
            assert_eq!(text.parse::<SessionId>(), Err(Error::NotASessionId), "{text}");
        }
        assert_eq!(SessionId::try_from(&[7; 16][..]), Ok(SID));
        assert_eq!(SessionId::try_from(&[7; 15][..]), Err(Error::NotASessionId));
    }

    /// The format is in the URLs that encoders hold: it changes only with its version.
    #[test]
    fn version_1_stays_as_it_is() {
        const GOLDEN: &str = "EAkJCQkJCQkJCQkJCcy5H2-2SA5SXJt7UwtMIgJsN_xGIL_KPaBh28mMm5g57QujASF2UTKml8uSAQM0bpVV";
        assert_eq!(hint().seal(Power::Publish, &keys(), &stream(), SID, [9; 12]), GOLDEN);
        assert_eq!(Hint::open(GOLDEN, Power::Publish, &keys(), &stream(), SID), Ok(hint()));
    }

    /// Sealed by the same key: only its version speaks against it.
    #[test]
    fn a_hint_of_a_later_version_is_refused() {
        for (version, opens) in [(VERSION, true), (VERSION + 1, false)] {
            let keys = keys();
            let set = keys.set();
            let (id, key) = set.newest();
            let header = id.with_version(version);
            let (nonce, mut body) = ([9; 12], hint().to_bytes());
            let aad = aad(Power::Publish, header, &stream(), SID);
            let tag = key
                .seal_in_place_separate_tag(aead::Nonce::assume_unique_for_key(nonce), aad, &mut body)
                .unwrap();
            let sealed = URL_SAFE_NO_PAD.encode([&[header][..], &nonce, &body, tag.as_ref()].concat());
            let opened = Hint::open(&sealed, Power::Publish, &keys, &stream(), SID);
            assert_eq!(opened.is_ok(), opens, "version {version}");
        }
    }

    #[test]
    fn a_hint_opens_only_for_its_stream_its_session_and_its_keys() {
        let sealed = hint().seal(Power::Publish, &keys(), &stream(), SID, [9; 12]);
        let other = "live/cam2".parse().unwrap();
        assert_eq!(
            Hint::open(&sealed, Power::Publish, &keys(), &other, SID),
            Err(Error::NotAHint)
        );
        assert_eq!(
            Hint::open(&sealed, Power::Publish, &keys(), &stream(), SessionId([8; 16])),
            Err(Error::NotAHint)
        );
        assert_eq!(
            Hint::open(&sealed, Power::Publish, &SessionKeys::generate([1; 32]), &stream(), SID),
            Err(Error::NotAHint)
        );
    }

    #[test]
    fn an_older_key_still_opens() {
        let file = KeyFile::<SessionKeys>::generate([3; 32]);
        let sealed = hint().seal(Power::Publish, &file.keys(0), &stream(), SID, [9; 12]);
        let rotated = file.rotate([4; 32], 0, 5).unwrap().keys(5);
        assert_eq!(
            Hint::open(&sealed, Power::Publish, &rotated, &stream(), SID),
            Ok(hint())
        );
        let without = SessionKeys::generate([4; 32]);
        assert_eq!(
            Hint::open(&sealed, Power::Publish, &without, &stream(), SID),
            Err(Error::NotAHint)
        );
    }

    #[test]
    fn a_hint_for_reading_publishes_nothing_and_the_other_way_round() {
        for (given, other) in [(Power::Publish, Power::Read), (Power::Read, Power::Publish)] {
            let sealed = hint().seal(given, &keys(), &stream(), SID, [9; 12]);
            assert_eq!(Hint::open(&sealed, given, &keys(), &stream(), SID), Ok(hint()));
            assert_eq!(
                Hint::open(&sealed, other, &keys(), &stream(), SID),
                Err(Error::NotAHint)
            );
        }
    }

    #[test]
    fn the_longest_hint_still_opens() {
        let owner = Owner {
            worker: "a".repeat(63).parse().unwrap(),
            ..hint().owner
        };
        let longest = Hint {
            owner,
            address: format!("{}:7001", "b".repeat(250)).parse().unwrap(),
        };
        let sealed = longest.seal(Power::Publish, &keys(), &stream(), SID, [9; 12]);
        assert_eq!(sealed.len(), HINT_TEXT_MAX);
        assert_eq!(
            Hint::open(&sealed, Power::Publish, &keys(), &stream(), SID),
            Ok(longest)
        );
    }

    proptest! {
        #[test]
        fn an_id_survives_its_text(bytes: [u8; 16]) {
            let id = SessionId::new(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn a_hint_survives_its_seal(
            worker in "[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", address in "([a-z0-9._-]{1,249}|\\[2001:db8::[0-9a-f]{1,4}\\]):[0-9]{1,4}",
            incarnation: u64, epoch: u32, sid: [u8; 16], nonce: [u8; 12], key: [u8; 32],
        ) {
            let (incarnation, epoch) = (Incarnation(incarnation), Epoch(epoch));
            let owner = Owner { worker: worker.parse().unwrap(), incarnation, epoch };
            let hint = Hint { owner, address: address.parse().unwrap() };
            let (keys, sid) = (SessionKeys::generate(key), SessionId::new(sid));
            let sealed = hint.seal(Power::Publish, &keys, &stream(), sid, nonce);
            prop_assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(Hint::open(&sealed, Power::Publish, &keys, &stream(), sid), Ok(hint));
        }

        #[test]
        fn any_flipped_bit_is_refused(bit in 0..(1 + 12 + 13 + 8 + 13 + 16) * 8usize) {
            let sealed = hint().seal(Power::Publish, &keys(), &stream(), SID, [9; 12]);
            let mut bytes = URL_SAFE_NO_PAD.decode(sealed).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Hint::open(&URL_SAFE_NO_PAD.encode(bytes), Power::Publish, &keys(), &stream(), SID), Err(Error::NotAHint));
        }

        #[test]
        fn any_text_is_judged_without_a_panic(text in any::<String>()) {
            let _ = text.parse::<SessionId>();
            prop_assert_eq!(Hint::open(&text, Power::Publish, &keys(), &stream(), SID), Err(Error::NotAHint));
        }
    }
}
