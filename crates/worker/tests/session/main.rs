//! A whole worker from outside: gRPC on one side, a real encoder's packets on the other, a directory and a file behind.

#![allow(clippy::unwrap_used, reason = "tests")]

mod addresses;
mod bed;
mod control;
mod directory;
mod download;
mod encoder;
mod ending;
mod later;
mod lifecycle;
mod restart;
mod simulcast;
