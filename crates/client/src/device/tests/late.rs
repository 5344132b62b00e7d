//! Stories of what comes late, twice or from before.

use super::*;

fn refusal() -> Failure {
    Failure::Refused(Box::new(ErrorObject::new(ErrorCode::NotFound, "No such conversation.")))
}

fn other() -> ConversationId {
    ConversationId::direct(user(1), user(3))
}

fn direct(rev: Rev) -> Entry<'static> {
    let mut direct = entry(rev, None, 0);
    direct.conversation.conversation_id = other();
    direct
}

#[test]
fn a_listing_that_starts_anew_in_the_middle_forgets_what_it_named_before() {
    let mut story = Story::loaded();
    story.frame(ServerFrame::SyncRequired(SyncRequired {}));
    story.answer(Answer::Sync(Sync { more: true, ..sync(7, vec![direct(1)]) }));
    story.answer(Answer::Sync(Sync { reset: true, ..sync(9, vec![entry(2, None, 0)]) }));
    let ids: Vec<_> =
        story.device.chat_list().iter().map(|line| line.info.conversation_id).collect();
    assert_eq!(ids, [group()]);
    assert!(story.events.contains(&Event::Removed(other())));
}

#[test]
fn a_late_refusal_removes_nothing_that_was_heard_of_since() {
    let mut story = Story::loaded();
    story.inbox_updated(LINE, 3, 0);
    let (id, _) = story.asked.remove(0);
    story.inbox_updated(LINE, 4, 0);
    story.device.failed(id, &refusal());
    story.outputs();
    assert!(!story.events.contains(&Event::Removed(group())));
    // It is asked once more, and that answer counts.
    assert!(matches!(story.asked[..], [(_, Request::Changes { .. })]));
    let (id, _) = story.asked.remove(0);
    story.device.failed(id, &refusal());
    story.outputs();
    assert!(story.events.contains(&Event::Removed(group())));
}

#[test]
fn a_frame_of_a_former_history_costs_no_line_its_newest_message() {
    let mut story = Story::new();
    story.hello();
    let mut listed = entry(1, Some(message(1, 1, "new one")), 1);
    listed.conversation.history = OTHER_LINE;
    story.answer(Answer::Sync(sync(1, vec![listed])));
    // Sent before the restore, read after the list told of it.
    story.frame(ServerFrame::MessageUpdated(MessageUpdated(on(LINE, message(1, 5, "old one")))));
    story.frame(ServerFrame::MessageUpdated(MessageUpdated(on(
        OTHER_LINE,
        message(1, 1, "new one"),
    ))));
    let asked = story.asked.iter().rposition(|(_, ask)| matches!(ask, Request::Page { .. }));
    let (id, _) = story.asked.remove(asked.unwrap());
    let Answer::Page(fresh) = page(1, vec![message(1, 1, "new one")], 1) else { unreachable!() };
    story.device.answer(id, Answer::Page(MessagePage { history: OTHER_LINE, ..fresh }));
    story.outputs();
    let last = story.device.chat_list()[0].last_message.clone();
    assert_eq!(last.unwrap().content.as_deref(), Some("new one"));
    // Nobody looks at it: its messages are not kept.
    story.shows(&[]);
}

#[test]
fn one_that_is_looked_at_is_loaded_when_the_list_names_it() {
    let mut story = Story::loaded();
    story.frame(ServerFrame::SyncRequired(SyncRequired {}));
    story.answer(Answer::Sync(Sync { removed: vec![group()], ..sync(3, Vec::new()) }));
    assert_eq!(story.asked, []);
    story.frame(ServerFrame::SyncRequired(SyncRequired {}));
    story.answer(Answer::Sync(sync(4, vec![entry(1, None, 0)])));
    assert!(matches!(story.asked[..], [(_, Request::Page { anchor: Anchor::Newest, .. })]));
}

#[test]
fn marks_are_asked_for_again_when_the_question_was_lost() {
    let mut story = Story::with(|options| options.marks = true).load();
    story.device.disconnected();
    story.hello();
    let is_changes = |(_, ask): &(RequestId, Request)| matches!(ask, Request::Changes { .. });
    let at = story.asked.iter().position(is_changes).unwrap();
    let (id, _) = story.asked.remove(at);
    story.device.failed(id, &Failure::Again);
    story.outputs();
    assert!(story.asked.iter().any(is_changes));
}
