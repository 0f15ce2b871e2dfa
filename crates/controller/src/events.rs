//! What an operator must know, as Kubernetes Events of the pods and of the Lease; and in the log, where there are none.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::{sync::mpsc, time::timeout};
use tracing::{info, warn};

use crate::{
    CALL_MAX,
    plan::{Notice, PodRef},
};

/// Waiting to be written. Of a burst beyond that, the log has the rest.
const WAITING_MAX: usize = 256;

/// An Event's `reportingController`.
const REPORTER: &str = "whipcord-controller";

/// The way to Kubernetes for what there is to say. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Events(Option<mpsc::Sender<Said>>);

/// Which object it is said of.
#[derive(Debug)]
enum Of {
    Pod(PodRef),
    Lease,
}

#[derive(Debug)]
struct Said {
    of: Of,
    is_warning: bool,
    reason: &'static str,
    action: &'static str,
    note: String,
}

impl Events {
    /// That go to the log alone.
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// Written one after the other, until nobody says anything more.
    pub(crate) fn start(client: Client, namespace: String, lease: String, me: String) -> Self {
        let (sender, mut waiting) = mpsc::channel::<Said>(WAITING_MAX);
        let recorder = Recorder::new(
            client,
            Reporter {
                controller: REPORTER.to_owned(),
                instance: Some(me),
            },
        );
        tokio::spawn(async move {
            let mut is_failing = false;
            while let Some(said) = waiting.recv().await {
                let reference = reference(&said.of, &namespace, &lease);
                let event = Event {
                    type_: if said.is_warning {
                        EventType::Warning
                    } else {
                        EventType::Normal
                    },
                    reason: said.reason.to_owned(),
                    note: Some(said.note),
                    action: said.action.to_owned(),
                    secondary: None,
                };
                match timeout(CALL_MAX, recorder.publish(&event, &reference)).await {
                    Ok(Ok(())) => is_failing = false,
                    failed if !std::mem::replace(&mut is_failing, true) => {
                        let error = failed.map_or_else(
                            |_| "no answer".to_owned(),
                            |failed| failed.err().map_or_else(String::new, |error| error.to_string()),
                        );
                        warn!(error, "an Event could not be written");
                    }
                    _ => {}
                }
            }
        });
        Self(Some(sender))
    }

    pub(crate) fn leads(&self, me: &str) {
        self.say(Said {
            of: Of::Lease,
            is_warning: false,
            reason: "LeaderElection",
            action: "Lead",
            note: format!("{me} leads"),
        });
    }

    pub(crate) fn notice(&self, notice: &Notice) {
        let said = said(notice);
        if said.is_warning {
            warn!(reason = said.reason, "{}", said.note);
        } else {
            info!(reason = said.reason, "{}", said.note);
        }
        self.say(said);
    }

    fn say(&self, said: Said) {
        if let Some(sender) = &self.0
            && sender.try_send(said).is_err()
        {
            warn!("an Event is left out: too many wait to be written");
        }
    }
}

fn said(notice: &Notice) -> Said {
    let (of, is_warning, reason, action, note) = match notice {
        Notice::DrainBegun { drain, sessions } => (
            Of::Pod(drain.pod.clone()),
            false,
            "DrainBegun",
            "Drain",
            format!(
                "node {} {}: worker {} takes no new sessions, {sessions} go on",
                drain.node, drain.leaving, drain.worker
            ),
        ),
        Notice::AddressUnknown { pod, why } => (
            Of::Pod(pod.clone()),
            true,
            "AddressUnknown",
            "Advertise",
            format!(
                "worker {} is given no sessions, because no encoder would find it: {why}",
                pod.name
            ),
        ),
        Notice::AddressKnown { pod, addresses } => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            (
                Of::Pod(pod.clone()),
                false,
                "AddressKnown",
                "Advertise",
                format!("encoders reach worker {} at {}", pod.name, addresses.join(", ")),
            )
        }
        Notice::WorkerDead { probe, incarnations } => (
            Of::Pod(probe.pod.clone()),
            true,
            "WorkerDead",
            "Probe",
            format!(
                "worker {} is dead ({incarnations} starts of it), its sessions have ended: {}",
                probe.worker, probe.cause
            ),
        ),
        Notice::NoCapacity { workers, sessions } => (
            Of::Lease,
            true,
            "NoCapacity",
            "Place",
            format!("no worker has room for a new session: {workers} workers report, with {sessions} sessions"),
        ),
        Notice::Capacity { room } => (
            Of::Lease,
            false,
            "Capacity",
            "Place",
            format!("there is room for {room} new sessions again"),
        ),
    };
    Said {
        of,
        is_warning,
        reason,
        action,
        note,
    }
}

fn reference(of: &Of, namespace: &str, lease: &str) -> ObjectReference {
    let namespace = Some(namespace.to_owned());
    match of {
        Of::Pod(pod) => ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(pod.name.clone()),
            uid: Some(pod.uid.clone()).filter(|uid| !uid.is_empty()),
            namespace,
            ..ObjectReference::default()
        },
        Of::Lease => ObjectReference {
            api_version: Some("coordination.k8s.io/v1".to_owned()),
            kind: Some("Lease".to_owned()),
            name: Some(lease.to_owned()),
            namespace,
            ..ObjectReference::default()
        },
    }
}
