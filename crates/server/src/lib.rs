//! The server as a library: HTTP, WebSocket, accounts, configuration, and the wiring of a backend to the engine.
//!
//! A server is a value: [`Server::open`] takes a configuration and opens everything stored, [`Server::serve`] takes a
//! listener and a token that ends it. It is not: rules (they are in `domain`), the live part (`engine`), storage.
//!
//! To add a call: its body and a row of the table in `proto::rest`, a handler in `routes/`, a line in `router.rs`.

pub mod admin;
mod app;
mod audit;
mod auth;
mod backends;
pub mod config;
mod doctor;
mod error;
mod extract;
mod fetch;
mod health;
mod http1;
mod invite_token;
mod media;
pub mod metrics;
mod moves;
pub mod offline;
mod process;
mod push;
mod respond;
mod router;
mod routes;
mod server;
mod socket;
#[cfg(feature = "testing")]
pub mod testing;
pub mod verify;

pub use config::Config;
pub use server::{DemoUser, Server, StartError};
