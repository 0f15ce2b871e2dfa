//! `whipcord doctor`: goes the way of an encoder, step by step, and says of each what is found and what to do.
//!
//! [`run`] makes the requests; what is said of their outcomes are functions beside each step, which do nothing else.

pub mod answer;
mod dns;
mod offer;
mod place;
mod probe;
mod report;
mod session;
pub mod stun;
mod tcp;
mod tls;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Instant};

use reqwest::{Certificate, StatusCode};
use rustls::pki_types::{
    CertificateDer,
    pem::{self, PemObject as _},
};
use tokio_util::sync::CancellationToken;

use self::{
    answer::Answer,
    offer::Own,
    place::Place,
    report::Report,
    session::{Anonymous, Leads},
    stun::{Check, NoCheck},
};
pub use self::{
    offer::OwnError,
    report::{Finding, Step, Verdict},
};
use crate::{
    token,
    whip::{Endpoint, HttpError, Session},
};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// WHIP endpoint as the encoder has it, such as https://example.com/whip/studio. Whoever publishes the stream now may lose it.
    pub url: String,
    #[command(flatten)]
    pub token: token::Config,
    /// PEM file with the certificate of a private authority to trust, besides those of this machine.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Refused without being quoted, as `clap` would: the second word of `--token Bearer TOKEN` arrives here.
    #[arg(hide = true)]
    pub surplus: Vec<std::ffi::OsString>,
}

/// Why nothing could be examined.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    #[error(transparent)]
    Token(#[from] token::ReadError),
    #[error("there are more arguments than URL; try --help")]
    Surplus,
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("cannot read the authority {}: {error}", path.display())]
    Authority { path: PathBuf, error: io::Error },
    #[error("the authority {} is no certificate in PEM form: {error}", path.display())]
    NoPem { path: PathBuf, error: pem::Error },
    #[error("the authority {} holds no certificate, or one that cannot be read", .0.display())]
    NoCertificate(PathBuf),
    #[error(transparent)]
    Own(#[from] OwnError),
    #[error(transparent)]
    Check(#[from] NoCheck),
    #[error("stopped before all was seen")]
    Stopped,
}

/// Takes all steps, as far as they can be taken, and tells each finding at once. Ends the session that it made, also when stopped.
pub async fn run(
    config: &Config,
    stop: &CancellationToken,
    tell: impl FnMut(&Finding),
) -> Result<Vec<Finding>, DoctorError> {
    let token = config.token.read()?;
    if !config.surplus.is_empty() {
        return Err(DoctorError::Surplus);
    }
    let authorities = authorities(config)?;
    let certificates = authorities.iter().map(|der| Certificate::from_der(der));
    let certificates: Result<Vec<_>, _> = certificates.collect();
    let certificates = certificates.map_err(HttpError::Client)?;
    let examination = Examination {
        endpoint: Endpoint::trusting(&config.url, token, certificates)?,
        authorities,
        own: Own::fresh()?,
    };
    let mut report = Report::new(tell);
    examination.take(&mut report, stop).await?;
    Ok(report.into_findings())
}

fn authorities(config: &Config) -> Result<Vec<CertificateDer<'static>>, DoctorError> {
    let Some(path) = config.ca.clone() else {
        return Ok(Vec::new());
    };
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(error) => return Err(DoctorError::Authority { path, error }),
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        // Each must be one that a chain can end in.
        Ok(certificates) if !certificates.is_empty() && certificates.iter().all(is_anchor) => Ok(certificates),
        Ok(_) => Err(DoctorError::NoCertificate(path)),
        Err(error) => Err(DoctorError::NoPem { path, error }),
    }
}

fn is_anchor(certificate: &CertificateDer<'static>) -> bool {
    webpki::anchor_from_trusted_cert(certificate).is_ok()
}

struct Examination {
    endpoint: Endpoint,
    authorities: Vec<CertificateDer<'static>>,
    own: Own,
}

impl Examination {
    async fn take<F: FnMut(&Finding)>(
        &self,
        report: &mut Report<F>,
        stop: &CancellationToken,
    ) -> Result<(), DoctorError> {
        let reached = tokio::select! {
            reached = self.reach(report) => reached,
            () = stop.cancelled() => return Err(DoctorError::Stopped),
        };
        let server = match reached {
            Ok(server) => server,
            Err(failed) => {
                report.skip_after(failed);
                return Ok(());
            }
        };
        let (session, answer) = match self.post(report, stop).await? {
            Ok(session) => session,
            Err(failed) => {
                report.skip_after(failed);
                return Ok(());
            }
        };
        // From here on the server holds a session: whatever happens, it is ended.
        let probed = tokio::select! {
            probed = self.probe(answer, server, report) => probed,
            () = stop.cancelled() => Err(DoctorError::Stopped),
        };
        self.end(&session, report).await;
        probed
    }

    /// Steps 1 to 3. Returns how far the server can be reached from.
    async fn reach<F: FnMut(&Finding)>(&self, report: &mut Report<F>) -> Result<Place, Step> {
        let (host, port) = self.endpoint.address();
        let found = dns::resolve(&host, port).await;
        report.add([dns::said(&host, &found)])?;
        let addresses = found.unwrap_or_default();
        let connected = tcp::connect(&addresses).await;
        report.add(tcp::said(&connected))?;
        let reached: SocketAddr = tcp::reached(&connected).ok_or(Step::Tcp)?;
        let farthest = addresses.iter().map(|address| Place::of(address.ip())).max();
        let server = farthest.unwrap_or(Place::Public);
        report.add([if self.endpoint.url().scheme() == "https" {
            let outcome = tls::handshake(&host, reached, &self.authorities).await;
            tls::said(&host, &outcome)
        } else {
            tls::said_of_plain(server)
        }])?;
        Ok(server)
    }

    /// Steps 4 and 5. `Ok(Err)` if there is no session. Its offer is not broken off once it is on its way: the session that it
    /// makes could not be ended.
    async fn post<F: FnMut(&Finding)>(
        &self,
        report: &mut Report<F>,
        stop: &CancellationToken,
    ) -> Result<Result<(Session, Option<Answer>), Step>, DoctorError> {
        let asked = tokio::select! {
            asked = self.ask_as_nobody() => asked,
            () = stop.cancelled() => return Err(DoctorError::Stopped),
        };
        let (anonymous, options) = match asked {
            Ok(asked) => asked,
            Err(dead) => {
                let _ = report.add([Step::Auth.fail(dead.to_string())]);
                return Ok(Err(Step::Auth));
            }
        };
        let started = Instant::now();
        let posted = self.endpoint.post(&self.own.offer()).await;
        let took = started.elapsed();
        let has_token = self.endpoint.has_token();
        if let Err(failed) = report.add(session::said_of_auth(&options, &anonymous, has_token, &posted)) {
            return Ok(Err(failed));
        }
        let answer = posted.as_ref().ok().map(|session| Answer::parse(&session.answer));
        // What fails here may be the Location: there is a session to be probed, and ended, all the same.
        let _ = report.add(session::said_of_post(
            self.endpoint.url(),
            &posted,
            answer.as_ref(),
            took,
        ));
        let answer = answer.and_then(Result::ok);
        Ok(posted.map(|session| (session, answer)).map_err(|_| Step::Post))
    }

    /// A POST and an OPTIONS without the token. The POST has no offer: a server that asks for no token must not give an anonymous
    /// session, and take the stream from its publisher. If it does all the same, that is ended. `Err` if nothing answers.
    async fn ask_as_nobody(&self) -> Result<(Anonymous, Result<StatusCode, HttpError>), HttpError> {
        let nobody = self.endpoint.anonymous();
        let posted = match nobody.post("").await {
            Ok(session) => {
                // That it was made is what matters.
                let _ = nobody.delete_carefully(&session.url).await;
                Ok(())
            }
            Err(error) => Err(error),
        };
        let anonymous = Anonymous::of(posted)?;
        Ok((anonymous, nobody.options().await))
    }

    /// Step 6.
    async fn probe<F: FnMut(&Finding)>(
        &self,
        answer: Option<Answer>,
        server: Place,
        report: &mut Report<F>,
    ) -> Result<(), DoctorError> {
        let Some(answer) = answer else {
            report.skip(Step::Stun, Step::Post);
            return Ok(());
        };
        let check = Check::new(&self.own.ufrag, &answer.ufrag, &answer.pwd, offer::random()?)?;
        let outcomes = probe::probe(&Arc::new(check), &answer.candidates, server).await;
        // The session is ended whether media would get through or not.
        let _ = report.add(probe::said(&outcomes, server));
        Ok(())
    }

    /// Step 7.
    async fn end<F: FnMut(&Finding)>(&self, session: &Session, report: &mut Report<F>) {
        let leads = Leads::of(&session.asked, &session.url);
        let started = Instant::now();
        let ended = self.endpoint.delete_carefully(&session.url).await;
        let took = started.elapsed();
        let cleaned = if leads != Leads::Here && ended.is_err() {
            // The path may still be right where the session was made.
            let mut here = session.asked.clone();
            here.set_path(session.url.path());
            here.set_query(session.url.query());
            Some(self.endpoint.delete_carefully(&here).await.is_ok())
        } else {
            None
        };
        let _ = report.add([session::said_of_end(&leads, &ended, took, cleaned)]);
    }
}
