//! What every search index must do, as stories; the last one compares it with the twin, step by step.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use std::sync::Arc;

use async_trait::async_trait;
use ostracon_domain::{ConversationId, History, MessageId, Millis, UserId};

use crate::{
    memory::MemorySearch,
    search::{Document, Hit, Indexed, SearchFor, SearchIndex, Span, Update, Wanted},
};

/// Makes indexes of one backend.
#[async_trait]
pub trait SearchFixture: Send + Sync {
    /// An empty one.
    async fn fresh(&self) -> Arc<dyn SearchIndex>;
}

/// Tells every story, one after another.
pub async fn run_all(fixture: &dyn SearchFixture) {
    eprintln!("story search::what_is_taken_in_is_found");
    what_is_taken_in_is_found(&*fixture.fresh().await).await;
    eprintln!("story search::edits_and_removals");
    edits_and_removals(&*fixture.fresh().await).await;
    eprintln!("story search::positions_are_kept");
    positions_are_kept(&*fixture.fresh().await).await;
    eprintln!("story search::spans_and_filters");
    spans_and_filters(&*fixture.fresh().await).await;
    eprintln!("story search::strange_tokens");
    strange_tokens(&*fixture.fresh().await).await;
    eprintln!("story search::answers_as_the_twin_does");
    answers_as_the_twin_does(&*fixture.fresh().await).await;
}

const FIRST_MS: Millis = 1_700_000_000_000;

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

fn conversation(number: u64) -> ConversationId {
    ConversationId::direct(user(1_000 + number), user(1))
}

fn message_id(ms: u64) -> MessageId {
    MessageId::from_parts(FIRST_MS + ms.cast_signed(), 1, 0).unwrap()
}

fn document(seq: u64, ms: u64, tokens: &[&str]) -> Document {
    let mut tokens: Vec<String> = tokens.iter().map(|token| (*token).to_owned()).collect();
    tokens.sort_unstable();
    tokens.dedup();
    Document { seq, message_id: message_id(ms), sender: user(1), has_attachment: false, tokens }
}

fn at(rev: u64) -> Option<Indexed> {
    Some(Indexed { history: History(7), rev })
}

fn update(number: u64, rev: u64, documents: Vec<Document>) -> Update {
    Update { documents, indexed: at(rev), ..Update::of(conversation(number)) }
}

fn exact(token: &str) -> Wanted {
    Wanted { token: token.to_owned(), prefix: false }
}

fn prefix(token: &str) -> Wanted {
    Wanted { token: token.to_owned(), prefix: true }
}

fn all_of(numbers: &[u64], tokens: Vec<Wanted>) -> SearchFor {
    let spans = numbers
        .iter()
        .map(|number| Span { conversation: conversation(*number), from: 1, to: u64::MAX >> 1 })
        .collect();
    SearchFor {
        tokens,
        spans,
        sender: None,
        has_attachment: false,
        from: 0,
        below: u64::MAX >> 1,
        limit: 100,
    }
}

async fn seqs(index: &dyn SearchIndex, wanted: SearchFor) -> Vec<u64> {
    index.search(wanted).await.unwrap().iter().map(|hit| hit.seq).collect()
}

async fn what_is_taken_in_is_found(index: &dyn SearchIndex) {
    let documents = vec![
        document(1, 10, &["foo", "png"]),
        document(2, 20, &["food"]),
        document(3, 30, &["上海", "海东", "东"]),
    ];
    index
        .update(vec![update(1, 3, documents), update(2, 1, vec![document(1, 15, &["foo"])])])
        .await
        .unwrap();
    let hits = index.search(all_of(&[1, 2], vec![exact("foo")])).await.unwrap();
    let expected = [(15, 2, 1), (10, 1, 1)].map(|(ms, number, seq)| Hit {
        message_id: message_id(ms),
        conversation: conversation(number),
        seq,
    });
    assert_eq!(hits, expected);
    assert_eq!(seqs(index, all_of(&[1], vec![prefix("foo")])).await, [2, 1]);
    assert_eq!(seqs(index, all_of(&[1], vec![prefix("foo"), exact("png")])).await, [1]);
    assert_eq!(seqs(index, all_of(&[1], vec![exact("foo"), exact("food")])).await, [0; 0]);
    assert_eq!(seqs(index, all_of(&[1], vec![exact("上海"), prefix("东")])).await, [3]);
    assert_eq!(seqs(index, all_of(&[], vec![exact("foo")])).await, [0; 0]);
    assert_eq!(seqs(index, all_of(&[3], vec![exact("foo")])).await, [0; 0]);
    let stats = index.stats().await.unwrap();
    assert_eq!((stats.conversations, stats.messages), (2, 4));
}

async fn edits_and_removals(index: &dyn SearchIndex) {
    let documents = (1..=6).map(|seq| document(seq, seq, &["old", "all"])).collect();
    index.update(vec![update(1, 6, documents)]).await.unwrap();
    index.update(vec![update(1, 7, vec![document(2, 2, &["new", "all"])])]).await.unwrap();
    assert_eq!(seqs(index, all_of(&[1], vec![exact("old")])).await, [6, 5, 4, 3, 1]);
    assert_eq!(seqs(index, all_of(&[1], vec![exact("new")])).await, [2]);
    let removal = Update { removed: vec![3, 99], indexed: at(8), ..Update::of(conversation(1)) };
    index.update(vec![removal]).await.unwrap();
    assert_eq!(seqs(index, all_of(&[1], vec![exact("all")])).await, [6, 5, 4, 2, 1]);
    let gone = Update { gone_below: 5, indexed: at(9), ..Update::of(conversation(1)) };
    index.update(vec![gone]).await.unwrap();
    assert_eq!(seqs(index, all_of(&[1], vec![exact("all")])).await, [6, 5]);
    while index.tend().await.unwrap() {}
    assert_eq!(seqs(index, all_of(&[1], vec![exact("all")])).await, [6, 5]);
    let fresh = Update { fresh: true, ..update(1, 1, vec![document(1, 50, &["all"])]) };
    index.update(vec![fresh]).await.unwrap();
    assert_eq!(seqs(index, all_of(&[1], vec![exact("all")])).await, [1]);
    index.update(vec![Update::forget(conversation(1))]).await.unwrap();
    assert_eq!(seqs(index, all_of(&[1], vec![exact("all")])).await, [0; 0]);
    let stats = index.stats().await.unwrap();
    assert_eq!((stats.conversations, stats.messages), (0, 0));
}

async fn positions_are_kept(index: &dyn SearchIndex) {
    let ids = [conversation(1), conversation(2), conversation(3)];
    assert_eq!(index.indexed(&ids).await.unwrap(), [None, None, None]);
    let part = Update { documents: vec![document(1, 1, &["a"])], ..Update::of(ids[2]) };
    index.update(vec![update(1, 5, Vec::new()), update(2, 6, Vec::new()), part]).await.unwrap();
    assert_eq!(index.indexed(&ids).await.unwrap(), [at(5), at(6), None]);
    // What is behind changes nothing; another line of numbers does.
    index.update(vec![update(1, 4, vec![document(9, 9, &["a"])])]).await.unwrap();
    assert_eq!(index.indexed(&ids[..1]).await.unwrap(), [at(5)]);
    assert_eq!(seqs(index, all_of(&[1], vec![exact("a")])).await, [0; 0]);
    let other = Some(Indexed { history: History(8), rev: 1 });
    index.update(vec![Update { fresh: true, indexed: other, ..Update::of(ids[0]) }]).await.unwrap();
    assert_eq!(index.indexed(&ids[..1]).await.unwrap(), [other]);
    let mut known = Vec::new();
    let mut after = None;
    while let Some(found) = index.conversations(after, 1).await.unwrap().pop() {
        known.push(found);
        after = Some(found.0);
    }
    let mut expected = vec![(ids[0], other), (ids[1], at(6)), (ids[2], None)];
    expected.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(known, expected);
    index.clear().await.unwrap();
    assert_eq!(index.indexed(&ids).await.unwrap(), [None, None, None]);
    assert_eq!(index.conversations(None, 10).await.unwrap(), []);
}

async fn spans_and_filters(index: &dyn SearchIndex) {
    let documents = (1..=9).map(|seq| Document {
        sender: user(seq % 3 + 1),
        has_attachment: seq % 2 == 0,
        ..document(seq, seq * 10, &["a"])
    });
    index.update(vec![update(1, 9, documents.collect())]).await.unwrap();
    let base = all_of(&[1], vec![exact("a")]);
    let with = |change: &dyn Fn(&mut SearchFor)| {
        let mut wanted = base.clone();
        change(&mut wanted);
        wanted
    };
    assert_eq!(seqs(index, with(&|w| w.limit = 2)).await, [9, 8]);
    assert_eq!(seqs(index, with(&|w| w.sender = Some(user(1)))).await, [9, 6, 3]);
    assert_eq!(seqs(index, with(&|w| w.has_attachment = true)).await, [8, 6, 4, 2]);
    let (third, sixth) = (message_id(30).get(), message_id(60).get());
    assert_eq!(seqs(index, with(&|w| (w.from, w.below) = (third, sixth))).await, [5, 4, 3]);
    assert_eq!(seqs(index, with(&|w| (w.spans[0].from, w.spans[0].to) = (2, 3))).await, [3, 2]);
    assert_eq!(seqs(index, with(&|w| (w.spans[0].from, w.spans[0].to) = (5, 4))).await, [0; 0]);
}

async fn strange_tokens(index: &dyn SearchIndex) {
    let strange = [
        "'",
        "\\",
        ":*",
        "a'b",
        "%",
        "_",
        "😀",
        "нет",
        "\u{10FFFF}",
        "a\u{10FFFF}",
        "& | !",
        "x:*",
    ];
    let documents =
        (1u64..).zip(strange).map(|(seq, token)| document(seq, seq, &[token])).collect();
    index.update(vec![update(1, 20, documents)]).await.unwrap();
    for (seq, token) in (1..).zip(strange) {
        assert_eq!(seqs(index, all_of(&[1], vec![exact(token)])).await, [seq], "{token:?}");
        let found = seqs(index, all_of(&[1], vec![prefix(token)])).await;
        assert_eq!(found, [seq], "{token:?}");
    }
    assert_eq!(seqs(index, all_of(&[1], vec![prefix("a")])).await, [10, 4]);
}

/// A small generator, so that a story is the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % sides
    }

    fn word(&mut self) -> String {
        // Few common words, many rare ones.
        let rarity = 1 << self.roll(11);
        let number = self.roll(rarity);
        ["w", "слово", "海"][(number % 3) as usize].to_owned() + &number.to_string()
    }
}

async fn answers_as_the_twin_does(index: &dyn SearchIndex) {
    let twin = MemorySearch::default();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut heads = [0u64; 12];
    let mut rev = 0;
    for step in 0..120u64 {
        rev += 1;
        let mut updates = Vec::new();
        for (number, head) in (0u64..).zip(&mut heads) {
            if dice.roll(3) == 0 {
                continue;
            }
            let mut changed = update(number, rev, Vec::new());
            match dice.roll(20) {
                0 => (changed.fresh, *head) = (true, 0),
                1 => changed.gone_below = *head / 2,
                2 => changed.removed = (0..3).map(|_| dice.roll(*head + 2)).collect(),
                _ => {}
            }
            for _ in 0..dice.roll(30) {
                let seq =
                    if *head > 0 && dice.roll(8) == 0 { dice.roll(*head) + 1 } else { *head + 1 };
                *head = seq.max(*head);
                let words: Vec<String> = (0..dice.roll(12)).map(|_| dice.word()).collect();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let mut one = document(seq, (step * 1_000 + number) * 1_000 + seq, &words);
                one.sender = user(dice.roll(4) + 1);
                one.has_attachment = dice.roll(5) == 0;
                changed.removed.retain(|removed| *removed != seq);
                changed.documents.retain(|known| known.seq != seq);
                if seq >= changed.gone_below {
                    changed.documents.push(one);
                }
            }
            changed.documents.sort_by_key(|document| document.seq);
            updates.push(changed);
        }
        index.update(updates.clone()).await.unwrap();
        twin.update(updates).await.unwrap();
        if dice.roll(4) == 0 {
            index.tend().await.unwrap();
        }
        for _ in 0..8 {
            let numbers: Vec<u64> = (0..12).filter(|_| dice.roll(2) == 0).collect();
            let tokens = (0..=dice.roll(2)).map(|_| {
                let token = dice.word();
                let prefix = dice.roll(2) == 0;
                let keep = if prefix { dice.roll(4) + 1 } else { 99 };
                Wanted { token: token.chars().take(keep as usize).collect(), prefix }
            });
            let mut wanted = all_of(&numbers, tokens.collect());
            for span in &mut wanted.spans {
                span.from = dice.roll(50);
                span.to = span.from + dice.roll(500);
            }
            wanted.sender = (dice.roll(4) == 0).then(|| user(2));
            wanted.has_attachment = dice.roll(6) == 0;
            wanted.limit = (dice.roll(30) + 1) as u32;
            let found = index.search(wanted.clone()).await.unwrap();
            assert_eq!(
                found,
                twin.search(wanted.clone()).await.unwrap(),
                "step {step}: {wanted:?}"
            );
            if let Some(last) = found.last() {
                wanted.below = last.message_id.get();
                let next = index.search(wanted.clone()).await.unwrap();
                assert_eq!(next, twin.search(wanted).await.unwrap());
            }
        }
    }
    let (stats, expected) = (index.stats().await.unwrap(), twin.stats().await.unwrap());
    assert_eq!(stats.messages, expected.messages);
    assert_eq!(
        index.conversations(None, 100).await.unwrap(),
        twin.conversations(None, 100).await.unwrap()
    );
}
