//! What arrived on one connection: every seq once, in order.

use std::collections::HashMap;

/// The seqs of each conversation that one connection saw, as answers and events.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    last: HashMap<[u8; 36], u64>,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) lost: u64,
}

impl Seen {
    /// Notes a seq of a conversation, by the 36 characters of its id. Seqs begin at 1: a 0 counts as doubled.
    pub(crate) fn note(&mut self, conversation: &[u8; 36], seq: u64) {
        let last = self.last.entry(*conversation).or_insert(seq.saturating_sub(1));
        match seq {
            seq if seq == *last + 1 => *last = seq,
            seq if seq == *last => self.duplicated += 1,
            seq if seq < *last => self.reordered += 1,
            seq => {
                self.lost += seq - *last - 1;
                *last = seq;
            }
        }
    }

    /// The newest seq seen of a conversation.
    pub(crate) fn head(&self, conversation: &[u8; 36]) -> u64 {
        self.last.get(conversation).copied().unwrap_or(0)
    }

    /// Conversations seen, with their newest seq.
    pub(crate) fn heads(&self) -> impl Iterator<Item = (&[u8; 36], u64)> {
        self.last.iter().map(|(id, head)| (id, *head))
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn every_seq_counts_once_and_in_order() {
        let (id, mut seen) = ([b'a'; 36], Seen::default());
        for seq in [4, 5, 5, 3, 8] {
            seen.note(&id, seq);
        }
        assert_eq!((seen.duplicated, seen.reordered, seen.lost), (1, 1, 2));
        assert_eq!(seen.head(&id), 8);
    }

    #[test]
    fn a_seq_that_no_message_has_is_a_fault() {
        let (id, mut seen) = ([b'a'; 36], Seen::default());
        seen.note(&id, 0);
        assert_eq!((seen.duplicated, seen.head(&id)), (1, 0));
    }
}
