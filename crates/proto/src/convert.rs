//! Between the generated messages and our own types. Each direction once.

use std::net::{IpAddr, Ipv4Addr};

use crate::worker::{Owner as OwnerMessage, Refusal, RefusalKind};
use prost::Message as _;
use tonic::{Code, Status};
use whipcord_identity::{Epoch, Incarnation, Owner, SessionId, StreamName, session, stream, worker};
use whipcord_whip::refusal::Kind;

/// A field that names nothing we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("session_id: {0}")]
    SessionId(#[from] session::Error),
    #[error("stream: {0}")]
    Stream(#[from] stream::Error),
    #[error("worker: {0}")]
    Worker(#[from] worker::Error),
    #[error("owner is missing")]
    NoOwner,
    #[error("ip: not the address of one host")]
    Ip,
    #[error("port: more than 65535")]
    Port,
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

pub fn session_id(bytes: &[u8]) -> Result<SessionId, Error> {
    Ok(SessionId::try_from(bytes)?)
}

pub fn stream(name: &str) -> Result<StreamName, Error> {
    Ok(name.parse()?)
}

/// Where encoders may be sent. Port 0 is for the worker's own.
pub fn media_address(ip: &str, port: u32) -> Result<(IpAddr, u16), Error> {
    let ip: IpAddr = ip.parse().map_err(|_| Error::Ip)?;
    let ip = ip.to_canonical();
    if ip.is_unspecified() || ip.is_multicast() || ip == Ipv4Addr::BROADCAST {
        return Err(Error::Ip);
    }
    Ok((ip, u16::try_from(port).map_err(|_| Error::Port)?))
}

impl From<&Owner> for OwnerMessage {
    fn from(owner: &Owner) -> Self {
        Self {
            worker_id: owner.worker.to_string(),
            incarnation: owner.incarnation.0,
            epoch: owner.epoch.0,
        }
    }
}

pub fn owner(message: Option<OwnerMessage>) -> Result<Owner, Error> {
    let OwnerMessage {
        worker_id,
        incarnation,
        epoch,
    } = message.ok_or(Error::NoOwner)?;
    Ok(Owner {
        worker: worker_id.parse()?,
        incarnation: Incarnation(incarnation),
        epoch: Epoch(epoch),
    })
}

impl From<&whipcord_whip::Refusal> for Refusal {
    fn from(refusal: &whipcord_whip::Refusal) -> Self {
        let kind = match refusal.kind() {
            Kind::Malformed => RefusalKind::Malformed,
            Kind::Unacceptable => RefusalKind::Unacceptable,
            Kind::TooLarge => RefusalKind::TooLarge,
        };
        Self {
            kind: kind.into(),
            reason: refusal.reason().to_owned(),
            message: refusal.to_string(),
        }
    }
}

/// An INVALID_ARGUMENT that says why.
pub fn refusal_status(refusal: impl Into<Refusal>) -> Status {
    let refusal = refusal.into();
    Status::with_details(
        Code::InvalidArgument,
        refusal.message.clone(),
        refusal.encode_to_vec().into(),
    )
}

/// The inverse of [`refusal_status`]; `None` for any other status.
pub fn refusal(status: &Status) -> Option<Refusal> {
    if status.code() != Code::InvalidArgument || status.details().is_empty() {
        return None;
    }
    Refusal::decode(status.details()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_survives_its_message() {
        let expected = Owner {
            worker: "worker-0".parse().unwrap(),
            incarnation: Incarnation(u64::MAX),
            epoch: Epoch(7),
        };
        assert_eq!(owner(Some(OwnerMessage::from(&expected))), Ok(expected));
        assert_eq!(owner(None), Err(Error::NoOwner));
        assert_eq!(
            owner(Some(OwnerMessage::default())),
            Err(Error::Worker(worker::Error::Id))
        );
    }

    #[test]
    fn ids_and_names_are_parsed() {
        assert_eq!(session_id(&[1; 16]), Ok(SessionId::new([1; 16])));
        assert_eq!(
            session_id(&[1; 17]),
            Err(Error::SessionId(session::Error::NotASessionId))
        );
        assert_eq!(stream("live/cam").map(|s| s.to_string()), Ok("live/cam".to_owned()));
        assert_eq!(stream("live/.."), Err(Error::Stream(stream::Error::Dots)));
        assert_eq!(Status::from(Error::NoOwner).code(), Code::InvalidArgument);
    }

    #[test]
    fn media_goes_to_one_host() {
        assert_eq!(
            media_address("::ffff:192.0.2.1", 65_535),
            Ok(("192.0.2.1".parse().unwrap(), 65_535))
        );
        assert_eq!(media_address("2001:db8::1", 0), Ok(("2001:db8::1".parse().unwrap(), 0)));
        for ip in [
            "",
            "a.example",
            "0.0.0.0",
            "::",
            "ff02::1",
            "239.0.0.1",
            "255.255.255.255",
        ] {
            assert_eq!(media_address(ip, 0), Err(Error::Ip), "{ip}");
        }
        assert_eq!(media_address("192.0.2.1", 65_536), Err(Error::Port));
    }

    #[test]
    fn a_refusal_survives_its_status() {
        let status = refusal_status(&whipcord_whip::Refusal::NoMedia);
        let expected = Refusal {
            kind: RefusalKind::Unacceptable.into(),
            reason: "no_media".to_owned(),
            message: whipcord_whip::Refusal::NoMedia.to_string(),
        };
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), expected.message);
        assert_eq!(refusal(&status), Some(expected));
    }

    #[test]
    fn other_statuses_carry_no_refusal() {
        assert_eq!(refusal(&Status::invalid_argument("owner is missing")), None);
        assert_eq!(
            refusal(&Status::with_details(Code::NotFound, "", b"\x08\x01"[..].into())),
            None
        );
        assert_eq!(
            refusal(&Status::with_details(Code::InvalidArgument, "", b"\xff"[..].into())),
            None
        );
    }
}
