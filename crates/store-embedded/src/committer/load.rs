//! Loads the rows that a batch misses: from the overlay if that has all of it, otherwise from one snapshot.

use std::sync::Arc;

use ostracon_domain::{
    Annex, AnnexKey, ClientId, Conversation, ConversationId, InboxEntry, Member, MessageView,
    Quote, Seq, UserId, UserState,
};
use ostracon_store::{Missing, WorkingSet};
use rusqlite::Connection;
use rustc_hash::FxHashMap;

use crate::{
    duplicate_filter::DuplicateFilter,
    error::TableError,
    filters::Filters,
    overlay::{Found, Overlay},
    read::whole,
    snapshot::{Noted, Snapshot},
};

/// A longer conversation gets no filter: reading all its client ids would hold its first send up.
const FILTERED_HEAD_MAX: Seq = 20_000;

/// A row, or that there is none.
pub(super) enum Loaded {
    Conversation(ConversationId, Option<Arc<Conversation>>, Option<DuplicateFilter>),
    Member(ConversationId, UserId, Option<Arc<Member>>),
    Message(ConversationId, Seq, Option<MessageView>),
    Probe(ConversationId, UserId, ClientId, Option<MessageView>),
    Annex(ConversationId, AnnexKey, Option<Arc<Annex>>),
    User(UserId, Option<Arc<UserState>>),
    Inbox(UserId, ConversationId, Option<Arc<InboxEntry>>),
}

impl Loaded {
    pub(super) fn into_set(self, set: &mut WorkingSet, filters: &mut Filters) {
        match self {
            Self::Conversation(id, row, filter) => {
                set.know_conversation(id, row);
                filters.put(id, filter);
            }
            Self::Member(id, user, row) => set.know_member(id, user, row),
            Self::Message(id, seq, view) => set.know_message(id, seq, view),
            Self::Probe(id, sender, client_id, view) => {
                set.know_probe(id, sender, client_id, view);
            }
            Self::Annex(id, key, row) => set.know_annex(id, key, row),
            Self::User(user, row) => set.know_user(user, row),
            Self::Inbox(user, id, row) => set.know_inbox(user, id, row),
        }
    }
}

/// The row, if the overlay alone can tell. No conversations: their filter needs the tables.
pub(super) fn from_overlay(overlay: &Overlay, missing: &Missing) -> Option<Loaded> {
    Some(match missing {
        Missing::Conversation(_) => return None,
        Missing::Member(id, user) => Loaded::Member(*id, *user, Some(overlay.member(*id, *user)?)),
        Missing::Message(id, seq) => Loaded::Message(*id, *seq, Some(view(overlay, *id, *seq)?)),
        Missing::Probe(id, sender, client_id) => {
            let key = overlay.hashes().of(*sender, client_id);
            let row = overlay.by_client_id(*id, key)?;
            if row.sender != *sender || row.client_id.as_ref() != Some(client_id) {
                return None;
            }
            let view = view(overlay, *id, row.seq)?;
            Loaded::Probe(*id, *sender, client_id.clone(), Some(view))
        }
        Missing::Annex(id, key) => Loaded::Annex(*id, *key, overlay.annex(*id, *key)?),
        Missing::User(user) => Loaded::User(*user, Some(overlay.user(*user)?)),
        Missing::Inbox(user, id) => {
            Loaded::Inbox(*user, *id, Some(overlay.inbox_entry(*user, *id)?))
        }
    })
}

fn view(overlay: &Overlay, id: ConversationId, seq: Seq) -> Option<MessageView> {
    let now = overlay.range(id, seq, seq);
    let row = now.messages.first().filter(|row| row.seq >= now.whole_from)?;
    let mut view = MessageView::plain(Arc::clone(row));
    for reaction in &now.reactions {
        reaction.apply(&mut view.reactions);
    }
    if let Some(answered) = row.reply_to {
        view.quote = match overlay.message(id, answered) {
            Found::Row(answered) => Some(Quote::of(&answered)),
            Found::Gone => None,
            Found::Nothing => return None,
        };
    }
    Some(view)
}

/// Rows from one snapshot.
pub(super) fn from_tables(
    overlay: &Overlay,
    conn: &Connection,
    missing: &[Missing],
) -> Result<Vec<Loaded>, TableError> {
    whole(overlay, conn, |snapshot| {
        let mut loading = Loading { overlay, snapshot, noted: FxHashMap::default() };
        missing.iter().map(|row| loading.load(row)).collect()
    })
}

struct Loading<'a, 'b> {
    overlay: &'a Overlay,
    snapshot: &'a Snapshot<'b>,
    noted: FxHashMap<ConversationId, Option<Noted>>,
}

impl Loading<'_, '_> {
    fn noted(&mut self, id: ConversationId) -> Result<Option<&Noted>, TableError> {
        use std::collections::hash_map::Entry;
        Ok(match self.noted.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(self.snapshot.note(id)?),
        }
        .as_ref())
    }

    fn load(&mut self, missing: &Missing) -> Result<Loaded, TableError> {
        let snapshot = self.snapshot;
        Ok(match missing {
            Missing::Conversation(id) => {
                let overlay = self.overlay;
                let Some(noted) = self.noted(*id)? else {
                    // Nothing was ever sent there: an empty filter is complete.
                    return Ok(Loaded::Conversation(*id, None, Some(DuplicateFilter::default())));
                };
                let filter = filter(overlay, snapshot, noted)?;
                Loaded::Conversation(*id, Some(Arc::clone(&noted.row)), filter)
            }
            Missing::Member(id, user) => {
                let row = match self.noted(*id)? {
                    Some(noted) => snapshot.member(noted, *user)?,
                    None => None,
                };
                Loaded::Member(*id, *user, row)
            }
            Missing::Message(id, seq) => {
                let view = match self.noted(*id)? {
                    Some(noted) => snapshot.view(noted, *seq)?,
                    None => None,
                };
                Loaded::Message(*id, *seq, view)
            }
            Missing::Probe(id, sender, client_id) => {
                let view = match self.noted(*id)? {
                    Some(noted) => snapshot.sent(noted, *sender, client_id)?,
                    None => None,
                };
                Loaded::Probe(*id, *sender, client_id.clone(), view)
            }
            Missing::Annex(id, key) => {
                let row = match self.noted(*id)? {
                    Some(noted) => snapshot.annex(noted, *key)?,
                    None => None,
                };
                Loaded::Annex(*id, *key, row)
            }
            Missing::User(user) => Loaded::User(*user, snapshot.user(*user)?),
            Missing::Inbox(user, id) => {
                Loaded::Inbox(*user, *id, snapshot.inbox_entry(*user, *id)?)
            }
        })
    }
}

/// A filter that knows every client id of the conversation, or none.
fn filter(
    overlay: &Overlay,
    snapshot: &Snapshot<'_>,
    noted: &Noted,
) -> Result<Option<DuplicateFilter>, TableError> {
    if noted.row.head_seq > FILTERED_HEAD_MAX {
        return Ok(None);
    }
    let mut filter = DuplicateFilter::default();
    let mut complete = true;
    let keys = overlay.hashes();
    snapshot.stored_client_ids(noted, |sender, client_id| {
        complete &= filter.insert(keys.of(sender, &client_id));
    })?;
    for key in overlay.client_keys(noted.row.id) {
        complete &= filter.insert(key);
    }
    Ok(complete.then_some(filter))
}
