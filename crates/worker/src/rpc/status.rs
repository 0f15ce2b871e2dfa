//! Every way in which a request fails, and its one mapping to a gRPC status.

use std::io;

use tonic::Status;
use whipcord_proto::convert;

use super::METADATA_BYTES_MAX;
use crate::{
    control::{self, DownloadError},
    sessions::{AdmitError, LookUpError},
};

/// Why a request is not served.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Field(#[from] convert::Error),
    #[error("metadata has more than {METADATA_BYTES_MAX} bytes")]
    Metadata,
    #[error("page_token is not one of ours")]
    PageToken,
    #[error("the owner is another worker or another start of this one")]
    OtherOwner,
    #[error(transparent)]
    Control(#[from] control::Error),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        use control::Error as Control;
        let message = error.to_string();
        match error {
            Error::Field(error) => error.into(),
            Error::Metadata | Error::PageToken => Self::invalid_argument(message),
            Error::OtherOwner => Self::failed_precondition(message),
            Error::Control(error) => match error {
                Control::Refused(refusal) => convert::refusal_status(&refusal),
                Control::OtherIceSession => Self::aborted(message),
                // Another worker may do.
                Control::Admit(AdmitError::Full | AdmitError::Unaddressed) => Self::resource_exhausted(message),
                Control::Admit(AdmitError::OtherOffer) => Self::already_exists(message),
                Control::Admit(AdmitError::Draining) | Control::Busy(_) => Self::unavailable(message),
                Control::Download(DownloadError::TooMany) => Self::resource_exhausted(message),
                Control::Download(DownloadError::NotFound) => Self::not_found(message),
                Control::Download(DownloadError::File(_)) => Self::data_loss(message),
                // Under the epoch named there is none, whoever owns it now. FAILED_PRECONDITION would say that the incarnation is dead.
                Control::LookUp(LookUpError::NotFound | LookUpError::Stale { .. }) => Self::not_found(message),
            },
        }
    }
}

/// For a recording that cannot be read to its end.
pub(super) fn broken(error: io::Error) -> Status {
    Status::data_loss(error.to_string())
}
