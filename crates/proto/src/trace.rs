//! How a trace goes with a call: W3C Trace Context in its metadata, by the propagator of the process.

use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
};
use tonic::{
    Code,
    metadata::{Ascii, KeyRef, MetadataKey, MetadataMap},
};

/// Writes the current context into a call's metadata; nothing where no trace is.
pub fn inject(metadata: &mut MetadataMap) {
    global::get_text_map_propagator(|w3c| w3c.inject(&mut Writer(metadata)));
}

/// The caller's context; an empty one where it sent none.
pub fn extract(metadata: &MetadataMap) -> Context {
    global::get_text_map_propagator(|w3c| w3c.extract(&Reader(metadata)))
}

/// A status as OpenTelemetry's conventions for RPC spell it: `DEADLINE_EXCEEDED`.
pub fn status_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

struct Writer<'a>(&'a mut MetadataMap);

impl Injector for Writer<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (MetadataKey::<Ascii>::from_bytes(key.as_bytes()), value.parse()) {
            self.0.insert(key, value);
        }
    }
}

struct Reader<'a>(&'a MetadataMap);

impl Extractor for Reader<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0
            .keys()
            .filter_map(|key| match key {
                KeyRef::Ascii(key) => Some(key.as_str()),
                KeyRef::Binary(_) => None,
            })
            .collect()
    }
}
