//! A frame as a few words, so that a story can say what it expects. `s` is a seq, `r` a rev, `m` a mark rev.

use ostracon_proto::frame::ServerFrame;

pub(crate) fn of(frame: &str) -> String {
    let received = ServerFrame::decode(frame).unwrap_or_else(|e| panic!("{e}: {frame}"));
    let id = received.id.as_ref().map(|id| format!("#{id:?} ")).unwrap_or_default();
    let message = |m: &ostracon_proto::Message<'_>| {
        let own = m.client_id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
        let content = m.content.as_deref().unwrap_or("-");
        let reactions: String =
            m.reactions.iter().map(|r| format!(" {}{}", r.emoji, r.count)).collect();
        format!("s{} r{} {content}{reactions}{own}", m.seq, m.rev)
    };
    let words = match &received.frame {
        ServerFrame::Hello(hello) => format!("hello u{}", hello.user_rev),
        ServerFrame::MessageSent(sent) => format!("sent {}", message(&sent.message)),
        ServerFrame::Done(done) => match (&done.message, done.rev) {
            (Some(m), _) => format!("ok {}", message(m)),
            (None, Some(rev)) => format!("ok r{rev}"),
            (None, None) => "ok".to_owned(),
        },
        ServerFrame::NewMessage(new) => format!("new {}", message(&new.0)),
        ServerFrame::MessageUpdated(changed) => format!("updated {}", message(&changed.0)),
        ServerFrame::MessageDeleted(gone) => format!("deleted s{} r{}", gone.seq, gone.rev),
        ServerFrame::MessageHidden(gone) => format!("hidden s{} m{}", gone.seq, gone.mark_rev),
        ServerFrame::Receipt(receipt) => format!(
            "receipt {} read {} delivered {} m{}",
            receipt.user_id,
            receipt.read_seq.unwrap_or(0),
            receipt.delivered_seq.unwrap_or(0),
            receipt.mark_rev
        ),
        ServerFrame::ConversationUpdated(c) => format!(
            "conversation r{} {} {} members{}",
            c.0.rev,
            c.0.name.as_deref().unwrap_or("-"),
            c.0.member_count,
            if c.0.large { " large" } else { "" }
        ),
        ServerFrame::MemberUpdated(m) => format!(
            "member {} r{} {:?}{}{}",
            m.member.user_id,
            m.rev,
            m.member.role,
            if m.member.left_seq.is_some() { " left" } else { "" },
            if m.member.mark_rev.is_some() { "" } else { " unmarked" },
        ),
        ServerFrame::InboxUpdated(i) => {
            format!("inbox r{} m{} u{} unread {}", i.rev, i.mark_rev, i.user_rev, i.unread)
        }
        ServerFrame::Typing(typing) => {
            format!("typing {} {}", typing.user_id, typing.is_typing)
        }
        ServerFrame::Presence(presence) => {
            format!("presence {} {:?}", presence.user_id, presence.status)
        }
        ServerFrame::SyncRequired(_) => "sync_required".to_owned(),
        ServerFrame::Heartbeat(beat) => format!("heartbeat u{}", beat.user_rev),
        ServerFrame::Error(error) => format!("error {}", error.code),
        ServerFrame::Unknown(kind) => panic!("unknown frame {kind}"),
    };
    format!("{id}{words}")
}
