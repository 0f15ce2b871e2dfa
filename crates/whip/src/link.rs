//! `Link` header values (RFC 8288; RFC 9725 §4.6). One header line each.

use std::fmt;

/// A STUN or TURN server for the encoder. Its text holds a credential: there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    uri: String,
    login: Option<Login>,
}

#[derive(Clone, PartialEq, Eq)]
struct Login {
    username: String,
    credential: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not a STUN URI; write stun:host[:port] (RFC 7064)")]
    StunUri,
    #[error("not a TURN URI; write turn:host[:port][?transport=udp] or turns:... (RFC 7065)")]
    TurnUri,
    #[error(
        "a TURN username or credential is empty, or holds a control character, a quote, a backslash, a comma or a semicolon"
    )]
    Login,
}

impl IceServer {
    /// # Errors
    /// [`Error::StunUri`]
    pub fn stun(uri: &str) -> Result<Self, Error> {
        if is_ice_uri(uri, &["stun:", "stuns:"]) {
            Ok(Self {
                uri: uri.to_owned(),
                login: None,
            })
        } else {
            Err(Error::StunUri)
        }
    }

    /// # Errors
    /// [`Error::TurnUri`], and [`Error::Login`] for characters that OBS would split or other clients strip.
    pub fn turn(uri: &str, username: &str, credential: &str) -> Result<Self, Error> {
        if !is_ice_uri(uri, &["turn:", "turns:"]) {
            return Err(Error::TurnUri);
        }
        let is_safe = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| (b' '..0x7F).contains(&b) && !br#"",;\"#.contains(&b))
        };
        if !is_safe(username) || !is_safe(credential) {
            return Err(Error::Login);
        }
        let login = Login {
            username: username.to_owned(),
            credential: credential.to_owned(),
        };
        Ok(Self {
            uri: uri.to_owned(),
            login: Some(login),
        })
    }

    /// The header's value. Order and spacing are fixed: MediaMTX's client cuts it by literal prefixes.
    pub fn header_value(&self) -> String {
        let server = format!("<{}>; rel=\"ice-server\"", self.uri);
        match &self.login {
            None => server,
            Some(Login { username, credential }) => {
                format!("{server}; username=\"{username}\"; credential=\"{credential}\"; credential-type=\"password\"")
            }
        }
    }
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

/// RFC 7064 and RFC 7065 have no `//`; OBS finds its host right after the colon.
fn is_ice_uri(uri: &str, schemes: &[&str]) -> bool {
    let host = schemes.iter().find_map(|scheme| uri.strip_prefix(scheme));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/')) && is_uri(uri)
}

/// What may stand between `<` and `>`, and is not split by readers that cut at `,` and `;`.
fn is_uri(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_graphic() && !br#"<>"\^`{|},;"#.contains(&b))
}
