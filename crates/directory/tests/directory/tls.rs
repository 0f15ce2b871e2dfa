//! Who may enter: certificates on both sides, ACL user and password. None of it ever shows.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use whipcord_directory::{Config, ConfigError, Directory, Lookup};

use crate::{
    bed::{LONG, eventually, hello, introduction, is_live, live, sid},
    server::{Server, free_port},
};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(folder: &Path, name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(folder.join(format!("{name}.pem")), authority.pem()).unwrap();
    authority
}

fn certificate(folder: &Path, name: &str, host: &str, authority: &Authority) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    // OpenSSL takes one that is named as its authority for self-signed.
    params.distinguished_name.push(DnType::CommonName, host);
    let certificate = params.signed_by(&key, authority).unwrap();
    fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

/// Whether it comes to anything; a server that refuses answers nothing else later.
async fn works(config: &Config) -> bool {
    let d = Directory::redis_with(config, &"test".parse().unwrap(), LONG).unwrap();
    // It waits for the first connection, or learns that there is none.
    d.lookup(&"cam".parse().unwrap(), sid(1)).await != Lookup::Unknown
}

#[tokio::test]
async fn certificates_are_asked_for_on_both_sides() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let ours = authority(folder.path(), "ca");
    let theirs = authority(folder.path(), "other");
    certificate(folder.path(), "server", "localhost", &ours);
    certificate(folder.path(), "client", "gateway", &ours);
    certificate(folder.path(), "stranger", "gateway", &theirs);
    let port = free_port();
    let file = |name: &str| path(name).to_str().unwrap().to_owned();
    let server = Server::with(
        "redis-server",
        &[
            "--tls-port",
            &port.to_string(),
            "--port",
            "0",
            "--tls-cert-file",
            &file("server.pem"),
            "--tls-key-file",
            &file("server.key"),
            "--tls-ca-cert-file",
            &file("ca.pem"),
        ],
    )
    .await;
    let good = Config {
        ca: Some(path("ca.pem")),
        cert: Some(path("client.pem")),
        key: Some(path("client.key")),
        ..Config::new(format!("rediss://localhost:{port}").parse().unwrap())
    };
    eventually(async || works(&good).await).await;
    let named = Config {
        url: format!("rediss://127.0.0.1:{port}").parse().unwrap(),
        ..good.clone()
    };
    let stranger = Config {
        cert: Some(path("stranger.pem")),
        key: Some(path("stranger.key")),
        ..good.clone()
    };
    let nobody = Config {
        cert: None,
        key: None,
        ..good.clone()
    };
    let trusting = Config {
        ca: Some(path("other.pem")),
        ..good.clone()
    };
    let clear = Config::new(format!("redis://localhost:{port}").parse().unwrap());
    for (why, config) in [
        ("the certificate is for another name", named),
        ("the client's is another authority's", stranger),
        ("the client has none", nobody),
        ("the server's is another authority's", trusting),
        ("it does not speak in the clear", clear),
    ] {
        assert!(!works(&config).await, "{why}");
    }
    assert!(works(&good).await);
    drop(server);
    wrong_files_are_named(folder.path(), &good);
}

/// At the start, by the flag.
fn wrong_files_are_named(folder: &Path, good: &Config) {
    let broken = Config {
        ca: Some(folder.join("server.key")),
        cert: Some(folder.join("ca.pem")),
        key: Some(folder.join("ca.pem")),
        ..good.clone()
    };
    let refused = Directory::redis_with(&broken, &"test".parse().unwrap(), LONG).map(drop);
    assert!(matches!(refused, Err(ConfigError::Certificates(_))), "{refused:?}");
    let missing = Config {
        ca: Some(folder.join("nothing")),
        ..good.clone()
    };
    let refused = Directory::redis_with(&missing, &"test".parse().unwrap(), LONG).map(drop);
    assert!(
        matches!(refused, Err(ConfigError::Read { flag: "--redis-ca", .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_user_with_a_password_enters_and_a_changed_one_is_read_again() {
    let server = Server::with("redis-server", &["--requirepass", "of-the-default-user"]).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("password");
    let config = Config {
        user: Some("whipcord".to_owned()),
        password_file: Some(file.clone()),
        ..server.config()
    };
    assert!(!works(&server.config()).await, "without a password");
    fs::write(&file, "planted-password\n").unwrap();
    assert!(!works(&config).await, "there is no such user yet");

    let d = Directory::redis_with(&config, &"test".parse().unwrap(), LONG).unwrap();
    let client = redis::Client::open(format!(
        "unix://{}?pass=of-the-default-user",
        server.folder().join("socket").display()
    ));
    let mut connection = client.unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER")
        .arg("whipcord")
        .arg("on")
        .arg(">planted-password")
        .arg("~whipcord:1:*");
    // All that it needs.
    user.arg("-@all")
        .arg("+@read")
        .arg("+@write")
        .arg("+@scripting")
        .arg("+@connection")
        .arg("+time");
    let () = user.query_async(&mut connection).await.unwrap();
    eventually(async || d.lookup(&"cam".parse().unwrap(), sid(1)).await != Lookup::Unknown).await;
    hello(&d, 1).await;
    let cam = live(&d, 1, 1, "cam").await;
    assert!(is_live(&d, &cam).await);
    d.bury(introduction(1).incarnation).await;

    let shown = format!("{config:?} {d:?} {}", config.url);
    assert!(
        !shown.contains("planted-password") && shown.contains("unix://"),
        "{shown}"
    );
}
