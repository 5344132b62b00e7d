//! A short list that lives inside the state, so that copying a state allocates nothing.
//! It is not a general container: a list that outgrows its room is an error in a configuration.

use std::hash::{Hash, Hasher};

/// At most `N` values, in order. The first empty cell ends the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct List<T, const N: usize> {
    cells: [Option<T>; N],
}

impl<T: Copy, const N: usize> List<T, N> {
    /// An empty list.
    pub const fn new() -> Self {
        Self { cells: [None; N] }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.cells.iter().take_while(|cell| cell.is_some()).count()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        N == 0 || self.cells[0].is_none()
    }

    /// The values, first to last.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.cells.iter().map_while(|cell| *cell)
    }

    /// The value at a place, if the list is that long.
    pub fn get(&self, at: usize) -> Option<T> {
        self.cells.get(at).copied().flatten()
    }

    /// The first value.
    pub fn first(&self) -> Option<T> {
        self.get(0)
    }

    /// Replaces the value at a place that exists.
    pub fn set(&mut self, at: usize, value: T) {
        self.cells[at] = Some(value);
    }

    /// Adds a value at the end.
    ///
    /// # Panics
    /// If the list is full: then `N` is too small for a configuration.
    pub fn push(&mut self, value: T) {
        let end = self.len();
        self.cells[end] = Some(value);
    }

    /// The list without the value at a place.
    #[must_use]
    pub fn without(&self, at: usize) -> Self {
        self.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, value)| value).collect()
    }

    /// The list without the values that `keep` refuses.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&T) -> bool) -> Self {
        self.iter().filter(keep).collect()
    }

    /// Orders the values by a key; equal keys keep their order.
    pub fn sort_by_key<K: Ord>(&mut self, key: impl Fn(&T) -> K) {
        let end = self.len();
        self.cells[..end].sort_by_key(|cell| cell.as_ref().map(&key));
    }
}

impl<T: Copy + Ord, const N: usize> List<T, N> {
    /// Adds a value to a list kept as an ordered set.
    pub fn add(&mut self, value: T) {
        if self.iter().all(|other| other != value) {
            self.push(value);
            self.sort_by_key(|value| *value);
        }
    }
}

impl<T: Copy, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy, const N: usize> FromIterator<T> for List<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut list = Self::new();
        for (at, value) in values.into_iter().enumerate() {
            list.cells[at] = Some(value);
        }
        list
    }
}

impl<T: Copy + Hash, const N: usize> Hash for List<T, N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.len());
        for value in self.iter() {
            value.hash(state);
        }
    }
}
