//! The task of what is live: tells who came and went and who types, and commits marks that waited. It sleeps while
//! nothing is due, and never waits for a store.

use std::sync::Arc;

use ostracon_domain::{Action, Command, ConversationCommand};

use crate::{
    connection::Connection,
    engine::Core,
    marks::{MarkKind, Marked},
    reply::Reply,
    typing,
};

/// Runs until the lanes end.
pub(crate) async fn run(core: Arc<Core>) {
    loop {
        let due = [core.presence.next_due(), core.typing.next_due(), core.marks.lock().next_due()];
        let due = due.into_iter().flatten().min().map(|tick| core.presence.moment(tick));
        let wait = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = core.presence.wake.notified() => continue,
            () = wait => {}
            () = core.stop_lanes.cancelled() => break,
        }
        while core.presence.tell(core.clock.now()) {
            // Many came at once, as after a restart: others have their turn between.
            tokio::task::yield_now().await;
        }
        typing::tell_due(&core);
        commit_marks(&core);
    }
    commit_marks(&core);
}

fn commit_marks(core: &Core) {
    let marked = core.marks.lock().pass(core.presence.now());
    for mark in marked {
        submit_mark(core, mark);
    }
}

/// Has a mark committed; everybody who waits for it is answered.
pub(crate) fn submit_mark(core: &Core, mark: Marked) {
    let Marked { connection, conversation, kind, seq, ids } = mark;
    let actor = connection.user;
    let action = match kind {
        MarkKind::Read => Action::MarkRead { seq },
        MarkKind::Delivered => Action::MarkDelivered { seq },
    };
    let command = Command::Conversation(ConversationCommand { conversation, actor, action });
    core.submit(command, Reply::Marks { connection, ids });
}

/// A connection is gone.
pub(crate) fn depart(core: &Core, connection: &Connection) {
    core.typing.depart(connection.id, core.presence.now());
    core.presence.depart(connection, core.clock.now());
}
