//! What each search may do, by name. The same table as in docs/model/sync_model.py.

/// A server, a device and what may go wrong between them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Config {
    pub(super) name: &'static str,
    /// What the server commits, one rev each: `s` a send, a digit a change of that seq, `L` the group
    /// becomes large, `l` small again; `G` first: large from its creation.
    pub(super) line: &'static [u8],
    /// How much of it is committed at the start.
    pub(super) init: usize,
    /// A restore keeps this much of the line and goes on with `line1`.
    pub(super) keep: usize,
    pub(super) line1: &'static [u8],
    pub(super) restore: Restore,
    /// How often each may happen.
    pub(super) cuts: u8,
    pub(super) crashes: u8,
    pub(super) overflows: u8,
    pub(super) restores: u8,
    pub(super) losses: u8,
    pub(super) others: u8,
    /// Pages the user asks for, in order: `L` newest, `F` first, `B` before, `A` after.
    pub(super) loads: &'static [u8],
    /// Rows of an answer of `changes`.
    pub(super) limit: u32,
    /// Messages of a page.
    pub(super) page: u32,
    pub(super) start: Start,
    /// Two nodes: a crash leaves the connection, pending entries are not seen.
    pub(super) two_nodes: bool,
    pub(super) heartbeat: bool,
    /// The inbox map takes a change at a moment of its own.
    pub(super) split_dispatch: bool,
    /// A read notes its rev and reads its rows at two moments.
    pub(super) split_read: bool,
    /// A lost bus message is noticed and `sync_required` sent.
    pub(super) bus_heartbeat: bool,
    /// An entry of the list says the rev that was applied to it.
    pub(super) applied_rev: bool,
    /// Digits delete instead of edit.
    pub(super) deletes: bool,
}

/// What a restore brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restore {
    /// The user's rows too.
    Full,
    /// Only the conversation; the members' rows are touched.
    Touch,
    /// The same, while devices are connected.
    Live,
}

/// What the device knows at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Fresh,
    Listed,
    Loaded,
}

const DEFAULT: Config = Config {
    name: "",
    line: b"s1s",
    init: 1,
    keep: 0,
    line1: b"",
    restore: Restore::Full,
    cuts: 1,
    crashes: 0,
    overflows: 0,
    restores: 0,
    losses: 0,
    others: 0,
    loads: b"",
    limit: 9,
    page: 9,
    start: Start::Loaded,
    two_nodes: false,
    heartbeat: false,
    split_dispatch: false,
    split_read: false,
    bus_heartbeat: false,
    applied_rev: false,
    deletes: false,
};

#[rustfmt::skip]
pub(super) const CONFIGS: &[Config] = &[
    Config { name: "base", line: b"ss1s", init: 2, cuts: 2, crashes: 1, ..DEFAULT },
    Config { name: "over", line: b"ss1s", init: 2, overflows: 1, others: 1, ..DEFAULT },
    Config { name: "twice", line: b"ss11", init: 2, crashes: 1, overflows: 1, ..DEFAULT },
    Config { name: "split", line: b"ss1", crashes: 1, split_dispatch: true, ..DEFAULT },
    Config { name: "applied", line: b"ss1", crashes: 1, overflows: 1, applied_rev: true, ..DEFAULT },
    Config { name: "fresh", line: b"ss1", crashes: 1, start: Start::Fresh, loads: b"L", page: 2, ..DEFAULT },
    Config { name: "listed", line: b"ss1s", init: 2, overflows: 1, start: Start::Listed, loads: b"L", page: 2, ..DEFAULT },
    Config { name: "older", line: b"sss23", init: 3, overflows: 1, loads: b"B", page: 1, ..DEFAULT },
    Config { name: "olderlim", line: b"sss12s", init: 3, loads: b"B", page: 1, limit: 1, ..DEFAULT },
    Config { name: "around", line: b"sss2", init: 2, overflows: 1, start: Start::Listed, loads: b"FAA", page: 1, limit: 1, ..DEFAULT },
    Config { name: "pages", line: b"s1ss2", overflows: 1, limit: 1, ..DEFAULT },
    Config { name: "reads", line: b"ss1s", init: 2, start: Start::Listed, loads: b"LB", page: 1, split_read: true, limit: 1, ..DEFAULT },
    Config { name: "large", line: b"Gs1s", init: 2, cuts: 2, crashes: 1, overflows: 1, ..DEFAULT },
    Config { name: "flip", line: b"sLsl", cuts: 2, crashes: 1, ..DEFAULT },
    Config { name: "restore", line: b"sss1", init: 2, keep: 2, line1: b"s1", restores: 1, ..DEFAULT },
    Config { name: "restload", line: b"sss", init: 2, keep: 2, line1: b"1s", restores: 1, start: Start::Listed, loads: b"LB", page: 1, ..DEFAULT },
    Config { name: "restfirst", line: b"sss", init: 2, keep: 2, line1: b"1s", cuts: 0, restores: 1, start: Start::Listed, loads: b"L", page: 1, ..DEFAULT },
    Config { name: "repair", line: b"sss", init: 2, keep: 2, line1: b"s1", restores: 1, restore: Restore::Touch, ..DEFAULT },
    Config { name: "live", line: b"sss", init: 2, keep: 2, line1: b"s1", restores: 1, restore: Restore::Live, two_nodes: true, ..DEFAULT },
    Config { name: "nodes", line: b"ss1", crashes: 1, two_nodes: true, ..DEFAULT },
    Config { name: "nodes+", line: b"ss1", crashes: 1, two_nodes: true, losses: 2, heartbeat: true, ..DEFAULT },
    Config { name: "nodesbig", line: b"Gs1", init: 2, crashes: 1, two_nodes: true, losses: 1, heartbeat: true, bus_heartbeat: true, ..DEFAULT },
    Config { name: "deletions", line: b"sss1s", init: 3, crashes: 1, overflows: 1, limit: 1, deletes: true, ..DEFAULT },
    Config { name: "deletions_older", line: b"sss23", init: 3, overflows: 1, loads: b"B", page: 1, deletes: true, ..DEFAULT },
];

pub(super) fn config(name: &str) -> &'static Config {
    CONFIGS.iter().find(|config| config.name == name).unwrap()
}
