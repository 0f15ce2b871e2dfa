//! `application/trickle-ice-sdpfrag` (RFC 8840): the body of a PATCH, and of the answer to an ICE restart.
//!
//! There is one transport, so `m=` lines and mids associate nothing and are skipped. Candidates are recognised, and not kept: a
//! lite agent sends no checks (RFC 8445 §2.5). Must not know entity-tags.

use crate::{
    Credentials, Refusal,
    answer::{Local, Text},
    ice,
    negotiate::Transport,
    sdp,
};

/// Bytes of one fragment: 100 candidates with all of Chromium's extensions take 15 KiB.
pub const FRAGMENT_BYTES_MAX: usize = 16 * 1024;

/// A parsed PATCH body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    pub credentials: Option<Credentials>,
    pub end_of_candidates: bool,
}

/// What a fragment asks of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// More candidates of the same ICE session.
    Trickle,
    /// A new ICE session with these credentials (RFC 9725 §4.3.3).
    Restart(Credentials),
}

impl Fragment {
    /// Parses at most [`FRAGMENT_BYTES_MAX`] bytes. Attribute names may have any case (RFC 8840 §9.2), credentials may
    /// stand at either level, unknown lines are skipped.
    ///
    /// # Errors
    /// A [`Refusal`] that is malformed or too large.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let (mut ufrag, mut pwd) = (None, None);
        let mut end_of_candidates = false;
        let mut has_candidate = false;
        for attribute in sdp::lines(body, FRAGMENT_BYTES_MAX)?
            .iter()
            .filter_map(sdp::Line::attribute)
        {
            match attribute.name.to_ascii_lowercase().as_str() {
                "ice-ufrag" => ufrag = ufrag.or(Some(attribute.value)),
                "ice-pwd" => pwd = pwd.or(Some(attribute.value)),
                "end-of-candidates" => end_of_candidates = true,
                "candidate" => has_candidate |= ice::is_candidate(attribute.value),
                _ => {}
            }
        }
        let credentials = match (ufrag, pwd) {
            (Some(ufrag), Some(pwd)) => Some(Credentials::parse(ufrag, pwd)?),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(Refusal::HalfCredentials),
        };
        if credentials.is_none() && !has_candidate && !end_of_candidates {
            return Err(Refusal::NothingInFragment);
        }
        Ok(Self {
            credentials,
            end_of_candidates,
        })
    }

    /// Trickle or restart, by the credentials and by nothing else (RFC 9725 §4.3.3). A fragment without credentials
    /// means the current ICE session.
    ///
    /// # Errors
    /// [`Refusal::HalfRestart`]: a restart changes the ufrag and the password (RFC 8839 §4.4.1.1.1).
    pub fn request(&self, current: &Credentials) -> Result<Request, Refusal> {
        let Some(credentials) = &self.credentials else {
            return Ok(Request::Trickle);
        };
        match (credentials.ufrag == current.ufrag, credentials.pwd == current.pwd) {
            (true, true) => Ok(Request::Trickle),
            (false, false) => Ok(Request::Restart(credentials.clone())),
            (true, false) | (false, true) => Err(Refusal::HalfRestart),
        }
    }
}

/// The body of a 200 to an ICE restart (RFC 9725 §4.3.3): our new credentials, all candidates, and the answer's
/// `a=ice-lite` and `a=ice-options` again. CRLF lines, < 8192 bytes.
pub fn restart_answer(transport: &Transport, local: &Local<'_>) -> String {
    let mut text = Text::default();
    if !transport.mids.is_empty() {
        text.line(format_args!("a=group:BUNDLE {}", transport.mids.join(" ")));
    }
    text.ice_session(transport);
    text.credentials(local.credentials);
    // RFC 8840 §4.4: what stands here but the mid means nothing, and is always this.
    text.line(format_args!("m={} 9 RTP/AVP 0", transport.tagged_media));
    if !transport.tagged_mid.is_empty() {
        text.line(format_args!("a=mid:{}", transport.tagged_mid));
    }
    text.candidates(&local.ordered_candidates());
    text.0
}
