//! Every stored input of the fuzz targets, through the code that the targets run.

#![allow(unreachable_pub, reason = "the modules are the fuzz targets' as well")]

#[path = "../../../tests/fuzz/src/answer.rs"]
mod answer;
#[path = "../../../tests/fuzz/src/check.rs"]
mod check;
#[path = "../../../tests/fuzz/src/corpus.rs"]
mod corpus;

#[test]
fn answers_are_refused_or_read_in_bounds() {
    corpus::replay("answer", answer::run);
}

#[test]
fn only_who_knows_the_password_answers_a_check() {
    corpus::replay("check", check::run);
}
