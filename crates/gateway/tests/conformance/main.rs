//! The gateway over real TCP, before a worker that follows a script. Tests are named by the clause they hold: `a6` is the sixth
//! check of POST in the project's WHIP checklist (A POST, B OPTIONS and GET, D PATCH, E ICE restart, F termination, I tokens,
//! K extensions, L security).
#![allow(clippy::unwrap_used, reason = "a test")]

mod answer;
mod bed;
mod worker;

mod admin;
mod auth;
mod controller;
mod delete;
mod explain;
mod later;
mod limits;
mod options;
mod page;
mod patch;
mod placement;
mod post;
mod proxy;
mod recordings;
mod report;
mod reporters;
mod secrets;
mod stats;
mod takeover;
