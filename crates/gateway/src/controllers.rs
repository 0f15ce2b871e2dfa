//! `ControllerService`: what a controller knows of the platform, on its way to workers. Without one, all goes on.

use std::{collections::HashMap, fmt, sync::Arc};

use tokio::time::Instant;
use tonic::{Request, Response, Status};
use tracing::{info, warn};
use whipcord_directory::{Freshness, Health, WORKERS_MAX, Worker};
use whipcord_identity::WorkerId;
use whipcord_proto::{
    controller::{
        self as proto, DrainWorkerRequest, DrainWorkerResponse, ListWorkersRequest, ListWorkersResponse,
        ProbeWorkerRequest, ProbeWorkerResponse, SetAddressesRequest, SetAddressesResponse, WorkerAddresses,
        controller_service_server::ControllerService,
    },
    convert,
    directory::MediaAddress,
};

use crate::{
    Shared,
    addresses::Told,
    operators::Asking,
    problem::Error,
    workers::{CallError, incarnation},
};

/// The gRPC service; made by [`crate::Gateway::controller_service`].
#[derive(Clone)]
pub struct Controllers(Arc<Shared>);

/// Of one worker: those that encoders can choose from in an answer are fewer.
const ADDRESSES_MAX: usize = 16;

impl Controllers {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl fmt::Debug for Controllers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Controllers")
    }
}

#[tonic::async_trait]
impl ControllerService for Controllers {
    async fn list_workers(&self, _: Request<ListWorkersRequest>) -> Result<Response<ListWorkersResponse>, Status> {
        let view = self.0.directory.workers();
        Ok(Response::new(ListWorkersResponse {
            workers: view.workers.iter().map(listed).collect(),
            stale: view.freshness == Freshness::Stale,
        }))
    }

    async fn set_addresses(
        &self,
        request: Request<SetAddressesRequest>,
    ) -> Result<Response<SetAddressesResponse>, Status> {
        let workers = request.into_inner().workers;
        if workers.len() > WORKERS_MAX {
            return Err(Status::invalid_argument(format!("more than {WORKERS_MAX} workers")));
        }
        let told: Result<HashMap<WorkerId, Told>, Status> = workers.into_iter().map(told).collect();
        self.0.addresses.set(told?, Instant::now());
        Ok(Response::new(SetAddressesResponse {}))
    }

    async fn probe_worker(
        &self,
        request: Request<ProbeWorkerRequest>,
    ) -> Result<Response<ProbeWorkerResponse>, Status> {
        let worker = worker(&request.into_inner().worker_id)?;
        Ok(Response::new(self.0.probe(&worker).await))
    }

    async fn drain_worker(
        &self,
        request: Request<DrainWorkerRequest>,
    ) -> Result<Response<DrainWorkerResponse>, Status> {
        let DrainWorkerRequest {
            worker_id,
            deadline_seconds,
        } = request.into_inner();
        let worker = worker(&worker_id)?;
        let drained = self.0.drain(&worker, deadline_seconds, Asking::Controller).await;
        let drained = drained.map_err(|error| match error {
            Error::NoSuchWorker => Status::not_found(error.to_string()),
            error => Status::unavailable(error.to_string()),
        })?;
        if !drained.unanswered.is_empty() {
            return Err(Status::unavailable("not every start of the worker answers"));
        }
        Ok(Response::new(DrainWorkerResponse {
            sessions: drained.sessions,
        }))
    }
}

impl Shared {
    /// Asks all starts of a worker whether they live, and buries those that do not.
    async fn probe(&self, worker: &WorkerId) -> ProbeWorkerResponse {
        let mut probed = ProbeWorkerResponse::default();
        let workers = self.directory.workers().workers;
        for Worker { hello, .. } in workers.iter().filter(|listed| listed.hello.worker == *worker) {
            let owner = incarnation(hello);
            let answer = self.workers.list(&hello.address, &owner, String::new(), 1).await;
            if let Err(CallError::Dead) = self.heard(hello.incarnation, answer).await {
                warn!(%worker, incarnation = %hello.incarnation, "a worker is dead: a controller had it asked");
                probed.dead.push(hello.incarnation.0);
            } else {
                info!(%worker, incarnation = %hello.incarnation, "a controller takes a worker for dead, which is not sure");
                probed.living += 1;
            }
        }
        probed
    }
}

fn listed(worker: &Worker) -> proto::Worker {
    let health = match worker.health {
        Health::Alive => proto::Health::Alive,
        Health::Suspect => proto::Health::Suspect,
        Health::Draining => proto::Health::Draining,
        Health::Unaddressed => proto::Health::Unaddressed,
    };
    // Reservations are known here, sessions there: whichever is more.
    let sessions = u32::try_from(worker.sessions).unwrap_or(u32::MAX);
    proto::Worker {
        worker_id: worker.hello.worker.to_string(),
        incarnation: worker.hello.incarnation.0,
        health: health.into(),
        sessions: sessions.max(worker.load.sessions),
        sessions_max: worker.hello.sessions_max,
    }
}

fn worker(id: &str) -> Result<WorkerId, Status> {
    id.parse().map_err(|error| convert::Error::Worker(error).into())
}

fn told(message: WorkerAddresses) -> Result<(WorkerId, Told), Status> {
    let worker = worker(&message.worker_id)?;
    let addresses = message.addresses.iter().take(ADDRESSES_MAX).map(|address| {
        let (ip, port) = convert::media_address(&address.ip, address.port)?;
        Ok(MediaAddress {
            ip: ip.to_string(),
            port: port.into(),
        })
    });
    let addresses: Result<Vec<MediaAddress>, convert::Error> = addresses.collect();
    Ok((worker, addresses?.into()))
}
