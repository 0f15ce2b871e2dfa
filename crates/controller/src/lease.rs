//! The Lease in Kubernetes, read, taken, renewed and given back.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, api::PostParams};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    CALL_MAX,
    election::{Candidate, DEADLINE, DURATION, RETRY, Seen, Step},
};

/// What a controller is among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not read the Lease yet.
    Starting,
    Standby,
    /// Until then, if it is not renewed.
    Leading {
        until: Instant,
    },
}

impl Standing {
    pub(crate) fn leads(self, now: Instant) -> bool {
        matches!(self, Self::Leading { until } if now < until)
    }
}

/// What a try came to.
enum Outcome {
    Held,
    Anothers(String),
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("the API server does not answer")]
    Silent,
}

/// One candidate's way to the Lease.
pub(crate) struct Campaign {
    api: Api<Lease>,
    name: String,
    me: String,
    standing: watch::Sender<Standing>,
}

impl Campaign {
    pub(crate) fn new(api: Api<Lease>, name: String, me: String) -> (Self, watch::Receiver<Standing>) {
        let (standing, receiver) = watch::channel(Standing::Starting);
        let campaign = Self {
            api,
            name,
            me,
            standing,
        };
        (campaign, receiver)
    }

    /// Until `stop`; then the Lease is given back, so that another need not wait for its end.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut candidate = Candidate::new(self.me.clone());
        let (mut holder, mut is_failing) = (String::new(), false);
        while !stop.is_cancelled() {
            // From before the call: another may begin to count when it arrives.
            let begun = Instant::now();
            let tried = timeout(CALL_MAX, self.try_once(&mut candidate)).await;
            match tried.unwrap_or(Err(Error::Silent)) {
                Ok(Outcome::Held) => {
                    is_failing = false;
                    let until = begun + DEADLINE;
                    let former = self.standing.send_replace(Standing::Leading { until });
                    if !former.leads(begun) {
                        info!(controller = self.me, lease = self.name, "this controller leads");
                    }
                    holder.clone_from(&self.me);
                }
                Ok(Outcome::Anothers(other)) => {
                    is_failing = false;
                    self.stand_by();
                    if holder != other {
                        info!(leader = other, lease = self.name, "another controller leads");
                    }
                    holder = other;
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        warn!(%error, lease = self.name, "the Lease cannot be read or renewed, trying again");
                    }
                    if !self.standing.borrow().leads(Instant::now()) && *self.standing.borrow() != Standing::Starting {
                        self.stand_by();
                    }
                }
            }
            stop.run_until_cancelled(sleep(RETRY)).await;
        }
        if self.standing.borrow().leads(Instant::now()) {
            self.stand_by();
            let _ = timeout(CALL_MAX, self.give_back()).await;
        }
    }

    fn stand_by(&self) {
        if matches!(self.standing.send_replace(Standing::Standby), Standing::Leading { .. }) {
            info!(controller = self.me, lease = self.name, "this controller leads no more");
        }
    }

    async fn try_once(&self, candidate: &mut Candidate) -> Result<Outcome, Error> {
        let lease = self.api.get_opt(&self.name).await?;
        let holder = lease.as_ref().map_or_else(String::new, holder);
        let now = MicroTime(Timestamp::now());
        let written = match (candidate.step(lease.as_ref().map(seen), Instant::now()), lease) {
            (Step::Wait, _) => return Ok(Outcome::Anothers(holder)),
            (Step::Create, _) | (_, None) => {
                let mut lease = Lease {
                    metadata: ObjectMeta {
                        name: Some(self.name.clone()),
                        ..ObjectMeta::default()
                    },
                    spec: None,
                };
                self.hold(&mut lease, now, true);
                self.api.create(&PostParams::default(), &lease).await
            }
            // With the version read: whoever writes meanwhile wins.
            (step, Some(mut lease)) => {
                self.hold(&mut lease, now, step == Step::Take);
                self.api.replace(&self.name, &PostParams::default(), &lease).await
            }
        };
        match written {
            Ok(_) => Ok(Outcome::Held),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Outcome::Anothers(holder)),
            Err(error) => Err(error.into()),
        }
    }

    fn hold(&self, lease: &mut Lease, now: MicroTime, is_new: bool) {
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        if is_new {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count.saturating_add(1)));
        }
        spec.holder_identity = Some(self.me.clone());
        spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
        spec.renew_time = Some(now);
    }

    async fn give_back(&self) -> Result<(), Error> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            return Ok(());
        };
        if holder(&lease) == self.me {
            if let Some(spec) = &mut lease.spec {
                spec.holder_identity = None;
            }
            self.api.replace(&self.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }
}

fn holder(lease: &Lease) -> String {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
    holder.unwrap_or_default()
}

fn seen(lease: &Lease) -> Seen {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Seen {
        holder: holder(lease),
        duration: seconds.map_or(DURATION, Duration::from_secs),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}
