//! Whole sessions over a simulated network: a publisher and a [`Mux`](whipcord_peer::Mux), one clock, seeded impairments.

#![allow(clippy::disallowed_methods, reason = "a simulated clock begins somewhere")]

mod bed;
mod network;
mod publisher;
mod random;

mod adoption;
mod connect;
mod data;
mod feedback;
mod forgery;
mod movement;
mod streams;
