//! What the crates may depend on and how their files begin, held by looking at the workspace itself.

#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use whipcord_tests::root;

/// Crates of the workspace, and which others of the workspace each may use outside its tests.
const OWN: [(&str, &[&str]); 14] = [
    ("whip", &[]),
    ("identity", &[]),
    ("media", &[]),
    ("peer", &["whip"]),
    ("udp", &["identity"]),
    ("proto", &["identity", "whip", "peer"]),
    ("directory", &["identity"]),
    ("gateway", &["whip", "identity", "proto", "directory"]),
    ("worker", &["whip", "identity", "peer", "media", "udp", "proto"]),
    ("client", &[]),
    ("controller", &["identity", "proto"]),
    (
        "whipcord",
        &["identity", "directory", "gateway", "worker", "controller", "client"],
    ),
    ("tests", &[]),
    ("bench", &LIBRARIES),
];

const LIBRARIES: [&str; 10] = [
    "whip",
    "identity",
    "media",
    "peer",
    "udp",
    "proto",
    "directory",
    "gateway",
    "worker",
    "client",
];

/// Crates that do no I/O, read no clock and start nothing.
const PURE: [&str; 4] = ["whip", "identity", "peer", "media"];

/// Crates from elsewhere that only some of ours may use outside their tests: one crate per outside world.
const RESERVED: [(&str, &[&str]); 3] = [
    ("redis", &["directory"]),
    ("kube", &["controller"]),
    ("webrtc", &["client", "bench"]),
];

/// aws-lc-rs is the one provider of cryptography, rustls the one TLS.
const BANNED: [&str; 5] = ["ring", "openssl", "openssl-sys", "native-tls", "mbedtls"];

/// Licences that ask for no more than their text and a notice.
const LICENCES: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn crates_use_only_the_crates_they_may() {
    for package in packages() {
        let name = short(package["name"].as_str().unwrap());
        let (_, may) = OWN
            .iter()
            .find(|(own, _)| *own == name)
            .unwrap_or_else(|| panic!("{name} is not in the table"));
        for used in dependencies(&package) {
            let own = used.starts_with("whipcord").then(|| short(&used));
            assert!(own.is_none_or(|own| may.contains(&own)), "{name} must not use {used}");
            let reserved = RESERVED.iter().find(|(reserved, _)| *reserved == used);
            assert!(
                reserved.is_none_or(|(_, by)| by.contains(&name)),
                "{name} must not use {used}"
            );
        }
    }
}

#[test]
fn every_shared_dependency_has_a_user() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, shared) = workspace.split_once("[workspace.dependencies]\n").unwrap();
    let shared = shared.lines().take_while(|line| !line.starts_with('['));
    let shared = shared.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name);
    let members: Vec<String> = packages()
        .iter()
        .map(|package| fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap())
        .collect();
    let used = |name: &&str| {
        let ways = [format!("\n{name}.workspace = "), format!("\n{name} = {{ workspace = ")];
        members.iter().any(|member| ways.iter().any(|way| member.contains(way)))
    };
    let unused: Vec<&str> = shared.filter(|name| !used(name)).collect();
    assert!(
        unused.is_empty(),
        "in [workspace.dependencies], used by nobody: {unused:?}"
    );
}

#[test]
fn pure_crates_reach_no_runtime() {
    for name in PURE {
        let tree = tree(&[
            "--package",
            &format!("whipcord-{name}"),
            "--edges",
            "normal",
            "--format",
            "{p}",
        ]);
        let found = tree
            .lines()
            .find(|line| ["tokio", "mio", "socket2", "async-std", "smol"].contains(&first(line)));
        assert_eq!(found, None, "{name} must not use a runtime or sockets");
    }
}

#[test]
fn pure_crates_are_linted_for_purity() {
    let lines = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let workspace = lines(root().join("clippy.toml"));
    let first = lines(root().join("crates").join(PURE[0]).join("clippy.toml"));
    // A crate's clippy.toml takes the place of the workspace's.
    assert!(
        first.is_superset(&workspace),
        "crates/{}/clippy.toml must repeat the workspace's",
        PURE[0]
    );
    for banned in [
        "Instant::now",
        "SystemTime::now",
        "thread::spawn",
        "net::UdpSocket",
        "fs::File",
    ] {
        assert!(
            first.iter().any(|line| line.contains(banned)),
            "clippy.toml of pure crates must forbid {banned}"
        );
    }
    for name in PURE {
        assert_eq!(
            lines(root().join("crates").join(name).join("clippy.toml")),
            first,
            "crates/{name}/clippy.toml"
        );
    }
}

#[test]
fn cryptography_has_one_provider() {
    let tree = tree(&["--workspace", "--target", "all", "--format", "{p}"]);
    assert_eq!(tree.lines().find(|line| BANNED.contains(&first(line))), None);
}

#[test]
fn licences_are_allowed() {
    for line in tree(&["--workspace", "--target", "all", "--format", "{p}\t{l}"])
        .lines()
        .filter(|line| !line.is_empty())
    {
        let (package, licence) = line.split_once('\t').unwrap();
        let licence = licence.trim_end_matches(" (*)");
        assert!(allowed(licence), "{package}: licence {licence:?}");
    }
}

#[test]
fn licence_expressions_are_understood() {
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/Apache-2.0",
        "(MIT OR GPL-2.0) AND ISC",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(allowed(good), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT AND GPL-2.0) OR MPL-2.0",
        "ISC AND (GPL-2.0 OR LGPL-3.0)",
    ] {
        assert!(!allowed(bad), "{bad}");
    }
}

#[test]
fn every_crate_and_module_folder_says_what_it_is() {
    let mut silent = Vec::new();
    for package in packages() {
        let folder = Path::new(package["manifest_path"].as_str().unwrap())
            .parent()
            .unwrap()
            .join("src");
        let roots = ["lib.rs", "main.rs"]
            .map(|name| folder.join(name))
            .into_iter()
            .filter(|file| file.exists());
        let files = roots.chain(folders(&folder).into_iter().map(|folder| folder.with_extension("rs")));
        silent.extend(files.filter(|file| !fs::read_to_string(file).unwrap_or_default().starts_with("//! ")));
    }
    assert!(silent.is_empty(), "begin with no //! that says what it is: {silent:#?}");
}

/// A longer one has a second idea in it.
const LINES_MAX: usize = 400;

#[test]
fn no_file_is_long_enough_for_two_ideas() {
    let listed = Command::new("git")
        .current_dir(root())
        .args(["ls-files", "-z", "--", "*.rs", "*.py", "*.js"])
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let files = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<&str> = files.split_terminator('\0').collect();
    assert!(files.len() > 100, "{} files", files.len());
    // One that was removed and not yet committed is listed still.
    let lines = |file: &str| fs::read_to_string(root().join(file)).map_or(0, |text| text.lines().count());
    let long: Vec<_> = files.iter().filter(|file| lines(file) > LINES_MAX).collect();
    assert!(long.is_empty(), "more than {LINES_MAX} lines: {long:#?}");
}

/// Only whoever runs `make chaos-without` would learn that one has not kept up with the code.
#[test]
fn every_patch_that_takes_a_mechanism_out_applies_and_names_its_row() {
    let rows = cargo(&[
        "test",
        "--package",
        "whipcord-tests",
        "--test",
        "end_to_end",
        "--",
        "--list",
    ]);
    let patches = fs::read_dir(root().join("tests/without")).unwrap();
    let patches: Vec<_> = patches.map(|file| file.unwrap().path()).collect();
    assert!(!patches.is_empty());
    for patch in patches {
        let text = fs::read_to_string(&patch).unwrap();
        let row = text.lines().next().and_then(|line| line.strip_prefix("Row: "));
        let row = row.and_then(|row| row.split(' ').next()).unwrap_or_default();
        assert!(rows.contains(&format!("{row}: test")), "{}: {row:?}", patch.display());
        let check = Command::new("git")
            .current_dir(root())
            .args(["apply", "--check"])
            .arg(&patch)
            .output()
            .unwrap();
        assert!(
            check.status.success(),
            "{}: {}",
            patch.display(),
            String::from_utf8_lossy(&check.stderr)
        );
    }
}

/// The packages of the workspace as cargo describes them.
fn packages() -> Vec<Value> {
    let mut metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"])).unwrap();
    metadata["packages"].as_array_mut().map(std::mem::take).unwrap()
}

/// The names of what a package uses outside its tests.
fn dependencies(package: &Value) -> Vec<String> {
    let all = package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|used| used["kind"] != "dev");
    all.map(|used| used["name"].as_str().unwrap().to_owned()).collect()
}

/// What is really built, features considered; one line per package, the trees of two packages parted by an empty one.
fn tree(arguments: &[&str]) -> String {
    cargo(&[&["tree", "--prefix", "none"], arguments].concat())
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn short(name: &str) -> &str {
    name.strip_prefix("whipcord-").unwrap_or(name)
}

fn first(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

/// Whether an SPDX expression leaves a choice of allowed licences only.
fn allowed(expression: &str) -> bool {
    let split = |separator: &str| {
        let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
        for (at, character) in expression.char_indices() {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ if depth == 0 && expression[at..].starts_with(separator) => {
                    parts.push(expression[start..at].trim());
                    start = at + separator.len();
                }
                _ => {}
            }
        }
        parts.push(expression[start..].trim());
        parts
    };
    // OR binds least; a slash is an old way to write it.
    for separator in [" OR ", "/"] {
        if split(separator).len() > 1 {
            return split(separator).into_iter().any(allowed);
        }
    }
    if split(" AND ").len() > 1 {
        return split(" AND ").into_iter().all(allowed);
    }
    match expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => allowed(inner),
        None => LICENCES.contains(&expression),
    }
}

/// All folders below one with modules in them.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let paths = |folder: &Path| {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect::<Vec<_>>()
    };
    let has_modules = |folder: &PathBuf| {
        paths(folder)
            .iter()
            .any(|path| path.extension().is_some_and(|e| e == "rs"))
    };
    let inside: Vec<_> = paths(folder).into_iter().filter(|path| path.is_dir()).collect();
    inside
        .iter()
        .flat_map(|folder| [vec![folder.clone()], folders(folder)].concat())
        .filter(has_modules)
        .collect()
}
