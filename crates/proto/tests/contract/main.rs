//! The contracts and those of every release: what was once said on the wire keeps its meaning.

#![allow(clippy::unwrap_used, reason = "a test")]

mod breaks;

use std::{
    fs,
    path::{Path, PathBuf},
};

use protox::{
    Compiler,
    prost_reflect::{prost::Message as _, prost_types::FileDescriptorSet},
};

const FILES: [&str; 3] = [
    "whipcord/worker/v1/worker.proto",
    "whipcord/directory/v1/directory.proto",
    "whipcord/controller/v1/controller.proto",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")
}

fn compile(root: &Path) -> FileDescriptorSet {
    let mut compiler = Compiler::new([root]).unwrap();
    compiler.include_source_info(false).open_files(FILES).unwrap();
    compiler.file_descriptor_set()
}

#[test]
fn the_contracts_break_with_no_release() {
    let now = compile(&root());
    let releases: Vec<PathBuf> = fs::read_dir(root().join("released"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!releases.is_empty());
    for release in releases {
        let released = FileDescriptorSet::decode(&fs::read(&release).unwrap()[..]).unwrap();
        let broken = breaks::breaks(&released, &now);
        assert!(broken.is_empty(), "{}: {broken:#?}", release.display());
    }
}

/// The contracts, with one text in the place of another.
fn changed(from: &str, to: &str) -> FileDescriptorSet {
    let folder = tempfile::tempdir().unwrap();
    let mut found = 0;
    for file in FILES {
        let text = fs::read_to_string(root().join(file)).unwrap();
        found += text.matches(from).count();
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace(from, to)).unwrap();
    }
    assert_eq!(found, 1, "{from:?} is there once");
    compile(folder.path())
}

/// A text, what takes its place, and the break that this is.
const BREAKS: [(&str, &str, &str); 16] = [
    ("  fixed64 incarnation = 3;", "", "Hello.3 is gone and not reserved"),
    (
        "  fixed64 incarnation = 3;",
        "  uint64 incarnation = 3;",
        "Hello.3 was fixed64, is uint64",
    ),
    (
        "repeated string features = 5",
        "string features = 5",
        "Hello.5 was repeated string, is string",
    ),
    (
        "repeated string features = 5",
        "repeated bytes features = 5",
        "Hello.5 was repeated string, is repeated bytes",
    ),
    (
        "uint32 worker_number = 4",
        "uint32 worker_number = 44",
        "Hello.4 is gone and not reserved",
    ),
    (
        "    Heartbeat heartbeat = 5;\n  }",
        "  }\n  Heartbeat heartbeat = 5;",
        "ReportRequest.5 was whipcord.directory.v1.Heartbeat in report, is whipcord.directory.v1.Heartbeat",
    ),
    (
        "    Snapshot snapshot = 3;",
        "    Delta snapshot = 3;",
        "ReportRequest.3 was whipcord.directory.v1.Snapshot in report, is whipcord.directory.v1.Delta in report",
    ),
    (
        "map<string, uint64> dropped",
        "map<string, uint32> dropped",
        "Session.DroppedEntry.2 was uint64, is uint32",
    ),
    (
        "  DELETE_REASON_OPERATOR = 3;",
        "  DELETE_REASON_OPERATOR = 5;",
        "DeleteReason.3 is gone and not reserved",
    ),
    (
        "  DELETE_REASON_OPERATOR = 3;",
        "",
        "DeleteReason.3 is gone and not reserved",
    ),
    (
        "  DELETE_REASON_REPLACED = 2;",
        "  DELETE_REASON_LATER = 2;",
        "DeleteReason.2 was DELETE_REASON_REPLACED, is DELETE_REASON_LATER",
    ),
    (
        "  rpc Drain(DrainRequest) returns (DrainResponse);",
        "",
        "WorkerService.Drain is gone",
    ),
    (
        "rpc Drain(DrainRequest)",
        "rpc Drain(stream DrainRequest)",
        "WorkerService.Drain was",
    ),
    (
        "returns (DrainResponse)",
        "returns (DeleteSessionResponse)",
        "WorkerService.Drain was",
    ),
    (
        "service DirectoryService {",
        "service Directory {",
        "DirectoryService.Report is gone",
    ),
    (
        "package whipcord.directory.v1;",
        "package whipcord.directory.v2;",
        "whipcord.directory.v1.Hello is gone",
    ),
];

#[test]
fn whatever_breaks_the_wire_is_found() {
    let released = compile(&root());
    for (from, to, expected) in BREAKS {
        let broken = breaks::breaks(&released, &changed(from, to));
        assert!(
            broken.iter().any(|broken| broken.contains(expected)),
            "{from:?}, {to:?}: {broken:#?}"
        );
    }
}

#[test]
fn what_was_reserved_is_not_used_again() {
    let reserved = changed("  fixed64 incarnation = 3;", "  reserved 3, 20 to 29;");
    let used = changed("  fixed64 incarnation = 3;", "  reserved 3;\n  string zone = 21;");
    assert_eq!(
        breaks::breaks(&reserved, &used),
        ["whipcord.directory.v1.Hello.21 was reserved, is string"]
    );
    let reserved = changed("  DELETE_REASON_OPERATOR = 3;", "  reserved 3;");
    assert_eq!(
        breaks::breaks(&reserved, &compile(&root())),
        ["whipcord.worker.v1.DeleteReason.3 was reserved, is DELETE_REASON_OPERATOR"]
    );
}

#[test]
fn what_grows_or_is_given_up_in_order_breaks_nothing() {
    let released = compile(&root());
    for (from, to) in [
        ("  fixed64 incarnation = 3;", "  fixed64 start = 3;"),
        ("  fixed64 incarnation = 3;", "  reserved 3;"),
        ("  fixed64 incarnation = 3;", "  optional fixed64 incarnation = 3;"),
        (
            "  fixed64 incarnation = 3;",
            "  fixed64 incarnation = 3;\n  string zone = 99;",
        ),
        (
            "    Heartbeat heartbeat = 5;",
            "    Heartbeat heartbeat = 5;\n    Ack later = 6;",
        ),
        ("  DELETE_REASON_OPERATOR = 3;", "  reserved 3;"),
        (
            "  DELETE_REASON_OPERATOR = 3;",
            "  DELETE_REASON_OPERATOR = 3;\n  DELETE_REASON_LATER = 9;",
        ),
        (
            "  rpc Drain(DrainRequest)",
            "  rpc Later(DrainRequest) returns (DrainResponse);\n  rpc Drain(DrainRequest)",
        ),
    ] {
        let broken = breaks::breaks(&released, &changed(from, to));
        assert!(broken.is_empty(), "{from:?}, {to:?}: {broken:#?}");
    }
}
