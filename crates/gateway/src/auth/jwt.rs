//! JSON Web Tokens (RFC 7519): `{"streams": ["live/*"], "exp": 1735689600}`, with `nbf` and `scope` where wanted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::{Bearer, Error, Grant, Pattern, Scope};

/// Clocks of issuers and gateways differ by this much at most.
const LEEWAY: Duration = Duration::from_secs(10);
/// An HMAC's key is at least as long as its hash (RFC 7518 §3.2).
const SECRET_BYTES_MIN: usize = 32;
/// Patterns in one token: beyond any use, and a bound for what a request makes us keep.
const PATTERNS_MAX: usize = 100;

/// Verifies tokens by any of its keys.
#[derive(Default)]
pub(super) struct Jwt {
    verifiers: Vec<Verifier>,
    /// The last secret.
    signer: Option<EncodingKey>,
}

/// One key with its one algorithm, so that a public key is never taken for a secret.
struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

/// Seconds since the Unix epoch may have a fraction (RFC 7519 §2, NumericDate).
#[derive(Deserialize)]
struct Claims {
    streams: Vec<String>,
    exp: f64,
    nbf: Option<f64>,
    /// Words joined by spaces (RFC 8693 §4.2); without `admin`, a publisher's token.
    #[serde(default)]
    scope: String,
}

#[derive(Serialize)]
struct Minted {
    streams: Vec<String>,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
}

/// The word of [`Scope::Admin`] in a token's scope.
const ADMIN: &str = "admin";

/// What a JWT says of itself, as JSON; nobody has checked it. `None` if it is no JWT.
pub fn claims(token: &str) -> Option<String> {
    let payload = token.split('.').nth(1).filter(|_| token.split('.').count() == 3)?;
    let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    serde_json::to_string_pretty(&claims).ok()
}

impl Jwt {
    pub(super) fn add_secret(&mut self, secret: &[u8]) -> Result<(), KeyError> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(KeyError::ShortSecret);
        }
        self.verifiers
            .push(Verifier::new(DecodingKey::from_secret(secret), Algorithm::HS256));
        self.signer = Some(EncodingKey::from_secret(secret));
        Ok(())
    }

    pub(super) fn add_public_key(&mut self, pem: &[u8]) -> Result<(), KeyError> {
        let key = DecodingKey::from_ec_pem(pem).map_err(|_| KeyError::PublicKey)?;
        self.verifiers.push(Verifier::new(key, Algorithm::ES256));
        Ok(())
    }

    pub(super) fn verify(&self, token: &[u8], bearer: Bearer, now: SystemTime) -> Result<Grant, Error> {
        let decoded = self
            .verifiers
            .iter()
            .find_map(|verifier| {
                jsonwebtoken::decode::<serde_json::Value>(token, &verifier.key, &verifier.validation).ok()
            })
            .ok_or(Error::Invalid)?;
        // RFC 7515 §4.1.11: what its issuer calls critical must be understood, and we understand no extension.
        if decoded.header.crit.is_some() {
            return Err(Error::Invalid);
        }
        let claims: Claims = serde_json::from_value(decoded.claims).map_err(|_| Error::Claims)?;
        claims.grant(bearer, now)
    }

    pub(super) fn mint(
        &self,
        streams: &[Pattern],
        scope: Scope,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<String, MintError> {
        let key = self.signer.as_ref().ok_or(MintError::NoSecret)?;
        let exp = since_epoch(now).saturating_add(lifetime).as_secs();
        let claims = Minted {
            streams: streams.iter().map(ToString::to_string).collect(),
            exp,
            scope: match scope {
                Scope::Publish => None,
                Scope::Admin => Some(ADMIN),
            },
        };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, key)
            .expect("claims are JSON, HMAC takes any key"))
    }
}

impl Verifier {
    /// Times are checked by [`Claims::grant`], with a clock that is passed in. A token with an `aud` is for somebody else.
    fn new(key: DecodingKey, algorithm: Algorithm) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        Self { key, validation }
    }
}

impl Claims {
    fn grant(self, bearer: Bearer, now: SystemTime) -> Result<Grant, Error> {
        if self.streams.len() > PATTERNS_MAX {
            return Err(Error::Claims);
        }
        let streams = self
            .streams
            .iter()
            .map(|pattern| pattern.parse())
            .collect::<Result<_, _>>();
        let is_admin = self.scope.split(' ').any(|word| word == ADMIN);
        let scope = if is_admin { Scope::Admin } else { Scope::Publish };
        let grant = Grant {
            scope,
            streams: streams.map_err(|_| Error::Claims)?,
            bearer,
        };
        let (now, leeway) = (since_epoch(now).as_secs_f64(), LEEWAY.as_secs_f64());
        if self.nbf.is_some_and(|nbf| nbf > now + leeway) {
            return Err(Error::Early);
        }
        if self.exp + leeway <= now {
            Err(Error::Expired(grant))
        } else {
            Ok(grant)
        }
    }
}

/// Why a key file's content is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a token secret has at least {SECRET_BYTES_MIN} bytes; make one with `openssl rand -hex 32`")]
    ShortSecret,
    #[error("not a P-256 public key in PEM")]
    PublicKey,
}

/// Why no token can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    #[error("there is no HS256 secret to sign a token with")]
    NoSecret,
}

fn since_epoch(now: SystemTime) -> Duration {
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}
