//! The call by which a worker tells what a session has been through.

use std::time::Duration;

use whipcord_identity::{Owner, WorkerAddress};
use whipcord_proto::worker::{ExplainSessionRequest, ExplainSessionResponse, explain_session_request::Subject};

use super::{CallError, Workers, bounded};

impl Workers {
    pub(crate) async fn explain(
        &self,
        address: &WorkerAddress,
        subject: Subject,
        owner: &Owner,
        limit: Duration,
    ) -> Result<ExplainSessionResponse, CallError> {
        let request = ExplainSessionRequest {
            subject: Some(subject),
            owner: Some(owner.into()),
        };
        let mut client = self.client(address);
        self.within(
            "whipcord.worker.v1.WorkerService/ExplainSession",
            address,
            limit,
            client.explain_session(bounded(request, limit)),
        )
        .await
    }
}
