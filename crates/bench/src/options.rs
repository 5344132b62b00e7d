//! What a run is told.

use std::{path::PathBuf, time::Duration};

/// What kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// One pair, one message in flight.
    Ping,
    /// Pairs of users that write to each other.
    Pairs,
    /// One large group, everybody online, few senders.
    Group,
    /// One very large group, half of it online, a steady beat of messages.
    BigGroup,
    /// Many groups of a hundred, a tenth of them online.
    Groups,
    /// Several senders in one conversation.
    Hot,
    /// One user who writes to very many.
    Hub,
    /// `POST …/messages` over keep-alive connections.
    Rest,
    /// Random pages of a long conversation.
    History,
    /// People who send, edit, delete, react and read.
    Mixed,
    /// Devices that lose their connection at once and come back.
    Sync,
    /// Signed-in sockets that do nothing.
    Idle,
    /// Sessions that watch each other, some of which come and go.
    Presence,
    /// A corpus of messages, indexed and searched.
    Search,
    /// A file that is downloaded, and messages beside pictures that are uploaded.
    Media,
}

impl Workload {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 15] = [
        ("ping", Self::Ping),
        ("pairs", Self::Pairs),
        ("group", Self::Group),
        ("biggroup", Self::BigGroup),
        ("groups", Self::Groups),
        ("hot", Self::Hot),
        ("hub", Self::Hub),
        ("rest", Self::Rest),
        ("history", Self::History),
        ("mixed", Self::Mixed),
        ("sync", Self::Sync),
        ("idle", Self::Idle),
        ("presence", Self::Presence),
        ("search", Self::Search),
        ("media", Self::Media),
    ];

    /// The workload of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, workload)| workload)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, workload)| *workload == self).map_or("", |(name, _)| name)
    }
}

/// A run.
#[derive(Debug, Clone)]
pub struct Options {
    /// What kind of load.
    pub workload: Workload,
    /// `http://host:port` of the server.
    pub url: String,
    /// The server's data directory, whose admin socket makes the users and tells the server's own cost.
    pub data_dir: PathBuf,
    /// How long load is made.
    pub span: Duration,
    /// Pairs, groups, connections or devices, as the workload counts, from 1 on; none: its own number.
    pub scale: Option<usize>,
    /// Messages in flight for each sender, from 1 on; none: the workload's own number.
    pub in_flight: Option<usize>,
    /// Commands a second of all senders together, whether answers come or not (`mixed`, `presence`, `biggroup`); none: as fast as they come.
    pub rate: Option<f64>,
    /// Says what is going on.
    pub progress: fn(&str),
}
