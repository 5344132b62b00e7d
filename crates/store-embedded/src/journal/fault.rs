//! A journal directory in memory that fails on demand and forgets like a real disk. Tests only.
//!
//! It knows what a power cut may take: any unsynced write, any sector of it, any unsynced creation
//! or removal. A process that dies is simply a second journal opened on the same value.

use std::{collections::BTreeMap, io, sync::Arc};

use parking_lot::{Condvar, Mutex};

use super::file::{JournalFile, JournalFs};

/// A disk writes this much whole or not at all.
const SECTOR: usize = 512;

/// A directory in memory; clones are the same directory.
#[derive(Clone, Default)]
pub struct FaultFs {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    disk: Mutex<Disk>,
    gate: Condvar,
}

#[derive(Default)]
struct Disk {
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    unsynced_names: Vec<NameChange>,
    nodes: Vec<Node>,
    faults: Vec<(u32, Fault)>,
    capacity: Option<u64>,
    /// `None`: syncs pass. Otherwise so many still pass.
    permits: Option<u32>,
    sync_calls: u64,
    write_calls: u64,
}

#[derive(Clone, Default)]
struct Node {
    /// What readers see.
    cache: Vec<u8>,
    /// What certainly survives.
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Grow(usize),
}

#[derive(Clone)]
struct NameChange {
    name: String,
    node: Option<usize>,
}

/// What goes wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A write fails after its first bytes, so many of them, are in the file.
    Write(usize),
    /// A sync fails and what it should have saved is lost, while reads go on showing it.
    SyncKeepsCache,
    /// A sync fails and what it should have saved is gone from reads too.
    SyncLosesCache,
    /// A creation fails.
    Create,
    /// A removal fails.
    Remove,
    /// Syncing the directory fails.
    SyncDir,
}

/// Something a power cut decides about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// A write of so many bytes at this offset of a file.
    Write {
        /// Where it went.
        offset: usize,
        /// How long it is.
        len: usize,
    },
    /// A file's growth.
    Grow,
    /// A creation or removal.
    Name,
}

/// What a power cut leaves of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// All.
    All,
    /// The first bytes of a write.
    Prefix(usize),
    /// Some sectors of a write, chosen by this seed.
    Sectors(u64),
}

/// The next number of a small generator, for decisions that a seed repeats.
pub fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl FaultFs {
    /// An empty directory.
    pub fn new() -> FaultFs {
        FaultFs::default()
    }

    /// The same directory as the journal takes it.
    pub fn as_fs(&self) -> Arc<dyn JournalFs> {
        Arc::new(self.clone())
    }

    /// Lets the operation of that kind that comes after `later` others fail.
    pub fn fail(&self, later: u32, fault: Fault) {
        self.shared.disk.lock().faults.push((later, fault));
    }

    /// Bytes all files together may have; `None` for no bound.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.disk.lock().capacity = bytes;
    }

    /// Bytes all files together have.
    pub fn used(&self) -> u64 {
        self.shared.disk.lock().used()
    }

    /// Lets every sync wait until it is allowed.
    pub fn hold_syncs(&self) {
        self.shared.disk.lock().permits = Some(0);
    }

    /// Lets so many held syncs pass.
    pub fn allow_syncs(&self, count: u32) {
        let mut disk = self.shared.disk.lock();
        disk.permits = disk.permits.map(|permits| permits + count);
        self.shared.gate.notify_all();
    }

    /// Ends `hold_syncs`.
    pub fn release_syncs(&self) {
        self.shared.disk.lock().permits = None;
        self.shared.gate.notify_all();
    }

    /// How many file syncs were ever called, held ones included.
    pub fn sync_calls(&self) -> u64 {
        self.shared.disk.lock().sync_calls
    }

    /// How many writes were ever called.
    pub fn write_calls(&self) -> u64 {
        self.shared.disk.lock().write_calls
    }

    /// Waits until so many file syncs were called.
    pub fn wait_for_sync_calls(&self, count: u64) {
        let mut disk = self.shared.disk.lock();
        while disk.sync_calls < count {
            self.shared.gate.wait(&mut disk);
        }
    }

    /// The directory after a power cut now; this one goes on as if there had been none.
    pub fn power_cut(&self, decide: &mut dyn FnMut(Unsynced) -> Kept) -> FaultFs {
        let disk = self.shared.disk.lock();
        let mut names = disk.durable_names.clone();
        for change in &disk.unsynced_names {
            if decide(Unsynced::Name) != Kept::Nothing {
                change.apply(&mut names);
            }
        }
        let mut nodes = disk.nodes.clone();
        for node in &mut nodes {
            for change in std::mem::take(&mut node.unsynced) {
                change.keep(&mut node.durable, decide);
            }
            node.cache = node.durable.clone();
        }
        let disk = Disk { durable_names: names.clone(), names, nodes, ..Disk::default() };
        FaultFs { shared: Arc::new(Shared { disk: Mutex::new(disk), gate: Condvar::new() }) }
    }

    /// A power cut that takes everything unsynced.
    pub fn power_cut_losing_all(&self) -> FaultFs {
        self.power_cut(&mut |_| Kept::Nothing)
    }

    /// A power cut whose every decision comes from the seed.
    pub fn power_cut_by(&self, mut seed: u64) -> FaultFs {
        self.power_cut(&mut |_| match next_random(&mut seed) % 4 {
            0 => Kept::Nothing,
            1 => Kept::All,
            2 => Kept::Prefix((next_random(&mut seed) % 2048) as usize),
            _ => Kept::Sectors(next_random(&mut seed)),
        })
    }

    /// Names of all files, in order.
    pub fn names(&self) -> Vec<String> {
        self.shared.disk.lock().names.keys().cloned().collect()
    }

    /// What a file holds.
    pub fn image(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.shared.disk.lock();
        disk.names.get(name).map(|&node| disk.nodes[node].cache.clone())
    }

    /// Replaces or makes a file, durably.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.shared.disk.lock();
        let node = disk.nodes.len();
        disk.nodes.push(Node { cache: bytes.clone(), durable: bytes, unsynced: Vec::new() });
        disk.names.insert(name.to_owned(), node);
        disk.durable_names.insert(name.to_owned(), node);
    }

    /// Changes a file's bytes, durably and behind everybody's back.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.image(name).unwrap_or_default();
        change(&mut bytes);
        self.put(name, bytes);
    }

    /// An independent copy, everything in it durable.
    pub fn copy(&self) -> FaultFs {
        self.power_cut(&mut |_| Kept::All)
    }
}

impl Disk {
    fn used(&self) -> u64 {
        self.names.values().map(|&node| self.nodes[node].cache.len() as u64).sum()
    }

    /// The fault due now among those that `concerns` picks out.
    fn due(&mut self, concerns: impl Fn(Fault) -> bool) -> Option<Fault> {
        let mut due = None;
        self.faults.retain_mut(|(later, fault)| {
            if !concerns(*fault) {
                return true;
            }
            if *later == 0 && due.is_none() {
                due = Some(*fault);
                return false;
            }
            *later = later.saturating_sub(1);
            true
        });
        due
    }

    fn check_room(&self, node: usize, size: usize) -> io::Result<()> {
        let more = size.saturating_sub(self.nodes[node].cache.len()) as u64;
        match self.capacity {
            Some(capacity) if more > 0 && self.used() + more > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, node: usize, change: Change) {
        let node = &mut self.nodes[node];
        change.keep(&mut node.cache, &mut |_| Kept::All);
        node.unsynced.push(change);
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self.node {
            Some(node) => names.insert(self.name.clone(), node),
            None => names.remove(&self.name),
        };
    }
}

impl Change {
    fn keep(&self, into: &mut Vec<u8>, decide: &mut dyn FnMut(Unsynced) -> Kept) {
        match self {
            Change::Grow(size) => {
                if decide(Unsynced::Grow) != Kept::Nothing && into.len() < *size {
                    into.resize(*size, 0);
                }
            }
            Change::Write { offset, bytes } => {
                match decide(Unsynced::Write { offset: *offset, len: bytes.len() }) {
                    Kept::Nothing => {}
                    Kept::All => put(into, *offset, bytes),
                    Kept::Prefix(len) => put(into, *offset, &bytes[..len.min(bytes.len())]),
                    Kept::Sectors(mut seed) => {
                        let mut at = 0;
                        while at < bytes.len() {
                            let end = bytes.len().min(at + SECTOR - (offset + at) % SECTOR);
                            if next_random(&mut seed) & 1 == 1 {
                                put(into, offset + at, &bytes[at..end]);
                            }
                            at = end;
                        }
                    }
                }
            }
        }
    }
}

fn put(into: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if into.len() < offset + bytes.len() {
        into.resize(offset + bytes.len(), 0);
    }
    into[offset..offset + bytes.len()].copy_from_slice(bytes);
}

fn broken(what: &str) -> io::Error {
    io::Error::other(format!("injected fault: {what}"))
}

impl JournalFs for FaultFs {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn JournalFile>> {
        let mut disk = self.shared.disk.lock();
        if disk.due(|fault| fault == Fault::Create).is_some() {
            return Err(broken("create"));
        }
        if disk.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = disk.nodes.len();
        disk.nodes.push(Node::default());
        disk.names.insert(name.to_owned(), node);
        disk.unsynced_names.push(NameChange { name: name.to_owned(), node: Some(node) });
        Ok(Arc::new(FaultFile { fs: self.clone(), node }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn JournalFile>> {
        let disk = self.shared.disk.lock();
        let node = *disk.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(FaultFile { fs: self.clone(), node }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.shared.disk.lock();
        if disk.due(|fault| fault == Fault::Remove).is_some() {
            return Err(broken("remove"));
        }
        disk.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        disk.unsynced_names.push(NameChange { name: name.to_owned(), node: None });
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut disk = self.shared.disk.lock();
        if disk.due(|fault| fault == Fault::SyncDir).is_some() {
            return Err(broken("sync of the directory"));
        }
        for change in std::mem::take(&mut disk.unsynced_names) {
            change.apply(&mut disk.durable_names);
        }
        Ok(())
    }
}

struct FaultFile {
    fs: FaultFs,
    node: usize,
}

impl JournalFile for FaultFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.fs.shared.disk.lock().nodes[self.node].cache.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let disk = self.fs.shared.disk.lock();
        let cache = &disk.nodes[self.node].cache;
        let from = cache.len().min(offset as usize);
        let len = into.len().min(cache.len() - from);
        into[..len].copy_from_slice(&cache[from..from + len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.fs.shared.disk.lock();
        disk.write_calls += 1;
        let offset = offset as usize;
        if let Some(Fault::Write(len)) = disk.due(|fault| matches!(fault, Fault::Write(_))) {
            let bytes = bytes[..len.min(bytes.len())].to_vec();
            disk.apply(self.node, Change::Write { offset, bytes });
            return Err(broken("write"));
        }
        disk.check_room(self.node, offset + bytes.len())?;
        disk.apply(self.node, Change::Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        let mut disk = self.fs.shared.disk.lock();
        disk.check_room(self.node, size as usize)?;
        disk.apply(self.node, Change::Grow(size as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.fs.shared.disk.lock();
        disk.sync_calls += 1;
        self.fs.shared.gate.notify_all();
        while disk.permits == Some(0) {
            self.fs.shared.gate.wait(&mut disk);
        }
        disk.permits = disk.permits.map(|permits| permits - 1);
        let fault =
            disk.due(|fault| matches!(fault, Fault::SyncKeepsCache | Fault::SyncLosesCache));
        let node = &mut disk.nodes[self.node];
        let changes = std::mem::take(&mut node.unsynced);
        match fault {
            Some(fault) => {
                if fault == Fault::SyncLosesCache {
                    node.cache = node.durable.clone();
                }
                Err(broken("sync"))
            }
            None => {
                for change in changes {
                    change.keep(&mut node.durable, &mut |_| Kept::All);
                }
                Ok(())
            }
        }
    }
}
