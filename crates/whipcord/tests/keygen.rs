//! `whipcord keygen`: what it makes, what replaces that, and how processes judge the files they are given.

#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

const WHIPCORD: &str = env!("CARGO_BIN_EXE_whipcord");

fn keygen(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(WHIPCORD);
    command.env_remove("WHIPCORD_CLUSTER_ID").arg("keygen").arg(folder);
    command.args(arguments).output().unwrap()
}

fn made(cluster: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let output = keygen(folder.path(), &["--cluster-id", cluster]);
    assert!(output.status.success(), "{output:?}");
    folder
}

/// What it said when it failed.
#[track_caller]
fn refused(output: Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    text.lines()
        .find(|line| line.starts_with("error: "))
        .unwrap()
        .to_owned()
}

#[track_caller]
fn said(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Not through rustls, which asks less of a certificate: an authority of the same subject as what it signed is none to OpenSSL.
fn openssl(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("openssl").current_dir(folder).args(arguments).output();
    let Ok(output) = output else {
        // Past the capture of a passing test's output.
        let _ = writeln!(std::io::stderr(), "SKIPPED: openssl is not installed");
        return None;
    };
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

fn is_good_to_openssl(folder: &Path) {
    for file in ["worker.pem", "gateway.pem", "controller.pem"] {
        for purpose in ["sslclient", "sslserver"] {
            let strict = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", file];
            let Some(said) = openssl(folder, &strict) else { return };
            assert_eq!(said.trim(), format!("{file}: OK"));
        }
    }
}

#[test]
fn openssl_takes_the_certificates_and_their_ends_are_in_sight() {
    let folder = made("prod");
    is_good_to_openssl(folder.path());
    // `-checkend` fails for what ends before: at eleven months, and at nine years; and at thirteen months, and at eleven years.
    let month = 30 * 24 * 3600;
    for (file, before, after) in [
        ("worker.pem", 11 * month, 13 * month),
        ("ca.pem", 9 * 365 * 24 * 3600, 11 * 365 * 24 * 3600),
    ] {
        let ends_after = |seconds: i64| {
            let mut command = Command::new("openssl");
            command
                .current_dir(folder.path())
                .args(["x509", "-noout", "-in", file, "-checkend", &seconds.to_string()]);
            Some(command.output().ok()?.status.success())
        };
        if let (Some(before), Some(after)) = (ends_after(before), ends_after(after)) {
            assert_eq!((before, after), (true, false), "{file}");
        }
    }
    let subjects: Option<Vec<String>> = ["ca.pem", "worker.pem", "gateway.pem"]
        .map(|file| openssl(folder.path(), &["x509", "-noout", "-subject", "-serial", "-in", file]))
        .into_iter()
        .collect();
    if let Some(subjects) = subjects {
        assert!(
            subjects.iter().all(|subject| subject.contains("Whipcord")),
            "{subjects:?}"
        );
        assert!(subjects[0] != subjects[1] && subjects[1] != subjects[2], "{subjects:?}");
    }
}

#[test]
fn a_rotation_says_when_it_counts_and_no_other_comes_before() {
    let folder = made("whipcord");
    let first = said(keygen(folder.path(), &["--rotate"]));
    assert!(
        first.starts_with("session.keys, ice.keys: key 1 mints from ")
            && first.ends_with(" UTC; bring the files to all processes before"),
        "{first}"
    );
    let at = first.split_once(" from ").unwrap().1.split_once(';').unwrap().0;
    let before = fs::read(folder.path().join("session.keys")).unwrap();
    let second = refused(keygen(folder.path(), &["--rotate"]));
    assert!(
        second.ends_with(&format!(
            "session.keys has a key that mints from {at} on; rotate again after that"
        )),
        "{second}"
    );
    assert_eq!(fs::read(folder.path().join("session.keys")).unwrap(), before);
}

#[test]
fn renewed_certificates_are_of_the_same_authority_and_cluster() {
    let folder = made("prod");
    let file = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let before = ["ca.pem", "ca.key", "worker.pem", "worker.key", "gateway.pem"].map(file);
    let wrong = refused(keygen(folder.path(), &["--renew"]));
    assert!(
        wrong.contains("gateway.pem is of gateway.prod.whipcord.internal") && wrong.contains("--cluster-id"),
        "{wrong}"
    );
    let said = said(keygen(folder.path(), &["--renew", "--cluster-id", "prod"]));
    assert!(
        said.starts_with("gateway.pem, worker.pem, controller.pem: hold until 20"),
        "{said}"
    );
    let after = ["ca.pem", "ca.key", "worker.pem", "worker.key", "gateway.pem"].map(file);
    assert_eq!((&before[0], &before[1]), (&after[0], &after[1]));
    assert!((2..5).all(|n| before[n] != after[n]));
    is_good_to_openssl(folder.path());
    // The key of another authority, of the same subject.
    fs::copy(made("prod").path().join("ca.key"), folder.path().join("ca.key")).unwrap();
    let foreign = refused(keygen(folder.path(), &["--renew", "--cluster-id", "prod"]));
    assert!(
        foreign.contains("ca.pem and ca.key are no authority of whipcord keygen"),
        "{foreign}"
    );
    assert_eq!(file("worker.pem"), after[2]);
}

#[test]
fn a_clusters_name_is_one_dns_label() {
    let folder = tempfile::tempdir().unwrap();
    let sentence = refused(keygen(folder.path(), &["--cluster-id", "bad name!"]));
    assert!(sentence.contains("a cluster's name has 1 to 63"), "{sentence}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Files in place of its own, further arguments, and what it says.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a str);

/// A worker with these files for its own; it never gets so far that it serves.
fn worker(folder: &Path, change: &[(&str, &str)], arguments: &[&str]) -> String {
    let file = |name: &str| -> PathBuf { folder.join(name) };
    let mut command = Command::new(WHIPCORD);
    command.args(["worker", "--gateway", "127.0.0.1:1"]);
    for (flag, name) in [
        ("--ice-keys", "ice.keys"),
        ("--internal-cert", "worker.pem"),
        ("--internal-key", "worker.key"),
        ("--internal-ca", "ca.pem"),
    ] {
        let changed = change.iter().find(|(changed, _)| *changed == flag);
        command.arg(flag).arg(file(changed.map_or(name, |(_, name)| name)));
    }
    // 192.0.2.0/24 is for documentation: no machine has such an address.
    command.args([
        "--grpc",
        "192.0.2.1:0",
        "--admin",
        "127.0.0.1:0",
        "--media",
        "127.0.0.1:0",
    ]);
    let output = command.args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    refused(output)
}

#[test]
fn a_file_for_another_purpose_role_or_cluster_is_refused_with_a_sentence() {
    let folder = made("whipcord");
    let folder = folder.path();
    let read = fs::read_to_string(folder.join("ice.keys")).unwrap();
    let (_, bare) = read.split_once('\n').unwrap();
    fs::write(folder.join("bare.keys"), bare).unwrap();
    let gateways = [("--internal-cert", "gateway.pem"), ("--internal-key", "gateway.key")];
    let table: [Case<'_>; 5] = [
        (
            &[("--ice-keys", "session.keys")],
            &[],
            "session.keys: it holds session keys, and ICE keys are needed here",
        ),
        (
            &[("--ice-keys", "bare.keys")],
            &[],
            "bare.keys: its first line must be `# whipcord ICE keys`",
        ),
        (
            &gateways,
            &[],
            "gateway.pem is the certificate of gateway.whipcord.whipcord.internal, and this is worker.whipcord.whipcord.internal",
        ),
        (
            &[],
            &["--cluster-id", "prod"],
            "and this is worker.prod.whipcord.internal: check --internal-cert and --cluster-id",
        ),
        // All of them are good: the next thing that is wrong.
        (&[], &[], "192.0.2.1:0"),
    ];
    for (change, arguments, expected) in table {
        let sentence = worker(folder, change, arguments);
        assert!(sentence.contains(expected), "{sentence}");
    }
    fs::copy(made("whipcord").path().join("ca.pem"), folder.join("ca.pem")).unwrap();
    let sentence = worker(folder, &[], &[]);
    assert!(
        sentence.contains("worker.pem is no certificate that others here would take"),
        "{sentence}"
    );
}
