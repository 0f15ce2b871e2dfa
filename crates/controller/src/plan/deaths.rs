//! Which workers' processes have ended, as Kubernetes knows it: gateways find it out by a lease, and sooner where they are told to look.

use std::collections::BTreeMap;

use whipcord_identity::WorkerId;

use super::{Listing, PodRef, pod_ref};
use crate::platform::Pod;

/// A worker that is to be asked whether it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) worker: WorkerId,
    pub(crate) pod: PodRef,
    pub(crate) cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    #[error("its pod is gone")]
    Gone,
    #[error("another pod has its name")]
    Replaced,
    #[error("its pod has ended")]
    Ended,
    #[error("a container of its pod was started again")]
    Restarted,
}

/// What was seen last, and who is to be asked.
#[derive(Debug, Default)]
pub(super) struct Deaths {
    seen: BTreeMap<String, Pod>,
    due: BTreeMap<WorkerId, Due>,
    /// What gateways listed at the beginning has been compared with the pods.
    has_compared: bool,
}

#[derive(Debug)]
struct Due {
    probe: Probe,
    is_asked: bool,
}

impl Deaths {
    pub(super) fn look(&mut self, pods: &BTreeMap<String, Pod>, listing: Option<&Listing>) -> Vec<Probe> {
        for (name, former) in &self.seen {
            let cause = match pods.get(name) {
                None => Cause::Gone,
                Some(pod) if pod.uid != former.uid => Cause::Replaced,
                Some(pod) if pod.has_ended && !former.has_ended => Cause::Ended,
                Some(pod) if pod.restarts > former.restarts => Cause::Restarted,
                Some(_) => continue,
            };
            note(&mut self.due, name, former, cause);
        }
        // Where another controller led before, it may have gone with what it saw.
        if let (false, Some(listing)) = (self.has_compared, listing) {
            self.has_compared = true;
            for (name, pod) in pods.iter().filter(|(_, pod)| pod.has_ended) {
                note(&mut self.due, name, pod, Cause::Ended);
            }
            for one in listing
                .workers
                .iter()
                .filter(|one| !pods.contains_key(one.worker.as_str()))
            {
                let pod = PodRef {
                    name: one.worker.to_string(),
                    uid: String::new(),
                };
                let probe = Probe {
                    worker: one.worker.clone(),
                    pod,
                    cause: Cause::Gone,
                };
                let is_asked = false;
                self.due.entry(one.worker.clone()).or_insert(Due { probe, is_asked });
            }
        }
        if self.seen != *pods {
            self.seen.clone_from(pods);
        }
        let due = self.due.values_mut().filter(|due| !due.is_asked);
        due.map(|due| {
            due.is_asked = true;
            due.probe.clone()
        })
        .collect()
    }

    /// Where no gateway answered, it is tried again.
    pub(super) fn probed(&mut self, probe: &Probe, is_answered: bool) {
        let due = self.due.get_mut(&probe.worker);
        // One for a later reason is under way.
        let Some(due) = due.filter(|due| due.probe == *probe) else {
            return;
        };
        if is_answered {
            self.due.remove(&probe.worker);
        } else {
            due.is_asked = false;
        }
    }
}

/// The latest is asked for: a probe on its way may have come too early for it.
fn note(due: &mut BTreeMap<WorkerId, Due>, name: &str, pod: &Pod, cause: Cause) {
    let Ok(worker) = name.parse::<WorkerId>() else { return };
    let probe = Probe {
        worker: worker.clone(),
        pod: pod_ref(name, pod),
        cause,
    };
    due.insert(worker, Due { probe, is_asked: false });
}
