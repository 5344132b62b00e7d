//! Readers that race with commits, applying and evicting: they see all that was acked before they asked, and nothing torn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ostracon_domain::{Action, Edit};
use ostracon_store::{ChangesSince, Read, Shard};

use crate::fixture::{ALICE, BOB, Home, commit, direct, home, newest, order, say, send};

const MESSAGES: u64 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn readers_see_all_that_was_acked_and_nothing_torn() {
    let place = Home::of_pair(None).await;
    let shard = place.shard();
    say(&*shard, "first").await.unwrap();
    let acked = Arc::new(AtomicU64::new(1));

    // Each step: a message, an edit of an old one, a reaction to another one. The rev then is known.
    let writer = tokio::spawn({
        let (shard, acked) = (Arc::clone(&shard), Arc::clone(&acked));
        async move {
            for n in 2..=MESSAGES {
                let edit =
                    Edit { seq: n / 2, content: format!("edited at {n}"), if_content_rev: None };
                let react =
                    Action::React { seq: 1 + n / 3, emoji: "👍".to_owned(), remove: n % 2 == 0 };
                let orders = vec![
                    send(&n.to_string(), &n.to_string()),
                    order(ALICE, Action::Edit(edit)),
                    order(BOB, react),
                ];
                let done = commit(&*shard, orders).await.unwrap();
                assert_eq!(done.answers.len(), 3);
                acked.store(n, Ordering::SeqCst);
            }
        }
    });
    // Tables overtake the overlay again and again.
    let applier = tokio::spawn({
        let (shard, acked) = (Arc::clone(&shard), Arc::clone(&acked));
        async move {
            while acked.load(Ordering::SeqCst) < MESSAGES {
                shard.flush().await.unwrap();
                shard.forget_cache().await;
            }
        }
    });
    let readers: Vec<_> =
        (0..3).map(|_| tokio::spawn(read(place.shard(), Arc::clone(&acked)))).collect();
    let all = async {
        writer.await.unwrap();
        applier.await.unwrap();
        for reader in readers {
            reader.await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(120), all).await.unwrap();
}

async fn read(shard: Arc<dyn Shard>, acked: Arc<AtomicU64>) {
    // What a device holds: the newest rev of each message, complete up to `rev`.
    let mut held = vec![0u64; MESSAGES as usize + 1];
    let (mut rev, mut mark_rev) = (0, 0);
    loop {
        let before = acked.load(Ordering::SeqCst);
        let page = newest(&*shard, MESSAGES as u32).await.unwrap();
        let head = page.conversation.head_seq;
        assert!(head >= before);
        let seqs: Vec<u64> = page.messages.iter().map(|view| view.message.seq).collect();
        assert_eq!(seqs, (1..=head).collect::<Vec<_>>());
        // Every edit of a step that was acked is there.
        for view in &page.messages {
            let (seq, text) = (view.message.seq, &view.message.content);
            let edited = (2 * seq..=2 * seq + 1).rfind(|n| *n <= before && *n >= 2);
            if let Some(n) = edited {
                let at: u64 = text.trim_start_matches("edited at ").parse().unwrap();
                assert!(text.starts_with("edited") && at >= n, "{seq} is {text:?} after step {n}");
            }
            let likes = view.reactions.iter().map(|group| group.users.len()).sum::<usize>();
            assert!(likes <= 1);
        }

        let since =
            ChangesSince { conversation: direct(), reader: ALICE, rev, mark_rev, limit: 50 };
        let Read::Rows(changes) = shard.changes(home(direct()), since).await.unwrap() else {
            panic!("no changes");
        };
        for view in &changes.messages {
            held[view.message.seq as usize] = view.message.rev;
        }
        (rev, mark_rev) = (changes.rev, changes.mark_rev);
        // A device that is level holds each message at least as an earlier page showed it.
        for view in page.messages.iter().filter(|_| !changes.more) {
            assert!(held[view.message.seq as usize] >= view.message.rev);
        }
        if before == MESSAGES && !changes.more {
            return;
        }
    }
}
