//! The few things of the model's world: two shards, two units, two conversations, and the small
//! numbers that the protocol compares. Plain values without behaviour.

use std::{
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    ops::{Index, IndexMut},
};

/// A shard: it holds rows and keeps a fence for each unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Shard {
    /// The first one; everything begins here.
    A,
    /// The second one.
    B,
}

/// What moves as a whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Unit {
    /// A slot of the table.
    P,
    /// The child that is carved out of it.
    C,
}

/// A conversation: the subject whose rows are copied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Conversation {
    /// Belongs to `p`, always.
    X,
    /// Belongs to `c` while `c` exists, otherwise to `p`.
    Y,
}

/// A key with two values, so that a table of it is an array of two.
pub trait Key: Copy {
    /// Both values, in order.
    const ALL: [Self; 2];
    /// 0 or 1.
    fn index(self) -> usize;
}

impl Key for Shard {
    const ALL: [Self; 2] = [Self::A, Self::B];
    fn index(self) -> usize {
        self as usize
    }
}

impl Key for Unit {
    const ALL: [Self; 2] = [Self::P, Self::C];
    fn index(self) -> usize {
        self as usize
    }
}

impl Key for Conversation {
    const ALL: [Self; 2] = [Self::X, Self::Y];
    fn index(self) -> usize {
        self as usize
    }
}

impl Shard {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["A", "B"][self.index()])
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["p", "c"][self.index()])
    }
}

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["x", "y"][self.index()])
    }
}

/// How often the home of a unit has changed. A command names the epoch it was placed under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Epoch(pub u8);

impl Epoch {
    /// One more.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Drawn by a coordinator at the start of a move and at each take-over; a larger one wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Lease(pub u8);

impl Lease {
    /// One more.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The version of a subject: every durable change of any of its rows takes exactly one.
pub type Version = u8;

/// Which life of a shard: it counts restarts.
pub type Incarnation = u8;

/// The place of a move in the script of a configuration.
pub type JobNumber = u8;

/// The place of a command in the list of a configuration. Messages from before the model begins
/// carry negative numbers.
pub type CommandNumber = i8;

/// One value for each key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct By<K, T> {
    cells: [T; 2],
    key: PhantomData<K>,
}

/// One value for each shard.
pub type PerShard<T> = By<Shard, T>;
/// One value for each unit.
pub type PerUnit<T> = By<Unit, T>;
/// One value for each conversation.
pub type PerConversation<T> = By<Conversation, T>;

impl<K, T> By<K, T> {
    /// From both values, in the order of the keys.
    pub const fn new(first: T, second: T) -> Self {
        Self { cells: [first, second], key: PhantomData }
    }

    /// Both values, in the order of the keys.
    pub fn values(&self) -> &[T; 2] {
        &self.cells
    }
}

impl<K, T: Copy> By<K, T> {
    /// The same value twice.
    pub const fn both(value: T) -> Self {
        Self::new(value, value)
    }
}

impl<K, T: Hash> Hash for By<K, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.cells[0].hash(state);
        self.cells[1].hash(state);
    }
}

impl<K: Key, T> Index<K> for By<K, T> {
    type Output = T;
    fn index(&self, key: K) -> &T {
        &self.cells[key.index()]
    }
}

impl<K: Key, T> IndexMut<K> for By<K, T> {
    fn index_mut(&mut self, key: K) -> &mut T {
        &mut self.cells[key.index()]
    }
}
