use std::time::UNIX_EPOCH;

use http::HeaderValue;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::*;

const SECRET: [u8; 32] = [0x5a; 32];
const NOW: u64 = 1_800_000_000;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn headers(values: &[&str]) -> HeaderMap {
    values
        .iter()
        .map(|value| {
            (
                header::AUTHORIZATION,
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        })
        .collect()
}

fn authorize(authority: &Authority, token: &str) -> Result<Vec<String>, Error> {
    let grant = authority.authorize(&headers(&[&format!("Bearer {token}")]), now())?;
    Ok(grant.streams.iter().map(ToString::to_string).collect())
}

fn signed(claims: &serde_json::Value) -> String {
    jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        claims,
        &EncodingKey::from_secret(&SECRET),
    )
    .unwrap()
}

#[test]
fn the_header_is_read_as_http_says() {
    let authority = Authority::ephemeral(SECRET);
    let token = authority
        .mint(&[Pattern::All], Scope::Publish, Duration::from_secs(60), now())
        .unwrap();
    let check = |values: &[&str]| authority.authorize(&headers(values), now()).map(|_| ());
    for scheme in ["Bearer ", "bearer ", "BEARER ", "Bearer    "] {
        assert_eq!(check(&[&format!("{scheme}{token}")]), Ok(()), "{scheme:?}");
    }
    assert_eq!(check(&[]), Err(Error::Missing));
    assert_eq!(check(&["Basic dTpw"]), Err(Error::Missing));
    assert_eq!(check(&["Bearer"]), Err(Error::Malformed));
    assert_eq!(check(&["Bearer "]), Err(Error::Malformed));
    assert_eq!(
        check(&[&format!("Bearer {token}"), &format!("Bearer {token}")]),
        Err(Error::Malformed)
    );
    assert_eq!(check(&["Bearer undefined"]), Err(Error::Invalid));
    assert_eq!(check(&["Bearer a:b?c&d=\u{e9}"]), Err(Error::Invalid));
}

#[test]
fn a_minted_token_grants_its_streams_until_it_expires() {
    let authority = Authority::ephemeral(SECRET);
    let patterns = ["live/*".parse().unwrap(), "cam".parse().unwrap()];
    let token = authority
        .mint(&patterns, Scope::Publish, Duration::from_secs(60), now())
        .unwrap();
    assert_eq!(
        authorize(&authority, &token),
        Ok(vec!["live/*".to_owned(), "cam".to_owned()])
    );
    let bearer = headers(&[&format!("Bearer {token}")]);
    let after = |seconds| authority.authorize(&bearer, now() + Duration::from_secs(seconds));
    assert!(after(69).is_ok(), "10 s of leeway");
    assert!(matches!(after(70), Err(Error::Expired(grant)) if grant.streams == patterns));
    assert_eq!(authorize(&Authority::ephemeral([1; 32]), &token), Err(Error::Invalid));
}

#[test]
fn claims_are_checked() {
    let authority = Authority::ephemeral(SECRET);
    let table = [
        (json!({"streams": ["cam"], "exp": NOW + 1}), Ok(vec!["cam".to_owned()])),
        (
            json!({"streams": ["cam"], "exp": NOW as f64 + 1.5, "nbf": NOW, "iss": "x"}),
            Ok(vec!["cam".to_owned()]),
        ),
        (json!({"streams": [], "exp": NOW + 1}), Ok(vec![])),
        (
            json!({"streams": ["cam"], "exp": NOW + 1, "nbf": NOW + 11}),
            Err(Error::Early),
        ),
        (json!({"streams": ["cam"]}), Err(Error::Claims)),
        (json!({"exp": NOW + 1}), Err(Error::Claims)),
        (json!({"streams": ["../etc"], "exp": NOW + 1}), Err(Error::Claims)),
        (json!({"streams": "cam", "exp": NOW + 1}), Err(Error::Claims)),
        (json!({"streams": ["cam"], "exp": "soon"}), Err(Error::Claims)),
        (
            json!({"streams": ["cam"], "exp": NOW + 1, "aud": "another-service"}),
            Err(Error::Invalid),
        ),
        (json!({"streams": vec!["cam"; 101], "exp": NOW + 1}), Err(Error::Claims)),
    ];
    for (claims, expected) in table {
        assert_eq!(authorize(&authority, &signed(&claims)), expected, "{claims}");
    }
}

#[test]
fn a_header_that_must_be_understood_and_is_not_makes_the_token_invalid() {
    let authority = Authority::ephemeral(SECRET);
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["exp".to_owned()]);
    let claims = json!({"streams": ["cam"], "exp": NOW + 1});
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&SECRET)).unwrap();
    assert_eq!(authorize(&authority, &token), Err(Error::Invalid));
}

#[test]
fn the_scope_admin_sees_all_and_publishes_its_own() {
    let authority = Authority::ephemeral(SECRET);
    let token = signed(&json!({"streams": ["cam"], "exp": NOW + 1, "scope": "publish admin"}));
    let grant = authority
        .authorize(&headers(&[&format!("Bearer {token}")]), now())
        .unwrap();
    let other = "other".parse().unwrap();
    assert!(grant.may_see(&other) && !grant.may_publish(&other));
    assert_eq!(grant.only_stream().map(ToString::to_string), Some("cam".to_owned()));
}

#[test]
fn no_algorithm_is_taken_for_another() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("public.pem");
    std::fs::write(&path, pair.public_key_pem()).unwrap();
    let config = Config {
        token_public_key_file: vec![path],
        ..Config::default()
    };
    let authority = Authority::from_config(&config).unwrap();

    let claims = json!({"streams": ["cam"], "exp": NOW + 1});
    let es256 = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &es256).unwrap();
    assert_eq!(authorize(&authority, &token), Ok(vec!["cam".to_owned()]));

    let confused = EncodingKey::from_secret(pair.public_key_pem().as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &confused).unwrap();
    assert_eq!(authorize(&authority, &token), Err(Error::Invalid));
    // {"alg":"none"}
    let payload = signed(&claims).split('.').nth(1).unwrap().to_owned();
    assert_eq!(
        authorize(&authority, &format!("eyJhbGciOiJub25lIn0.{payload}.")),
        Err(Error::Invalid)
    );
    assert_eq!(
        authority.mint(&[], Scope::Publish, Duration::ZERO, now()),
        Err(MintError::NoSecret)
    );
}

#[test]
fn static_keys_are_any_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(
        &path,
        "# cameras\n\na:b?c&d=e#f%20g0123 live/*  cam\r\nanother-key-of-16 *\n",
    )
    .unwrap();
    let config = Config {
        stream_keys_file: Some(path.clone()),
        ..Config::default()
    };
    let authority = Authority::from_config(&config).unwrap();
    assert_eq!(
        authorize(&authority, "a:b?c&d=e#f%20g0123"),
        Ok(vec!["live/*".to_owned(), "cam".to_owned()])
    );
    assert_eq!(authorize(&authority, "another-key-of-16"), Ok(vec!["*".to_owned()]));
    assert_eq!(authorize(&authority, "another-key-of-17"), Err(Error::Invalid));

    let table = [
        (
            "planted-secret-1 cam\nplanted-secret-1 cam2\n",
            "line 2: this key was given before",
        ),
        (
            "planted-secret-1\n",
            "line 1: a key and a stream pattern are needed: `KEY PATTERN [PATTERN...]`",
        ),
        ("planted cam\n", "line 1: a stream key has at least 16 characters"),
        (
            "planted-secret-1 ..\n",
            "line 1: a segment of a stream name must not be '.' or '..'",
        ),
    ];
    for (file, expected) in table {
        std::fs::write(&path, file).unwrap();
        let error = Authority::from_config(&config).unwrap_err().to_string();
        assert_eq!(error, format!("{}: {expected}", path.display()));
    }
}

#[test]
fn bad_key_files_are_refused_with_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let config = Config {
        token_secret_file: vec![path.clone()],
        ..Config::default()
    };
    assert!(
        Authority::from_config(&config)
            .unwrap_err()
            .to_string()
            .starts_with("cannot read /")
    );
    std::fs::write(&path, "short\n").unwrap();
    assert!(
        Authority::from_config(&config)
            .unwrap_err()
            .to_string()
            .contains("at least 32 bytes")
    );
    let config = Config {
        token_public_key_file: vec![path],
        ..Config::default()
    };
    assert!(
        Authority::from_config(&config)
            .unwrap_err()
            .to_string()
            .contains("not a P-256 public key")
    );
}
