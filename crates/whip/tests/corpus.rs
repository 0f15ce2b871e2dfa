//! Every stored input of the fuzz targets, through the code that the targets run.

#![allow(
    clippy::disallowed_methods,
    reason = "the inputs are files, and simulated clocks begin somewhere"
)]
#![allow(unreachable_pub, reason = "the modules are the fuzz targets' as well")]

#[path = "../../../tests/fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../../tests/fuzz/src/fragment.rs"]
mod fragment;
#[path = "../../../tests/fuzz/src/if_match.rs"]
mod if_match;
#[path = "../../../tests/fuzz/src/offer.rs"]
mod offer;

#[test]
fn offers_are_refused_or_answered_within_them() {
    corpus::replay("offer", offer::run);
}

#[test]
fn fragments_are_refused_or_read() {
    corpus::replay("fragment", fragment::run);
}

#[test]
fn preconditions_have_a_verdict() {
    corpus::replay("if_match", if_match::run);
}
