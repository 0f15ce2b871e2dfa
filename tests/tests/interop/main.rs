//! Real encoders against `whipcord standalone`; `make interop` installs them.

#![allow(clippy::unwrap_used, reason = "all of this is tests")]
#![allow(
    clippy::print_stdout,
    reason = "what was measured is shown with the test that failed"
)]

mod data_channel;
mod endings;
mod handshakes;
mod impaired;
mod moved;
mod page;
mod played;
mod recorded;
mod restart;
mod simulcast;
