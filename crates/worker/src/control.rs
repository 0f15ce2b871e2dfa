//! What can be done to this worker's sessions: made, changed, ended, looked at, drained.
//!
//! Everything that needs thought happens here, on tokio; the shard is sent commands that it only carries out. Not here: the
//! contract's messages (rpc).

mod download;
mod drain;
mod explain;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Instant, SystemTime},
};

use aws_lc_rs::digest;
use opentelemetry::{metrics::Counter, trace::FutureExt as _};
use tokio::sync::{oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};
use whipcord_identity::{Epoch, Incarnation, SessionId, StreamName, Ufrag, WorkerId, WorkerNumber, key::IceKeys};
use whipcord_peer::{Certificate, EndReason};
use whipcord_proto::worker::Session;
use whipcord_whip::{
    Answer, Credentials, Negotiated, Offer, Preferences, Refusal,
    answer::Local,
    etag::{EntityTag, IfMatch, Verdict},
    fragment::{self, Fragment},
    negotiate,
};

use crate::{
    advertise::Known,
    random,
    sessions::{AdmitError, Admitted, Close, Created, Digest, Live, LookUpError, Sessions},
    shard::{self, Busy, Command},
    sinks::record::Recorder,
    snapshot::Info,
    stories::Stories,
    trace::session as trace,
    voice::Voice,
};

pub(crate) use download::{Download, DownloadError, Downloads};
pub(crate) use drain::Grace;

/// The only shard there is.
const SHARD: u8 = 0;

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) worker: WorkerId,
    pub(crate) incarnation: Incarnation,
    /// A [`WorkerNumber`]; redrawn by the report when another incarnation has it.
    pub(crate) number: AtomicU32,
    pub(crate) ice_keys: IceKeys,
    pub(crate) certificate: Certificate,
    /// Where encoders reach this worker.
    pub(crate) addresses: Known,
    pub(crate) preferences: Preferences,
    pub(crate) sessions: Sessions,
    pub(crate) stories: Stories,
    pub(crate) shard: shard::Handle,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) downloads: Downloads,
    pub(crate) voice: Voice,
    /// Until it drains, those that live may go on for ever.
    pub(crate) grace: watch::Sender<Grace>,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
    pub(crate) created: Counter<u64>,
}

/// A session to be made.
#[derive(Debug)]
pub(crate) struct Creation {
    pub(crate) sid: SessionId,
    pub(crate) stream: StreamName,
    pub(crate) epoch: Epoch,
    /// As received.
    pub(crate) offer: Vec<u8>,
    pub(crate) metadata: HashMap<String, String>,
}

/// The answer to an ICE restart.
#[derive(Debug)]
pub(crate) struct Restarted {
    pub(crate) fragment: String,
    pub(crate) ice_session: EntityTag,
}

/// Why a request is not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the fragment is for another ICE session than the current one")]
    OtherIceSession,
    #[error(transparent)]
    Admit(#[from] AdmitError),
    #[error(transparent)]
    LookUp(#[from] LookUpError),
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Download(#[from] DownloadError),
}

impl Control {
    /// Makes a session, or repeats what was answered when this one was made.
    pub(crate) async fn create(self: &Arc<Self>, creation: Creation) -> Result<Created, Error> {
        let offer = trace::negotiate(|| negotiate::negotiate(&Offer::parse(&creation.offer)?, &self.preferences))?;
        let sid = creation.sid;
        match self.sessions.admit(sid, creation.epoch, creation.digest())? {
            Admitted::Done(created) => Ok(created),
            Admitted::Same(created) => answered(created).await,
            Admitted::New(sender) => {
                let created = sender.subscribe();
                let control = Arc::clone(self);
                // A task of its own: a caller that goes away must not leave a session half made.
                let making = self
                    .tasks
                    .spawn(async move { control.make(creation, offer, sender).await }.with_current_context());
                let made = making.await.unwrap_or_else(|_| Err(Busy.into()));
                if made.is_err() {
                    self.sessions.abandon(sid);
                }
                made?;
                answered(created).await
            }
        }
    }

    /// Makes an admitted session on the shard, and says so through the channel.
    async fn make(
        &self,
        creation: Creation,
        offer: Negotiated,
        sender: watch::Sender<Option<Created>>,
    ) -> Result<(), Error> {
        let Creation {
            sid,
            stream,
            epoch,
            metadata,
            ..
        } = creation;
        let candidates = self.addresses.current().ok_or(AdmitError::Unaddressed)?;
        let (started, created_at) = (Instant::now(), SystemTime::now());
        let trace = trace::establish(sid, &stream, created_at);
        let recording = self.recorder.as_ref().and_then(|recorder| {
            let recording = recorder.record(&stream, sid, &offer.sections, started, trace.clone());
            recording
                .inspect_err(|error| warn!(%sid, %stream, %error, "the session is not recorded"))
                .ok()
        });
        let (tap, progress) = recording.map(|recording| (recording.tap, recording.progress)).unzip();
        let info = Arc::new(Info {
            sid,
            stream,
            epoch,
            created_at,
            metadata,
            mids: offer.sections.iter().map(|section| section.mid.clone()).collect(),
            recording: progress,
            trace,
            heard: AtomicBool::new(false),
        });
        let origin = u64::from_be_bytes(random::bytes());
        let (remote, transport) = (offer.remote.clone(), offer.transport.clone());
        let (reply, answer) = oneshot::channel();
        let (local, created) = (self.mint(), Arc::clone(&info));
        let create = shard::Create {
            info: created,
            offer,
            local,
            candidates,
            origin,
            tap,
            started,
            reply,
        };
        let answer = self.create_on_shard(create, answer).await;
        let answer = answer.inspect_err(|_| trace::not_made(&info.trace))?;
        info!(%sid, stream = %info.stream, "session created");
        self.created.add(1, &[]);
        let ice_session = new_ice_session();
        let created = Created {
            answer: answer.as_str().to_owned(),
            ice_session: ice_session.clone(),
        };
        self.sessions.establish(Live {
            info,
            created: created.clone(),
            ice_session,
            remote,
            transport,
            origin,
        });
        sender.send_replace(Some(created));
        Ok(())
    }

    async fn create_on_shard(
        &self,
        create: shard::Create,
        answer: oneshot::Receiver<Result<Answer, whipcord_peer::Full>>,
    ) -> Result<Answer, Error> {
        self.shard.send(Command::Create(Box::new(create)))?;
        let answer = answer.await.map_err(|_| Busy)?;
        Ok(answer.map_err(|whipcord_peer::Full| AdmitError::Full)?)
    }

    /// Adds candidates or restarts ICE, as the fragment says.
    pub(crate) fn patch(
        &self,
        sid: SessionId,
        epoch: Epoch,
        fragment: &[u8],
        if_match: &IfMatch,
    ) -> Result<Option<Restarted>, Error> {
        self.sessions.with_live(sid, epoch, |live| {
            if if_match.verdict(&live.ice_session) != Verdict::Matches {
                return Err(Error::OtherIceSession);
            }
            match Fragment::parse(fragment)?.request(&live.remote)? {
                // ICE-lite sends no checks (RFC 8445 §2.5): the encoder's reach us without its candidates.
                fragment::Request::Trickle => Ok(None),
                fragment::Request::Restart(remote) => self.restart(live, remote).map(Some),
            }
        })
    }

    /// RFC 9725 §4.3.3.
    fn restart(&self, live: &mut Live, remote: Credentials) -> Result<Restarted, Error> {
        let (local, candidates) = (self.mint(), self.addresses.last());
        let ours = Local {
            credentials: &local,
            fingerprint: self.certificate.fingerprint(),
            candidates: &candidates,
            origin: live.origin,
        };
        let fragment = fragment::restart_answer(&live.transport, &ours);
        self.shard.send(Command::Restart {
            sid: live.info.sid,
            remote: remote.clone(),
            local,
        })?;
        live.remote = remote;
        live.ice_session = new_ice_session();
        Ok(Restarted {
            fragment,
            ice_session: live.ice_session.clone(),
        })
    }

    /// Ends a session. One that ended within the last minute is found, too.
    pub(crate) async fn close(&self, sid: SessionId, epoch: Epoch, reason: EndReason) -> Result<(), Error> {
        loop {
            // First: a caller that gives up while it waits must not leave a session that is told to end, and never hears of it.
            let room = self.shard.room().await?;
            match self.sessions.close(sid, epoch)? {
                Close::Over => return Ok(()),
                Close::Now => return Ok(room.send(Command::Close { sid, reason })?),
                // Made or not, it is settled when the channel says so or closes.
                Close::After(mut created) => {
                    drop(room);
                    if created.wait_for(Option::is_some).await.is_err() {
                        return Err(LookUpError::NotFound.into());
                    }
                }
            }
        }
    }

    /// One session's state, also for a minute after its end.
    pub(crate) async fn get(&self, sid: SessionId) -> Result<Session, Error> {
        let mut changes = self.sessions.changes();
        loop {
            if let Some(last) = self.sessions.ended(sid) {
                return Ok(last);
            }
            let info = self.sessions.info(sid).ok_or(LookUpError::NotFound)?;
            if let Some((_, snapshot)) = self.shard.snapshots(vec![sid]).await?.pop() {
                return Ok(snapshot.to_message(&info));
            }
            // The shard has ended it, and that is on its way here.
            changes.changed().await.map_err(|_| Busy)?;
        }
    }

    /// At most `limit` live sessions after `after`, and the id to go on from if there are more.
    pub(crate) async fn list(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<(Vec<Session>, Option<SessionId>), Error> {
        let (infos, more) = self.sessions.page(after, limit);
        let next = infos.last().filter(|_| more).map(|info| info.sid);
        let snapshots = self
            .shard
            .snapshots(infos.iter().map(|info| info.sid).collect())
            .await?;
        let infos: HashMap<SessionId, Arc<Info>> = infos.into_iter().map(|info| (info.sid, info)).collect();
        let sessions = snapshots
            .iter()
            .filter_map(|(sid, snapshot)| Some(snapshot.to_message(infos.get(sid)?)));
        Ok((sessions.collect(), next))
    }

    /// Our credentials for a new ICE session.
    fn mint(&self) -> Credentials {
        let number = WorkerNumber::new(self.number.load(Ordering::Relaxed));
        let ufrag = Ufrag::mint(&self.ice_keys, number, SHARD, random::bytes());
        Credentials {
            ufrag: ufrag.to_string(),
            pwd: ufrag.password(&self.ice_keys),
        }
    }
}

impl Creation {
    fn digest(&self) -> Digest {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(self.stream.as_str().as_bytes());
        // No stream has it in its name.
        context.update(b"\n");
        context.update(&self.offer);
        context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

async fn answered(mut created: watch::Receiver<Option<Created>>) -> Result<Created, Error> {
    let created = created.wait_for(Option::is_some).await.map_err(|_| Busy)?;
    Ok(created.clone().ok_or(Busy)?)
}

/// Named by 128 random bits.
fn new_ice_session() -> EntityTag {
    let name = format!("{:032x}", u128::from_be_bytes(random::bytes()));
    EntityTag::new(&name).expect("hexadecimal digits make an entity-tag")
}

#[cfg(test)]
pub(crate) mod tests;
