//! Every stored input of the fuzz targets, through the code that the targets run.

#![allow(unreachable_pub, reason = "the modules are the fuzz targets' as well")]

#[path = "../../../tests/fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../../tests/fuzz/src/range.rs"]
mod range;

#[test]
fn ranges_lie_within_their_file() {
    corpus::replay("range", range::run);
}
