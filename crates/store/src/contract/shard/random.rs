//! Random commands, told to a backend and to the twin: the same answers and the same rows, to the last field.

use std::sync::Arc;

use ostracon_domain::{
    Action, AnnexKind, Applied, ConversationId, GroupChange, GroupSettings, History, HistoryFor,
    InboxAction, InboxChange, Level, LifeChange, MessageId, NewInvite, NewMessage, Role,
    RulesChange, ShardId, UserId, ViewChange,
};

use super::{
    ShardFixture,
    world::{
        START, World, edit, group, home, home_of, inbox_order, new_group, order, react, say, send,
        send_as, units, user,
    },
};
use crate::{
    memory::{CountingIds, MemoryShard},
    read::{AnnexPage, ChangesSince, InboxPage, MembersPage, MessagePage, Overview, PagePosition},
    shard::{Ids, Order, Read, ShardError},
};

const SEEDS: u64 = 4;
const BATCHES: u64 = 60;
const ORDERS: u64 = 12;

/// A small generator with a printed seed (splitmix64).
struct Chance(u64);

impl Chance {
    const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    const fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    fn user(&mut self) -> UserId {
        user(1 + self.below(5))
    }

    fn conversation(&mut self) -> ConversationId {
        if self.below(3) == 0 {
            group(1 + self.below(2) as u8)
        } else {
            ConversationId::direct(user(1 + self.below(2)), user(1 + self.below(4)))
        }
    }

    fn seq(&mut self) -> u64 {
        1 + self.below(25)
    }

    fn action(&mut self) -> Action {
        let seq = self.seq();
        match self.below(34) {
            0..=8 => send("hello"),
            9..=11 => send_as(&format!("c-{}", self.below(40)), ["a", "b"][self.below(2) as usize]),
            12 => Action::Send(NewMessage { reply_to: Some(seq), ..say("answer") }),
            13 | 14 => edit(seq, &format!("edit {}", self.below(5))),
            15 if self.below(6) == 0 => Action::Retain { from: seq / 2 },
            15 if self.below(6) == 0 => Action::SetLife(LifeChange {
                timer_s: Some(self.flip().then_some(5)),
                retention_s: None,
            }),
            15 if self.below(4) == 0 => Action::Expire { seqs: vec![seq, seq + 1] },
            15 if self.flip() => Action::Hide { seq },
            16 if self.flip() => Action::Pin { seq, remove: self.flip() },
            15 => Action::Delete { seq },
            16 | 17 => {
                let emoji = ["👍", "❤️", "🎂"][self.below(3) as usize];
                react(seq, emoji, self.below(3) == 0)
            }
            18 | 19 => Action::MarkRead { seq },
            20 => Action::MarkDelivered { seq },
            21 => Action::AddMembers { users: vec![self.user(), self.user()] },
            22 => Action::RemoveMember { user: self.user() },
            23 => Action::SetRole {
                user: self.user(),
                role: [Role::Member, Role::Admin, Role::Owner][self.below(3) as usize],
            },
            24 => Action::ChangeView(ViewChange {
                hidden_to: self.flip().then_some(seq),
                muted_until: Some(self.flip().then_some(START)),
            }),
            25 => Action::Change(GroupChange {
                name: Some(format!("name {}", self.below(3))),
                settings: Some(GroupSettings {
                    history_for: if self.flip() {
                        HistoryFor::All
                    } else {
                        HistoryFor::SinceJoining
                    },
                }),
                rules: RulesChange {
                    system_messages: Some(self.flip()),
                    pin: Some(if self.flip() { Level::Everyone } else { Level::Admins }),
                    ..RulesChange::default()
                },
            }),
            26 if self.below(8) == 0 => Action::DeleteGroup,
            27 => Action::OpenDirect,
            28 => Action::Ban { user: self.user(), until: None },
            29 => Action::Unban { user: self.user() },
            30 => Action::CreateInvite(NewInvite {
                place: self.below(3) as u8,
                hash: [1; 32],
                expires_at: None,
                max_uses: Some(1 + self.below(2) as u32),
            }),
            31 => Action::Join { place: self.below(3) as u8, hash: [1; 32] },
            _ => new_group("g", &[user(2), user(3)]),
        }
    }

    fn order(&mut self) -> Order {
        if self.below(6) > 0 {
            let (conversation, actor) = (self.conversation(), self.user());
            return order(conversation, actor, self.action());
        }
        let conversation = self.conversation();
        let action = if self.below(3) == 0 {
            InboxAction::Set {
                conversation,
                pinned: self.flip().then(|| self.flip()),
                archived: self.flip().then(|| self.flip()),
                marked_unread: self.flip().then(|| self.flip()),
                draft: self.flip().then(|| self.flip().then(|| "begun".to_owned())),
            }
        } else {
            let rev = self.below(30);
            InboxAction::Apply(vec![InboxChange {
                conversation,
                applied: Applied {
                    history: History(self.below(20) / 19),
                    rev,
                    mark_rev: self.below(30),
                },
                last_seq: rev / 2,
                last_activity_at: START + rev as i64,
                view: self.flip().then(|| (self.below(9), None)),
                large: self.flip(),
                removed: self.below(20) == 0,
            }])
        };
        inbox_order(self.user(), action)
    }

    fn page(&mut self) -> MessagePage {
        let limit = self.below(12) as u32;
        let position = match self.below(3) {
            0 => PagePosition::Seq(self.below(30)),
            1 => PagePosition::Time(START + self.below(700) as i64),
            _ => {
                let ms = START + self.below(700) as i64;
                let counter = self.below(8) as u16;
                PagePosition::Id(MessageId::from_parts(ms, 1, counter).unwrap())
            }
        };
        match self.below(4) {
            0 => MessagePage::Newest { limit },
            1 => MessagePage::Before { position, limit },
            2 => MessagePage::After { position, limit },
            _ => MessagePage::Around { position, limit },
        }
    }
}

pub(super) async fn answers_as_the_twin_does(fixture: &dyn ShardFixture) {
    'seeds: for seed in 1..=SEEDS {
        eprintln!("seed {seed}");
        let mut chance = Chance(seed);
        let mut world = World::new(fixture).await;
        let ids: Arc<dyn Ids> = Arc::new(CountingIds::new(1, 1));
        let shard = MemoryShard::serving(ShardId(0), Arc::clone(&ids), units());
        let twin = World::of(Arc::new(shard), ids);
        for round in 0..BATCHES {
            let orders: Vec<Order> =
                (0..1 + chance.below(ORDERS)).map(|_| chance.order()).collect();
            let answers = world.batch(orders.clone()).await;
            assert_eq!(answers, twin.batch(orders).await, "batch {round}");
            for _ in 0..4 {
                compare(&world, &twin, &mut chance).await;
            }
            if round % 20 == 19 {
                let Some(after) = world.reopened(fixture).await else {
                    continue 'seeds;
                };
                world = after;
            }
        }
        for unit in units() {
            assert_eq!(world.scan(unit, 7).await, twin.scan(unit, 1_000).await);
        }
    }
}

/// One random question of each kind.
async fn compare(world: &World, twin: &World, chance: &mut Chance) {
    let (id, reader) = (chance.conversation(), chance.user());
    let (at, page) = (home(id), chance.page());
    let (mine, other) = (&world.shard, &twin.shard);
    let question = format!("{page:?} of {id} by {reader}");
    assert_eq!(
        mine.messages(at, id, reader, page).await,
        other.messages(at, id, reader, page).await,
        "{question}"
    );
    let wanted = [(at, id), (home(group(1)), group(1))];
    assert_eq!(
        comparable(mine.overviews(reader, &wanted).await),
        comparable(other.overviews(reader, &wanted).await),
        "{question}"
    );
    let since = ChangesSince {
        conversation: id,
        reader,
        rev: chance.below(40),
        mark_rev: chance.below(20),
        limit: 1 + chance.below(20) as u32,
    };
    assert_eq!(mine.changes(at, since).await, other.changes(at, since).await, "{since:?}");
    let first = if chance.flip() { 0 } else { chance.below(7) };
    let annexes = AnnexPage {
        kind: AnnexKind::ALL[chance.below(AnnexKind::ALL.len() as u64) as usize],
        first,
        from: chance.below(9),
        to: chance.below(40),
        descending: chance.flip(),
        limit: 1 + chance.below(4) as u32,
        with_messages: chance.flip(),
    };
    assert_eq!(
        mine.annexes(at, id, reader, annexes).await,
        other.annexes(at, id, reader, annexes).await,
        "{annexes:?}"
    );
    let members = MembersPage {
        after: chance.flip().then(|| chance.user()),
        limit: 1 + chance.below(4) as u32,
    };
    assert_eq!(
        mine.members(at, id, members).await,
        other.members(at, id, members).await,
        "{members:?}"
    );
    let inbox = InboxPage {
        after: chance.flip().then(|| (START + chance.below(30) as i64, id)),
        limit: 1 + chance.below(4) as u32,
    };
    let at = home_of(reader);
    assert_eq!(
        mine.inbox(at, reader, inbox).await,
        other.inbox(at, reader, inbox).await,
        "{inbox:?}"
    );
    let since = chance.below(20);
    assert_eq!(
        mine.inbox_changes(at, reader, since, 3).await,
        other.inbox_changes(at, reader, since, 3).await,
        "since {since}"
    );
    assert_eq!(mine.inbox_large(at, reader).await, other.inbox_large(at, reader).await);
    assert_eq!(mine.inbox_entry(at, reader, id).await, other.inbox_entry(at, reader, id).await);
}

/// What does not count means something for present members only.
fn comparable(
    mut answer: Result<Vec<Read<Overview>>, ShardError>,
) -> Result<Vec<Read<Overview>>, ShardError> {
    for read in answer.iter_mut().flatten() {
        if let Read::Rows(seen) = read
            && !seen.member.as_ref().is_some_and(|m| m.is_present())
        {
            seen.uncounted = 0;
            seen.mentions = 0;
        }
    }
    answer
}
