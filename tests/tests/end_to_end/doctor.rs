//! `whipcord doctor` against `whipcord standalone`, in good order and in the disorders that it is for.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use whipcord_tests::{
    http,
    whipcord::{Whipcord, binary},
};

/// A line is read by a thread of the test, which a loaded machine may keep waiting.
const LOGGED: Duration = Duration::from_secs(20);

#[test]
fn a_server_in_order_passes_every_step_and_keeps_no_session() {
    let whipcord = Whipcord::standalone();
    let findings = doctor(&whipcord.whip_url("studio"), whipcord.token(), &[]);
    assert_eq!(findings.code, Some(0), "{findings:?}");
    let expected = [
        ("dns", "ok", "loopback"),
        ("tcp", "ok", "connects in"),
        ("tls", "ok", "plain HTTP"),
        ("auth", "ok", "a POST without a token is refused"),
        ("post", "ok", "takes opus and H264, with 1 address"),
        ("stun", "ok", "no NAT lies between"),
        ("end", "ok", "DELETE is answered with 200"),
    ];
    findings.assert(&expected);
    assert!(findings.of("stun")[0].1.starts_with(&whipcord.media().to_string()));
    assert!(whipcord.sessions().is_empty());
    whipcord_tests::eventually("it was a real POST", LOGGED, || {
        whipcord.log().contains("session created").then_some(())
    });
}

#[test]
fn people_read_a_line_for_each_step() {
    let whipcord = Whipcord::standalone();
    let output = command(&whipcord.whip_url("studio"))
        .env("WHIPCORD_TOKEN", whipcord.token())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let starts: Vec<_> = text.lines().map(|line| &line[..12]).collect();
    assert_eq!(
        starts,
        [
            "ok    dns   ",
            "ok    tcp   ",
            "ok    tls   ",
            "ok    auth  ",
            "ok    post  ",
            "ok    stun  ",
            "ok    end   "
        ]
    );
    assert!(output.stderr.is_empty());
}

#[test]
fn a_wrong_token_is_told_in_the_servers_words() {
    let whipcord = Whipcord::standalone();
    let url = whipcord.whip_url("studio");
    let wrong = doctor(&url, "eyJub3QtYS10b2tlbg", &[]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    wrong.assert(&[
        ("dns", "ok", ""),
        ("tcp", "ok", ""),
        ("tls", "ok", ""),
        (
            "auth",
            "fail",
            "401 Unauthorized (the token is not valid here): give a valid",
        ),
        ("post", "skipped", "does not let this client in"),
        ("stun", "skipped", ""),
        ("end", "skipped", ""),
    ]);
    let output = command(&url).env_remove("WHIPCORD_TOKEN").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("FAIL  auth  the server asks for a token: give"), "{text}");

    let stranger = Command::new(binary())
        .args(["doctor", &url, "--token", "Bearer", "eyJsecret"])
        .output()
        .unwrap();
    let stderr = String::from_utf8(stranger.stderr).unwrap();
    assert!(
        stderr.contains("leave out `Bearer`") && !stderr.contains("eyJ"),
        "{stderr}"
    );
}

#[test]
fn a_port_where_nothing_listens_is_refused() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let findings = doctor(&format!("http://{closed}/whip/studio"), "token", &[]);
    assert_eq!(findings.code, Some(1), "{findings:?}");
    findings.assert(&[
        ("dns", "ok", ""),
        ("tcp", "fail", "refuses: nothing listens there"),
        ("tls", "skipped", "no address takes a TCP connection"),
        ("auth", "skipped", ""),
        ("post", "skipped", ""),
        ("stun", "skipped", ""),
        ("end", "skipped", ""),
    ]);
}

#[test]
fn an_advertised_address_that_does_not_answer_fails_and_the_session_is_ended() {
    // TEST-NET-1 (RFC 5737): what lies on the way drops it, rejects it, or has no route.
    let whipcord = Whipcord::standalone_with(&["--advertise", "192.0.2.1"]);
    let findings = doctor(&whipcord.whip_url("studio"), whipcord.token(), &[]);
    assert_eq!(findings.code, Some(1), "{findings:?}");
    findings.assert(&[
        ("dns", "ok", ""),
        ("tcp", "ok", ""),
        ("tls", "ok", ""),
        ("auth", "ok", ""),
        ("post", "ok", ""),
        ("stun", "fail", "set --advertise to the address that encoders reach"),
        ("end", "ok", "200"),
    ]);
    assert!(whipcord.sessions().is_empty());
}

#[test]
fn of_two_advertised_addresses_one_is_enough_and_silence_is_told_from_refusal() {
    let both = ["--advertise", "127.0.0.1", "--advertise", "127.0.0.3"];
    let whipcord = Whipcord::standalone_with(&both);
    let url = whipcord.whip_url("studio");
    let refused = doctor(&url, whipcord.token(), &[]);
    assert_eq!(refused.code, Some(0), "{refused:?}");
    let [one, other] = &refused.of("stun")[..] else {
        panic!("{refused:?}")
    };
    assert!(one.0 == "ok" && other.0 == "warn", "{refused:?}");
    assert!(
        other.1.contains("refuses by ICMP: nothing listens on UDP"),
        "{refused:?}"
    );

    // A firewall that drops is like a socket that nobody reads.
    let firewall = UdpSocket::bind(("127.0.0.3", whipcord.media().port())).unwrap();
    let silent = doctor(&url, whipcord.token(), &[]);
    let stun = silent.of("stun");
    let sentence = format!(
        "UDP {} of 127.0.0.3 is not reachable from here, 5 checks in 3 s",
        whipcord.media().port()
    );
    assert!(stun[1].0 == "warn" && stun[1].1.starts_with(&sentence), "{silent:?}");
    firewall.set_nonblocking(true).unwrap();
    let mut datagrams = 0;
    while firewall.recv(&mut [0; 1500]).is_ok() {
        datagrams += 1;
    }
    assert_eq!(datagrams, 5, "the checks were sent");
}

#[test]
fn a_wrong_public_url_is_found_by_the_location() {
    let whipcord = Whipcord::standalone_with(&["--public-url", "http://127.0.0.9:9"]);
    // What it announces is the public URL; the log has the address.
    let address = whipcord_tests::eventually("it logs its address", LOGGED, || {
        let log = whipcord.log();
        let address = log.split_once("ready http=")?.1.split_once(' ')?.0;
        Some(address.to_owned())
    });
    let findings = doctor(&format!("http://{address}/whip/studio"), whipcord.token(), &[]);
    assert_eq!(findings.code, Some(1), "{findings:?}");
    findings.assert(&[
        ("dns", "ok", ""),
        ("tcp", "ok", ""),
        ("tls", "ok", ""),
        ("auth", "ok", ""),
        ("post", "ok", ""),
        ("post", "warn", "Location leads to http://127.0.0.9:9"),
        ("stun", "ok", ""),
        (
            "end",
            "fail",
            "set --public-url to the URL's origin; this check ended its session where it was made",
        ),
    ]);
    assert!(findings.of("post")[1].1.contains("--trusted-proxy"), "{findings:?}");
    let authorization = format!("Bearer {}", whipcord.token());
    let stats = http::request(
        "GET",
        &format!("http://{address}/whip-stats"),
        &[("Authorization", &authorization)],
        "",
    );
    assert_eq!(stats.status, 200);
    assert!(!stats.body.contains("studio"), "{}", stats.body);
}

#[test]
fn a_certificate_of_no_known_authority_is_refused_until_the_authority_is_named() {
    let pki = Pki::new(&["127.0.0.1"]);
    let whipcord = Whipcord::standalone_with(&pki.arguments());
    let unknown = doctor(whipcord.announced_url(), whipcord.token(), &[]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    let tls = &unknown.of("tls")[0];
    assert!(
        tls.0 == "fail"
            && (tls.1.contains("or name a private authority with --ca") || tls.1.contains("no authority at all")),
        "{unknown:?}"
    );
    assert_eq!(unknown.of("auth")[0].0, "skipped");

    let known = doctor(
        whipcord.announced_url(),
        whipcord.token(),
        &["--ca", pki.authority.to_str().unwrap()],
    );
    assert_eq!(known.code, Some(0), "{known:?}");
    known.assert(&[
        ("dns", "ok", ""),
        ("tcp", "ok", ""),
        (
            "tls",
            "ok",
            "TLS 1.3, with a trusted certificate for 127.0.0.1 that is good for",
        ),
        ("auth", "ok", ""),
        ("post", "ok", ""),
        ("stun", "ok", ""),
        ("end", "ok", ""),
    ]);
}

#[test]
fn a_certificate_of_another_name_is_refused_with_both_names() {
    let pki = Pki::new(&["ingest.example"]);
    let whipcord = Whipcord::standalone_with(&pki.arguments());
    let findings = doctor(
        whipcord.announced_url(),
        whipcord.token(),
        &["--ca", pki.authority.to_str().unwrap()],
    );
    assert_eq!(findings.code, Some(1), "{findings:?}");
    let tls = &findings.of("tls")[0];
    assert!(
        tls.0 == "fail"
            && tls
                .1
                .starts_with("the certificate is for ingest.example, and not for 127.0.0.1: "),
        "{findings:?}"
    );
}

#[test]
fn an_authority_that_is_none_is_refused_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pem");
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "no certificate").unwrap();
    for file in [missing, empty] {
        let output = command("https://127.0.0.1:9/whip/studio")
            .arg("--ca")
            .arg(&file)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(file.to_str().unwrap()), "{stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn one_that_is_interrupted_ends_its_session() {
    let whipcord = Whipcord::standalone_with(&["--advertise", "127.0.0.3"]);
    // Nobody answers, so that it waits.
    let _firewall = UdpSocket::bind(("127.0.0.3", whipcord.media().port())).unwrap();
    let child = command(&whipcord.whip_url("studio"))
        .args(["--token", whipcord.token()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    whipcord_tests::eventually("the session is there", Duration::from_secs(20), || {
        (!whipcord.sessions().is_empty()).then_some(())
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("stun") && text.contains("ok    end "), "{text}");
    assert!(whipcord.sessions().is_empty());
}

/// An authority, and a certificate of it.
struct Pki {
    _folder: TempDir,
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Pki {
    fn new(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [authority, certificate, key] =
            ["authority.pem", "certificate.pem", "key.pem"].map(|name| folder.path().join(name));
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(params, authority_key);
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let server_key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names).unwrap();
        let leaf = leaf.signed_by(&server_key, &issuer).unwrap();
        fs::write(&authority, root.pem()).unwrap();
        fs::write(&certificate, leaf.pem()).unwrap();
        fs::write(&key, server_key.serialize_pem()).unwrap();
        Self {
            _folder: folder,
            authority,
            certificate,
            key,
        }
    }

    fn arguments(&self) -> [&str; 4] {
        let [certificate, key] = [&self.certificate, &self.key].map(|path| path.to_str().unwrap());
        ["--tls-cert", certificate, "--tls-key", key]
    }
}

/// What `--json` printed, as (step, verdict, sentence).
#[derive(Debug)]
struct Findings {
    code: Option<i32>,
    all: Vec<[String; 3]>,
}

impl Findings {
    /// Verdicts and sentences of a step.
    fn of(&self, step: &str) -> Vec<(&str, &str)> {
        let of_step = self.all.iter().filter(|[name, ..]| name == step);
        of_step
            .map(|[_, verdict, sentence]| (verdict.as_str(), sentence.as_str()))
            .collect()
    }

    /// All of them: step, verdict, and words of the sentence.
    #[track_caller]
    fn assert(&self, expected: &[(&str, &str, &str)]) {
        assert_eq!(self.all.len(), expected.len(), "{self:#?}");
        for ([step, verdict, sentence], (s, v, words)) in self.all.iter().zip(expected) {
            assert!(
                step == s && verdict == v && sentence.contains(words),
                "{s} {v} {words}: {self:#?}"
            );
        }
    }
}

fn command(url: &str) -> Command {
    let mut command = Command::new(binary());
    command.args(["doctor", url]);
    command
}

fn doctor(url: &str, token: &str, arguments: &[&str]) -> Findings {
    let output = command(url).args(["--json", "--token", token]).args(arguments).output();
    let Output { status, stdout, stderr } = output.unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(
        !stdout.contains(token) && !stderr.contains(token),
        "the token is shown: {stdout}{stderr}"
    );
    let findings: Vec<Value> =
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    Findings {
        code: status.code(),
        all: findings
            .iter()
            .map(|finding| ["step", "verdict", "sentence"].map(|name| text(finding, name)))
            .collect(),
    }
}
