//! What a device knows, kept right by `/sync` and `changes` alone: the rules of a good client in
//! their shortest form.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::User;

/// One conversation as held.
#[derive(Debug, Default, Clone)]
pub(crate) struct Held {
    pub(crate) history: String,
    pub(crate) rev: u64,
    pub(crate) mark_rev: u64,
    /// By seq.
    pub(crate) messages: BTreeMap<u64, Value>,
    /// By user.
    pub(crate) members: BTreeMap<u64, Value>,
    /// Read and delivered marks by user.
    pub(crate) marks: BTreeMap<u64, (u64, u64)>,
    /// The entry of the last `/sync`.
    pub(crate) entry: Value,
}

#[derive(Debug, Default)]
pub(crate) struct Replica {
    pub(crate) cursor: Option<String>,
    pub(crate) conversations: BTreeMap<String, Held>,
    /// How often something had to be dropped.
    pub(crate) resets: usize,
}

impl Replica {
    /// A device that has never asked before, level now.
    pub(crate) async fn fresh(user: &User) -> Self {
        let mut replica = Self::default();
        replica.level(user).await;
        replica
    }

    pub(crate) fn of(&self, conversation: &str) -> &Held {
        self.conversations.get(conversation).expect("the conversation is in the list")
    }

    /// Asks until nothing is missing; the entries and removals of `/sync`.
    pub(crate) async fn level(&mut self, user: &User) -> (Vec<Value>, Vec<Value>) {
        let (mut entries, mut removed) = (Vec::new(), Vec::new());
        loop {
            let query = self.cursor.as_ref().map(|cursor| format!("&cursor={cursor}"));
            let path = format!("/sync?limit=3{}", query.unwrap_or_default());
            let answer = user.get(&path).await.is(200);
            if answer["reset"] == true {
                self.resets += 1;
                entries.clear();
            }
            self.cursor = Some(answer["cursor"].as_str().unwrap().to_owned());
            entries.extend(answer["conversations"].as_array().unwrap().iter().cloned());
            removed.extend(answer["removed"].as_array().unwrap().iter().cloned());
            if answer["more"] == false {
                break;
            }
        }
        for id in &removed {
            self.conversations.remove(id.as_str().unwrap());
        }
        for entry in &entries {
            let row = &entry["conversation"];
            let id = row["conversation_id"].as_str().unwrap();
            let held = self.conversations.entry(id.to_owned()).or_default();
            held.entry = entry.clone();
            let heard = row["rev"].as_u64().unwrap();
            let marks = row["mark_rev"].as_u64().unwrap();
            if held.history != row["history"] || held.rev < heard || held.mark_rev < marks {
                self.resets += usize::from(held.follow(user, id).await);
            }
        }
        (entries, removed)
    }
}

impl Held {
    /// Follows `changes` to its end; whether everything had to be dropped.
    async fn follow(&mut self, user: &User, id: &str) -> bool {
        let mut dropped = false;
        loop {
            let line = match self.history.as_str() {
                "" => String::new(),
                history => format!("&history={history}"),
            };
            let path = format!(
                "/conversations/{id}/changes?since_rev={}&since_mark={}{line}&limit=400",
                self.rev, self.mark_rev
            );
            let answer = user.get(&path).await.is(200);
            if answer["reset"] == true {
                assert!(!dropped, "a reset after a reset");
                dropped = true;
                *self = Self { entry: self.entry.clone(), ..Self::default() };
                continue;
            }
            self.take(&answer);
            if answer["more"] == false {
                return dropped;
            }
        }
    }

    fn take(&mut self, answer: &Value) {
        let rev = |row: &Value| row["rev"].as_u64().unwrap();
        let mut last = self.rev;
        for message in answer["messages"].as_array().unwrap() {
            assert!(rev(message) >= last, "rows come in the order of their rev: {answer}");
            last = rev(message);
            let seq = message["seq"].as_u64().unwrap();
            if self.messages.get(&seq).is_none_or(|held| rev(held) <= rev(message)) {
                self.messages.insert(seq, message.clone());
            }
        }
        for member in answer["members"].as_array().unwrap() {
            self.members.insert(member["user_id"].as_u64().unwrap(), member.clone());
        }
        for receipt in answer["receipts"].as_array().unwrap() {
            let mark = |field: &str| receipt[field].as_u64().unwrap();
            let held = self.marks.entry(mark("user_id")).or_default();
            *held = (held.0.max(mark("read_seq")), held.1.max(mark("delivered_seq")));
        }
        answer["history"].as_str().unwrap().clone_into(&mut self.history);
        self.rev = self.rev.max(answer["rev"].as_u64().unwrap());
        self.mark_rev = self.mark_rev.max(answer["mark_rev"].as_u64().unwrap());
    }

    /// The texts by seq; `-` for a tombstone.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.messages.values().map(|row| row["content"].as_str().unwrap_or("-")).collect()
    }
}
