//! Stories over real sockets: each starts a server on a port of its own.

mod auth;
mod client;
mod conversations;
mod dialogs;
mod hostile;
mod limits;
mod messages;
mod operators;
mod sockets;
mod stop;
mod sync;
