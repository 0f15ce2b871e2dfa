//! Who is at the other end of a connection, and which service is whose.

use std::sync::Arc;

use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
};

use super::Role;

/// The roles that the other end's certificate names, of those that are let in; all of these in clear text.
#[derive(Clone, Debug)]
pub(super) struct Callers(pub(super) Arc<[Role]>);

/// Lets one role in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Only(Role);

/// A service for one role alone, where several are let in.
pub(crate) fn only<S>(role: Role, service: S) -> InterceptedService<S, Only> {
    InterceptedService::new(service, Only(role))
}

impl Interceptor for Only {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match request.extensions().get::<Callers>() {
            Some(Callers(roles)) if roles.contains(&self.0) => Ok(request),
            _ => Err(Status::permission_denied(
                "this is for another role than your certificate's",
            )),
        }
    }
}
