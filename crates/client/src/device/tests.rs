//! Stories of one device: what goes in, what it asks and sends, what it shows.

mod late;

use super::*;
use ostracon_domain::{ConversationKind, History, MessageId, MessageKind, Role};
use ostracon_proto::{
    Conversation as Info, Entry, ErrorObject, Inbox, Member, Membership, Message, Receipt, Reply,
    frame::{
        ClientFrame, Command, Done, FrameRef, HeartbeatAnswer, Hello, InboxUpdated, MemberUpdated,
        MessageDeleted, MessageSent, MessageUpdated, NewMessage, ReceiptUpdated, ServerFrame,
        SyncRequired,
    },
    rest::{Anchor, Changes, MessagePage, Sync},
};

const LINE: History = History(1);
const OTHER_LINE: History = History(2);

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

fn group() -> ConversationId {
    ConversationId::new_group(1, [7; 10])
}

/// Message `seq` by user 2, at `rev`.
fn message(seq: Seq, rev: Rev, text: &str) -> Message<'static> {
    Message {
        message_id: MessageId::new(seq).unwrap(),
        conversation_id: group(),
        seq,
        rev,
        content_rev: rev,
        sender_id: user(2),
        kind: MessageKind::Text,
        content: Some(text.to_owned().into()),
        timestamp: 1_000 + seq as i64,
        client_id: None,
        edited_at: None,
        deleted_at: None,
        deleted_by: None,
        reply_to: None,
        mentions: Vec::new(),
        reactions: Vec::new(),
        pinned_at: None,
        expires_at: None,
        hidden: false,
        withheld: false,
        history: None,
        mark_rev: None,
        attachments: Vec::new(),
    }
}

fn on(line: History, message: Message<'static>) -> Message<'static> {
    Message { history: Some(line), ..message }
}

fn reply(seq: Seq, rev: Rev, to: Seq, excerpt: &str) -> Message<'static> {
    let excerpt = excerpt.to_owned().into();
    Message {
        reply_to: Some(Reply { seq: to, sender_id: user(2), excerpt }),
        ..message(seq, rev, "reply")
    }
}

fn page(rev: Rev, messages: Vec<Message<'static>>, head_seq: Seq) -> Answer {
    let last = messages.last().map_or(head_seq, |message| message.seq);
    Answer::Page(MessagePage {
        has_more_before: messages.first().is_some_and(|message| message.seq > 1),
        has_more_after: last < head_seq,
        messages,
        first_seq: 1,
        head_seq,
        rev,
        history: LINE,
        stale: false,
    })
}

fn changes(rev: Rev, messages: Vec<Message<'static>>, more: bool) -> Changes<'static> {
    Changes {
        conversation: None,
        messages,
        members: Vec::new(),
        receipts: Vec::new(),
        hidden: Vec::new(),
        rev,
        mark_rev: 0,
        history: LINE,
        more,
        reset: false,
    }
}

fn entry(rev: Rev, last: Option<Message<'static>>, unread: u64) -> Entry<'static> {
    Entry {
        conversation: Info {
            conversation_id: group(),
            kind: ConversationKind::Group,
            name: Some("friends".into()),
            member_count: 3,
            head_seq: last.as_ref().map_or(0, |last| last.seq),
            rev,
            mark_rev: 0,
            history: LINE,
            large: false,
            created_at: 0,
            settings: ostracon_proto::Settings::default(),
            retained_from: None,
            timer_s: None,
            retention_s: None,
        },
        membership: Membership {
            role: Role::Member,
            joined_seq: 1,
            left_seq: None,
            read_seq: 0,
            delivered_seq: 0,
            unread_floor: 0,
        },
        last_message: last,
        unread,
        unread_mentions: 0,
        inbox: Inbox::default(),
    }
}

fn sync(user_rev: u64, conversations: Vec<Entry<'static>>) -> Sync<'static> {
    Sync {
        conversations,
        removed: Vec::new(),
        cursor: format!("cursor-{user_rev}"),
        user_rev,
        more: false,
        reset: false,
    }
}

/// A device with the requests and frames that nobody has looked at yet.
struct Story {
    device: Device,
    asked: Vec<(RequestId, Request)>,
    sent: Vec<ClientFrame<'static>>,
    holds: Vec<(u32, Option<u64>)>,
    events: Vec<Event>,
}

impl Story {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options =
            Options { members: false, marks: false, auto_delivered: false, ..Options::default() };
        change(&mut options);
        Self {
            device: Device::new(user(1), options),
            asked: Vec::new(),
            sent: Vec::new(),
            holds: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Connected, listed and loaded: messages 1 and 2 at rev 2.
    fn loaded() -> Self {
        Self::new().load()
    }

    fn load(mut self) -> Self {
        self.hello();
        self.answer(Answer::Sync(sync(1, vec![entry(2, Some(message(2, 2, "two")), 2)])));
        self.device.open(group());
        self.outputs();
        self.answer(page(2, vec![message(1, 1, "one"), message(2, 2, "two")], 2));
        self
    }

    fn outputs(&mut self) {
        for output in self.device.take_outputs() {
            match output {
                Output::Ask(id, request) => self.asked.push((id, request)),
                Output::Cancel(id) => self.asked.retain(|(asked, _)| *asked != id),
                Output::Frame(frame) => self.sent.push(frame),
                Output::Hold { attempt, retry_after_ms, .. } => {
                    self.holds.push((attempt, retry_after_ms));
                }
                Output::Notify(event) => self.events.push(event),
            }
        }
    }

    fn frame(&mut self, frame: ServerFrame<'_>) {
        self.device.frame(Received { id: None, frame });
        self.outputs();
    }

    /// The answer to the oldest frame that was sent.
    fn reply(&mut self, frame: ServerFrame<'_>) {
        let id = self.sent.remove(0).id;
        self.device.frame(Received { id, frame });
        self.outputs();
    }

    fn refuse(&mut self, code: ErrorCode, retry_after_ms: Option<u64>) {
        let error = ErrorObject { retry_after_ms, ..ErrorObject::new(code, "No.") };
        self.reply(ServerFrame::Error(error));
    }

    fn hello(&mut self) {
        self.frame(ServerFrame::Hello(Hello {
            session_id: "s".into(),
            user_id: user(1),
            heartbeat_s: 30,
            max_frame_bytes: 1_000,
            max_in_flight: 8,
            server_time: 0,
            user_rev: 1,
        }));
    }

    /// Answers the oldest request.
    fn answer(&mut self, answer: Answer) {
        let (id, _) = self.asked.remove(0);
        self.device.answer(id, answer);
        self.outputs();
    }

    fn new_message(&mut self, seq: Seq, rev: Rev, text: &str) {
        self.frame(ServerFrame::NewMessage(NewMessage(on(LINE, message(seq, rev, text)))));
    }

    fn edited(&mut self, seq: Seq, rev: Rev, text: &str) {
        self.frame(ServerFrame::MessageUpdated(MessageUpdated(on(LINE, message(seq, rev, text)))));
    }

    fn inbox_updated(&mut self, history: History, rev: Rev, unread: u64) {
        self.frame(ServerFrame::InboxUpdated(InboxUpdated {
            conversation_id: group(),
            history,
            rev,
            mark_rev: 0,
            user_rev: 5,
            unread,
            inbox: None,
        }));
    }

    /// The only request under way: `changes` since this rev.
    #[track_caller]
    fn asks_changes_since(&self, since: Rev) {
        match &self.asked[..] {
            [(_, Request::Changes { since_rev, history, .. })] => {
                assert_eq!((*since_rev, *history), (since, Some(LINE)));
            }
            other => panic!("{other:?}"),
        }
    }

    fn shown(&self) -> Vec<(Seq, String)> {
        let snapshot = self.device.snapshot(group()).unwrap();
        let text = |message: &Row| message.content.as_deref().unwrap_or("-").to_owned();
        snapshot.messages.iter().map(|message| (message.seq, text(message))).collect()
    }

    #[track_caller]
    fn shows(&self, expect: &[&str]) {
        let shown: Vec<_> = self.shown().into_iter().map(|(_, text)| text).collect();
        assert_eq!(shown, expect);
    }

    fn contents(&self) -> Vec<String> {
        let text = |frame: &ClientFrame<'static>| match &frame.command {
            Command::SendMessage(send) => send.message.content.clone().into_owned(),
            other => format!("{other:?}"),
        };
        self.sent.iter().map(text).collect()
    }

    fn say(&mut self, text: &str) {
        let message = OutgoingMessage::text(text.to_owned());
        self.device.send(group(), message, format!("id-{text}"));
        self.outputs();
    }
}

fn sent(seq: Seq, rev: Rev, text: &str) -> ServerFrame<'static> {
    let client_id = format!("id-{text}");
    let message = Message {
        sender_id: user(1),
        client_id: Some(client_id.clone().into()),
        ..on(LINE, message(seq, rev, text))
    };
    ServerFrame::MessageSent(MessageSent {
        message_id: message.message_id,
        conversation_id: group(),
        seq,
        rev,
        history: LINE,
        timestamp: message.timestamp,
        client_id: Some(client_id.into()),
        message,
    })
}

#[test]
fn the_next_event_is_applied_and_an_old_one_ignored() {
    let mut story = Story::loaded();
    story.new_message(3, 3, "three");
    story.edited(1, 4, "one!");
    story.edited(1, 3, "older");
    story.shows(&["one!", "two", "three"]);
    assert_eq!(story.asked, []);
    assert!(story.device.is_level());
}

#[test]
fn a_jump_asks_for_changes_and_applies_nothing() {
    let mut story = Story::loaded();
    story.new_message(4, 4, "four");
    story.shows(&["one", "two"]);
    story.asks_changes_since(2);
    // What comes while the answer is under way is not lost either.
    story.new_message(5, 5, "five");
    assert_eq!(story.asked.len(), 1);
    story.answer(Answer::Changes(changes(
        4,
        vec![message(3, 3, "three"), message(4, 4, "four")],
        false,
    )));
    story.asks_changes_since(4);
    story.answer(Answer::Changes(changes(5, vec![message(5, 5, "five")], false)));
    story.shows(&["one", "two", "three", "four", "five"]);
    assert!(story.device.is_level());
}

#[test]
fn inbox_updated_with_a_higher_rev_asks_for_changes() {
    let mut story = Story::loaded();
    story.inbox_updated(LINE, 2, 2);
    assert_eq!(story.asked, []);
    story.inbox_updated(LINE, 3, 3);
    story.asks_changes_since(2);
    assert_eq!(story.device.snapshot(group()).unwrap().unread, 3);
}

#[test]
fn more_is_followed_and_nothing_is_shown_beyond_a_gap() {
    let mut story = Story::loaded();
    story.new_message(5, 6, "five");
    story.asks_changes_since(2);
    // Message 3 was edited later than 4 and 5 were sent, so it comes in a later answer.
    story.answer(Answer::Changes(changes(
        5,
        vec![message(4, 4, "four"), message(5, 5, "five")],
        true,
    )));
    story.shows(&["one", "two"]);
    assert!(!story.device.snapshot(group()).unwrap().level);
    story.asks_changes_since(5);
    // An event that is the next does not end it.
    story.edited(5, 6, "five!");
    story.answer(Answer::Changes(changes(7, vec![message(3, 7, "three")], false)));
    story.shows(&["one", "two", "three", "four", "five!"]);
    assert!(story.device.is_level());
}

#[test]
fn a_page_older_than_what_is_held_waits_for_its_changes() {
    let mut story = Story::new();
    story.hello();
    story.answer(Answer::Sync(sync(1, vec![entry(3, Some(message(3, 3, "three")), 0)])));
    story.device.open(group());
    story.outputs();
    story.answer(page(3, vec![message(3, 3, "three")], 3));
    assert!(story.device.load_older(group()));
    assert!(!story.device.load_older(group()), "one at a time");
    story.outputs();
    let Some((_, Request::Page { anchor, .. })) = story.asked.first() else { panic!() };
    assert_eq!(*anchor, Anchor::Before(Position::Seq(3)));
    // Both older messages change while the page is under way.
    story.edited(1, 4, "one!");
    story.edited(2, 5, "two!");
    story.answer(page(3, vec![message(1, 1, "one"), message(2, 2, "two")], 3));
    story.shows(&["three"]);
    story.asks_changes_since(3);
    // Another change comes first: once more.
    story.edited(1, 6, "one!!");
    let rows = vec![message(1, 4, "one!"), message(2, 5, "two!")];
    story.answer(Answer::Changes(changes(5, rows, false)));
    story.shows(&["three"]);
    story.asks_changes_since(5);
    story.answer(Answer::Changes(changes(6, vec![message(1, 6, "one!!")], false)));
    story.shows(&["one!!", "two!", "three"]);
    assert!(story.device.is_level());
}

#[test]
fn a_newer_page_does_not_raise_the_own_rev() {
    let mut story = Story::new();
    story.hello();
    story.answer(Answer::Sync(sync(1, vec![entry(3, Some(message(3, 3, "three")), 0)])));
    story.device.open(group());
    story.outputs();
    story.answer(page(3, vec![message(3, 3, "three")], 3));
    story.device.load_older(group());
    story.outputs();
    story.answer(page(5, vec![message(1, 5, "one!"), message(2, 2, "two")], 3));
    assert_eq!(story.device.snapshot(group()).unwrap().rev, 3);
    // Rev 4 changed message 3, and is not lost.
    story.edited(3, 4, "three!");
    story.edited(1, 5, "one!");
    story.shows(&["one!", "two", "three!"]);
    assert!(story.device.is_level());
}

#[test]
fn a_first_page_older_than_what_was_heard_is_shown_when_it_has_caught_up() {
    let mut story = Story::new();
    story.hello();
    story.answer(Answer::Sync(sync(1, vec![entry(2, Some(message(2, 2, "two")), 0)])));
    story.device.open(group());
    story.outputs();
    story.new_message(3, 3, "three");
    story.answer(page(2, vec![message(1, 1, "one"), message(2, 2, "two")], 2));
    story.shows(&[]);
    assert!(!story.device.snapshot(group()).unwrap().loaded);
    story.asks_changes_since(2);
    story.answer(Answer::Changes(changes(3, vec![message(3, 3, "three")], false)));
    story.shows(&["one", "two", "three"]);
}

#[test]
fn another_history_drops_what_is_held_and_loads_again() {
    let mut story = Story::loaded();
    story.inbox_updated(LINE, 3, 3);
    let late = story.asked[0].0;
    story.frame(ServerFrame::MessageUpdated(MessageUpdated(on(
        OTHER_LINE,
        message(1, 3, "new one"),
    ))));
    story.shows(&[]);
    // The request of the old line is cancelled, and its late answer is thrown away.
    assert!(matches!(story.asked[..], [(_, Request::Page { anchor: Anchor::Newest, .. })]));
    let late_answer = changes(3, vec![message(1, 3, "old one")], false);
    story.device.answer(late, Answer::Changes(late_answer));
    story.outputs();
    let Answer::Page(fresh) = page(3, vec![message(1, 3, "new one")], 1) else { unreachable!() };
    story.answer(Answer::Page(MessagePage { history: OTHER_LINE, ..fresh }));
    story.shows(&["new one"]);
}

#[test]
fn a_reset_of_changes_loads_again() {
    let mut story = Story::loaded();
    story.new_message(9, 9, "nine");
    story.answer(Answer::Changes(Changes { reset: true, ..changes(0, Vec::new(), false) }));
    story.shows(&[]);
    assert!(matches!(story.asked[..], [(_, Request::Page { anchor: Anchor::Newest, .. })]));
}

#[test]
fn a_reset_of_sync_forgets_what_it_does_not_name() {
    let mut story = Story::loaded();
    let other = ConversationId::direct(user(1), user(3));
    story.frame(ServerFrame::SyncRequired(SyncRequired {}));
    let mut direct = entry(1, None, 0);
    direct.conversation.conversation_id = other;
    let first = Sync { more: true, reset: true, ..sync(7, vec![direct]) };
    story.answer(Answer::Sync(first));
    assert!(
        matches!(&story.asked[..], [(_, Request::Sync { cursor: Some(at), .. })] if at == "cursor-7")
    );
    assert_eq!(story.device.chat_list().len(), 2, "the listing goes on");
    story.answer(Answer::Sync(sync(8, Vec::new())));
    let ids: Vec<_> =
        story.device.chat_list().iter().map(|line| line.info.conversation_id).collect();
    assert_eq!(ids, [other]);
    assert!(story.events.contains(&Event::Removed(group())));
    // It was looked at: when it comes back, it is loaded again.
    story.new_message(3, 3, "three");
    assert!(story.asked.iter().any(|(_, request)| matches!(request, Request::Page { .. })));
}

#[test]
fn a_reset_of_sync_keeps_what_was_heard_of_meanwhile() {
    let mut story = Story::loaded();
    story.frame(ServerFrame::SyncRequired(SyncRequired {}));
    story.new_message(3, 3, "three");
    story.answer(Answer::Sync(Sync { reset: true, ..sync(7, Vec::new()) }));
    story.shows(&["one", "two", "three"]);
    // The listing may be older than that: it is asked for once more.
    assert!(matches!(story.asked[..], [(_, Request::Sync { .. })]));
    let again = sync(8, vec![entry(3, Some(message(3, 3, "three")), 1)]);
    story.answer(Answer::Sync(again));
    assert!(story.device.is_level());
}

#[test]
fn a_trigger_after_the_answer_was_computed_asks_again() {
    let mut story = Story::loaded();
    story.frame(ServerFrame::SyncRequired(SyncRequired {}));
    story.frame(ServerFrame::SyncRequired(SyncRequired {}));
    assert_eq!(story.asked.len(), 1);
    story.answer(Answer::Sync(sync(2, Vec::new())));
    assert!(
        matches!(&story.asked[..], [(_, Request::Sync { cursor: Some(at), .. })] if at == "cursor-2")
    );
}

#[test]
fn a_heartbeat_above_the_last_listing_asks_for_it() {
    let mut story = Story::loaded();
    let beat = |user_rev| ServerFrame::Heartbeat(HeartbeatAnswer { server_time: 0, user_rev });
    story.frame(beat(1));
    assert_eq!(story.asked, []);
    story.frame(beat(2));
    assert!(matches!(story.asked[..], [(_, Request::Sync { .. })]));
}

#[test]
fn a_failed_request_is_asked_again_from_where_the_device_is_by_then() {
    let mut story = Story::loaded();
    story.new_message(4, 4, "four");
    story.new_message(3, 3, "three");
    let (id, _) = story.asked.remove(0);
    story.device.failed(id, &Failure::Again);
    story.outputs();
    story.asks_changes_since(3);
}

#[test]
fn a_server_that_cannot_bring_one_nearer_is_not_asked_for_ever() {
    let mut story = Story::loaded();
    story.inbox_updated(LINE, 9, 0);
    story.answer(Answer::Changes(changes(2, Vec::new(), false)));
    assert_eq!(story.asked, []);
    story.inbox_updated(LINE, 10, 0);
    story.asks_changes_since(2);
}

#[test]
fn sends_go_out_in_order_one_by_one_and_keep_their_client_id() {
    let mut story = Story::loaded();
    story.say("a");
    story.say("b");
    assert_eq!(story.contents(), ["a"]);
    // The connection goes before the answer comes.
    story.device.disconnected();
    story.sent.clear();
    story.hello();
    assert_eq!(story.contents(), ["a"]);
    let Command::SendMessage(send) = &story.sent[0].command else { panic!() };
    assert_eq!(send.message.client_id.as_deref(), Some("id-a"));
    story.reply(sent(3, 3, "a"));
    assert_eq!(story.contents(), ["b"]);
    story.reply(sent(4, 4, "b"));
    story.shows(&["one", "two", "a", "b"]);
    let ids = ["id-a", "id-b"].map(|id| {
        story
            .events
            .iter()
            .filter(|event| matches!(event, Event::Sent { client_id, .. } if client_id == id))
            .count()
    });
    assert_eq!(ids, [1, 1]);
    assert_eq!(story.device.snapshot(group()).unwrap().pending, []);
}

#[test]
fn a_retryable_refusal_holds_later_sends_back_until_the_first_is_through() {
    let mut story = Story::with(|options| options.send_window = 4).load();
    for text in ["a", "b", "c"] {
        story.say(text);
    }
    assert_eq!(story.contents(), ["a", "b", "c"]);
    story.refuse(ErrorCode::Busy, Some(40));
    assert_eq!(story.holds, [(0, Some(40))]);
    story.refuse(ErrorCode::Busy, Some(40));
    story.refuse(ErrorCode::Busy, Some(40));
    assert_eq!(story.holds.len(), 1, "one wait for all");
    story.say("d");
    assert_eq!(story.contents(), Vec::<String>::new());
    story.device.release(group());
    story.outputs();
    assert_eq!(story.contents(), ["a"]);
    story.refuse(ErrorCode::ShardUnavailable, None);
    assert_eq!(story.holds.last(), Some(&(1, None)));
    story.device.release(group());
    story.outputs();
    story.reply(sent(3, 3, "a"));
    assert_eq!(story.contents(), ["b", "c", "d"]);
    let other = ConversationId::direct(user(1), user(3));
    assert_eq!(story.device.send_to(user(3), OutgoingMessage::text("x"), "id-x".into()), other);
}

#[test]
fn a_final_refusal_fails_the_send_and_lets_the_others_pass() {
    let mut story = Story::loaded();
    story.say("a");
    story.say("b");
    story.refuse(ErrorCode::Conflict, None);
    assert!(
        story.events.iter().any(|event| matches!(event, Event::SendFailed { client_id, error, .. }
        if client_id == "id-a" && error.code == ErrorCode::Conflict))
    );
    assert_eq!(story.contents(), ["b"]);
    let failed = story.device.snapshot(group()).unwrap().pending.remove(0);
    assert!(matches!(failed.state, PendingState::Failed(_)));
    story.reply(sent(3, 3, "b"));
    assert!(story.device.retry(group(), "id-a"));
    story.outputs();
    assert_eq!(story.contents(), ["a"]);
    story.refuse(ErrorCode::Conflict, None);
    assert!(story.device.discard(group(), "id-a"));
    assert_eq!(story.device.snapshot(group()).unwrap().pending, []);
    assert!(story.device.is_level());
}

#[test]
fn a_send_whose_answer_was_lost_is_through_when_its_message_is_seen() {
    let mut story = Story::loaded();
    story.say("a");
    story.inbox_updated(LINE, 3, 0);
    let own = Message { sender_id: user(1), client_id: Some("id-a".into()), ..message(3, 3, "a") };
    story.answer(Answer::Changes(changes(3, vec![own], false)));
    assert_eq!(story.device.snapshot(group()).unwrap().pending, []);
    story.sent.clear();
    story.device.disconnected();
    story.hello();
    assert_eq!(story.contents(), Vec::<String>::new());
}

#[test]
fn own_edits_and_deletions_take_effect_with_their_answer() {
    let mut story = Story::loaded();
    story.device.edit(group(), 2, "two!".into(), None);
    story.device.delete(group(), 1);
    story.outputs();
    let edited = on(LINE, message(2, 3, "two!"));
    story.reply(ServerFrame::Done(Done { message: Some(edited), ..Done::default() }));
    story.reply(ServerFrame::Done(Done {
        rev: Some(4),
        history: Some(LINE),
        deleted_at: Some(9),
        deleted_by: Some(user(1)),
        ..Done::default()
    }));
    story.shows(&["-", "two!"]);
    assert!(story.device.is_level());
}

#[test]
fn a_deletion_of_a_message_beyond_a_gap_is_asked_for() {
    let mut story = Story::loaded();
    story.new_message(5, 5, "five");
    story.answer(Answer::Changes(changes(4, vec![message(4, 4, "four")], true)));
    story.frame(ServerFrame::MessageDeleted(MessageDeleted {
        conversation_id: group(),
        seq: 5,
        message_id: MessageId::new(5).unwrap(),
        rev: 5,
        history: LINE,
        deleted_at: 9,
        deleted_by: user(2),
    }));
    assert_eq!(story.device.snapshot(group()).unwrap().rev, 4);
    story.asks_changes_since(4);
}

#[test]
fn replies_show_the_newest_state_of_what_they_answer() {
    let mut story = Story::loaded();
    let long = "x".repeat(139) + "👍tail";
    let quoting = on(LINE, reply(3, 3, 1, "one"));
    story.frame(ServerFrame::NewMessage(NewMessage(quoting)));
    story.edited(1, 4, &long);
    let excerpt = |story: &Story, seq: usize| {
        let messages = story.device.snapshot(group()).unwrap().messages;
        messages[seq - 1].reply_to.as_ref().unwrap().excerpt.clone().into_owned()
    };
    // 140 units, and no half of a pair.
    assert_eq!(excerpt(&story, 3), "x".repeat(139));
    // A reply that comes later with what it knew is corrected by what is held.
    story.frame(ServerFrame::NewMessage(NewMessage(on(LINE, reply(4, 5, 1, "one")))));
    assert_eq!(excerpt(&story, 4), "x".repeat(139));
    story.frame(ServerFrame::MessageDeleted(MessageDeleted {
        conversation_id: group(),
        seq: 1,
        message_id: MessageId::new(1).unwrap(),
        rev: 6,
        history: LINE,
        deleted_at: 9,
        deleted_by: user(2),
    }));
    assert_eq!((excerpt(&story, 3), excerpt(&story, 4)), (String::new(), String::new()));
}

#[test]
fn replies_on_a_page_that_waits_are_corrected_too() {
    let mut story = Story::new();
    story.hello();
    story.answer(Answer::Sync(sync(1, vec![entry(3, Some(message(3, 3, "three")), 0)])));
    story.device.open(group());
    story.outputs();
    story.answer(page(3, vec![message(3, 3, "three")], 3));
    story.device.load_older(group());
    story.outputs();
    story.edited(1, 4, "one!");
    story.answer(page(3, vec![reply(2, 2, 1, "one")], 3));
    story.answer(Answer::Changes(changes(4, vec![message(1, 4, "one!")], false)));
    let messages = story.device.snapshot(group()).unwrap().messages;
    assert_eq!(messages[0].reply_to.as_ref().unwrap().excerpt, "one!");
}

#[test]
fn marks_merge_by_maximum_and_ask_for_nothing() {
    let mut story = Story::loaded();
    let receipt = |read_seq, mark_rev| {
        ServerFrame::Receipt(ReceiptUpdated {
            conversation_id: group(),
            user_id: user(2),
            read_seq: Some(read_seq),
            delivered_seq: None,
            mark_rev,
            history: LINE,
        })
    };
    story.frame(receipt(2, 7));
    story.frame(receipt(1, 5));
    let marks = story.device.snapshot(group()).unwrap().marks;
    let of_two = marks.iter().find(|(who, _)| *who == user(2)).unwrap().1;
    assert_eq!(of_two, Marks { read_seq: 2, delivered_seq: 2, mark_rev: 7 });
    assert_eq!(story.asked, []);
}

#[test]
fn a_message_moves_the_marks_of_its_sender_and_counts_for_the_others() {
    let mut story = Story::loaded();
    story.new_message(3, 3, "three");
    let shown = story.device.snapshot(group()).unwrap();
    assert_eq!(shown.unread, 3);
    assert!(shown.marks.iter().any(|(who, marks)| *who == user(2) && marks.read_seq == 3));
    // The list says the same a moment later: it is not counted twice.
    story.inbox_updated(LINE, 3, 3);
    assert_eq!(story.device.snapshot(group()).unwrap().unread, 3);
    // One's own mark, from another device.
    story.frame(ServerFrame::Receipt(ReceiptUpdated {
        conversation_id: group(),
        user_id: user(1),
        read_seq: Some(3),
        delivered_seq: None,
        mark_rev: 9,
        history: LINE,
    }));
    assert_eq!(story.device.snapshot(group()).unwrap().unread, 0);
    let line = story.device.chat_list().remove(0);
    assert_eq!((line.unread, line.last_message.unwrap().seq), (0, 3));
}

#[test]
fn marks_go_out_once_and_only_forward() {
    let mut story = Story::with(|options| options.auto_delivered = true).load();
    assert!(matches!(story.sent[..], [ClientFrame { command: Command::MarkDelivered(_), .. }]));
    story.new_message(3, 3, "three");
    story.new_message(4, 4, "four");
    assert_eq!(story.sent.len(), 1, "one at a time");
    story.reply(ServerFrame::Done(Done::default()));
    story.device.mark_read(group(), 4);
    story.device.mark_read(group(), 2);
    story.outputs();
    assert_eq!(story.sent.len(), 2);
    story.reply(ServerFrame::Done(Done::default()));
    story.refuse(ErrorCode::RateLimited, Some(10));
    assert_eq!(story.sent, []);
    story.device.release(group());
    story.outputs();
    story.reply(ServerFrame::Done(Done::default()));
    assert!(story.device.is_level());
    assert_eq!(story.device.snapshot(group()).unwrap().unread, 0);
}

#[test]
fn members_are_loaded_with_the_messages_and_never_go_back() {
    let member = |id, rev, left_seq| Member {
        user_id: user(id),
        role: Role::Member,
        joined_seq: 1,
        left_seq,
        rev,
        read_seq: Some(1),
        delivered_seq: Some(1),
        mark_rev: Some(1),
    };
    let mut story = Story::with(|options| options.members = true).load();
    let updated = |member: Member| {
        ServerFrame::MemberUpdated(MemberUpdated {
            conversation_id: group(),
            history: LINE,
            rev: member.rev,
            member,
        })
    };
    story.frame(updated(member(3, 3, Some(2))));
    let listed = |members, next: Option<&str>| {
        Answer::Members(ostracon_proto::rest::Members {
            members,
            next_cursor: next.map(str::to_owned),
        })
    };
    story.answer(listed(vec![member(1, 1, None), member(2, 1, None)], Some("c")));
    assert!(!story.device.is_level());
    // Computed before user 3 left.
    story.answer(listed(vec![member(3, 1, None)], None));
    let ids: Vec<_> =
        story.device.snapshot(group()).unwrap().members.iter().map(|m| m.user_id).collect();
    assert_eq!(ids, [user(1), user(2)]);
    assert!(story.device.is_level());
}

#[test]
fn who_comes_back_to_a_group_loads_it_again() {
    let mut story = Story::loaded();
    let back = Member {
        user_id: user(1),
        role: Role::Member,
        joined_seq: 6,
        left_seq: None,
        rev: 9,
        read_seq: None,
        delivered_seq: None,
        mark_rev: None,
    };
    story.inbox_updated(LINE, 10, 0);
    let answer = Changes { members: vec![back], ..changes(10, vec![message(6, 10, "six")], false) };
    story.answer(Answer::Changes(answer));
    assert!(matches!(story.asked[..], [(_, Request::Page { anchor: Anchor::Newest, .. })]));
    let Answer::Page(fresh) = page(10, vec![message(6, 10, "six")], 6) else { unreachable!() };
    story.answer(Answer::Page(MessagePage { first_seq: 6, ..fresh }));
    story.shows(&["six"]);
    assert!(!story.device.snapshot(group()).unwrap().has_more_before);
}

#[test]
fn a_group_that_is_gone_is_not_asked_for_any_more() {
    let mut story = Story::loaded();
    story.inbox_updated(LINE, 3, 0);
    let (id, _) = story.asked.remove(0);
    let error = ErrorObject::new(ErrorCode::NotFound, "No such conversation.");
    story.device.failed(id, &Failure::Refused(Box::new(error)));
    story.outputs();
    assert!(story.events.contains(&Event::Removed(group())));
    assert_eq!(story.asked, []);
    assert_eq!(story.device.chat_list(), []);
}

#[test]
fn a_conversation_that_the_list_does_not_name_asks_for_the_list() {
    let mut story = Story::new();
    story.hello();
    story.answer(Answer::Sync(sync(1, Vec::new())));
    story.new_message(1, 1, "one");
    assert!(matches!(story.asked[..], [(_, Request::Sync { .. })]));
    story.answer(Answer::Sync(sync(2, vec![entry(1, Some(message(1, 1, "one")), 1)])));
    assert_eq!(story.device.chat_list()[0].unread, 1);
    assert!(story.device.is_level());
}

#[test]
fn an_empty_conversation_can_be_opened_and_grows() {
    let mut story = Story::new();
    story.hello();
    story.answer(Answer::Sync(sync(1, vec![entry(1, None, 0)])));
    story.device.open(group());
    story.outputs();
    story.answer(page(1, Vec::new(), 0));
    assert!(story.device.snapshot(group()).unwrap().loaded);
    story.new_message(1, 2, "one");
    story.shows(&["one"]);
}

#[test]
fn receipts_of_others_are_asked_for_after_a_reconnect() {
    let mut story = Story::with(|options| options.marks = true).load();
    story.device.disconnected();
    story.hello();
    let asked = story.asked.iter().find(|(_, request)| matches!(request, Request::Changes { .. }));
    let (id, _) = asked.unwrap().clone();
    let receipt = Receipt { user_id: user(2), read_seq: 2, delivered_seq: 2, mark_rev: 4 };
    let answer = Changes { receipts: vec![receipt], mark_rev: 4, ..changes(2, Vec::new(), false) };
    story.device.answer(id, Answer::Changes(answer));
    let marks = story.device.snapshot(group()).unwrap().marks;
    assert!(marks.iter().any(|(who, marks)| *who == user(2) && marks.read_seq == 2));
}

#[test]
fn frames_are_named_by_rising_references() {
    let mut story = Story::loaded();
    story.say("a");
    assert_eq!(story.sent[0].id, Some(FrameRef::number(1)));
    // An answer to something that was never asked changes nothing.
    let stray =
        Received { id: Some(FrameRef::number(77)), frame: ServerFrame::Done(Done::default()) };
    story.device.frame(stray);
    assert_eq!(story.device.snapshot(group()).unwrap().pending.len(), 1);
}
