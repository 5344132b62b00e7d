//! The configuration: one documented struct for each section, its defaults once, unknown keys refused.
//!
//! Defaults < file < environment < flags. The example file is made from these structs. It is not global: whoever
//! needs a section is handed it.

mod check;
mod example;
mod load;
mod secret;
mod section;
mod sections;
mod shard_url;
#[cfg(test)]
mod tests;

pub use check::ConfigError;
pub use example::example;
pub use load::Flags;
pub use secret::Secret;
pub use section::Section;
pub use sections::{
    Admin, Auth, Config, Connections, Directory, Groups, Jwt, JwtAlgorithm, Limits, Log, LogFormat,
    Media, MediaStore, Moves, Push, RateLimits, Registration, Search, Shard, Webhook,
};
pub use shard_url::ShardUrl;
