//! A controller's token may do what `docs/controller.md` says, and nothing else.

use whipcord_tests::kubernetes::{Kubernetes, kubectl};

/// What other tests show to be enough.
#[test]
fn what_it_needs_not_it_may_not() {
    let kubernetes = Kubernetes::connect();
    let folder = tempfile::tempdir().unwrap();
    let configuration = kubernetes.controllers_configuration(folder.path());
    kubernetes.create_node("n0", &[]);
    kubernetes.create_pod("worker-0", "n0", 8189);
    for allowed in [&["get", "pods"][..], &["get", "nodes"], &["get", "services"]] {
        kubectl(&configuration, allowed).unwrap_or_else(|said| panic!("{allowed:?}: {said}"));
    }
    for refused in [
        &["get", "secrets"][..],
        &["get", "configmaps"],
        &["get", "pods", "--namespace", "default"],
        &["get", "pod", "worker-0"],
        &["delete", "pod", "worker-0"],
        &["annotate", "pod", "worker-0", "a=b"],
        &["cordon", "n0"],
        &["delete", "node", "n0"],
        &["get", "lease", "another"],
        &["delete", "lease", "whipcord-controller"],
        &["get", "events.events.k8s.io"],
        &["create", "token", "whipcord-controller"],
    ] {
        let said = kubectl(&configuration, refused).expect_err("it was allowed");
        assert!(
            said.contains("Forbidden") || said.contains("forbidden"),
            "{refused:?}: {said}"
        );
    }
    // kubectl reads what it is to change, and is refused for that: each verb for itself.
    for (verb, resource) in [
        ("patch", "pods"),
        ("create", "pods/eviction"),
        ("delete", "pods"),
        ("update", "nodes"),
        ("patch", "nodes/status"),
        ("update", "leases.coordination.k8s.io/another"),
        ("delete", "leases.coordination.k8s.io"),
        ("impersonate", "serviceaccounts"),
    ] {
        let said = kubectl(&configuration, &["auth", "can-i", verb, resource]).expect_err("it may");
        assert!(!said.contains("rror"), "{verb} {resource}: {said}");
    }
}
