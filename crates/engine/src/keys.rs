//! Keyed hashes: what makes a retry "the same again", and a retried group the same group.

use std::collections::BTreeSet;

use ostracon_domain::{ConversationId, Mention, MessageKind, Seq, UserId};
use ostracon_proto::frame::AttachmentRef;
use ostracon_store::{Directory, DirectoryError};

/// The cluster's hash keys.
pub struct Keys {
    payload: [u8; 32],
    group: [u8; 32],
}

impl Keys {
    /// Loads or makes the keys.
    ///
    /// # Errors
    /// When the directory does not answer.
    pub async fn load(directory: &dyn Directory) -> Result<Self, DirectoryError> {
        Ok(Self {
            payload: directory.secret("payload-hash").await?,
            group: directory.secret("group-id").await?,
        })
    }

    /// Hash of what a client sends, as it sends it.
    pub(crate) fn payload(
        &self,
        kind: MessageKind,
        content: &str,
        reply_to: Option<Seq>,
        mentions: &[Mention],
        attachments: &[AttachmentRef<'_>],
    ) -> u128 {
        let mut hasher = blake3::Hasher::new_keyed(&self.payload);
        hasher.update(&[ostracon_store::record::message_kind_byte(kind)]);
        hasher.update(&(content.len() as u64).to_le_bytes());
        hasher.update(content.as_bytes());
        hasher.update(&reply_to.unwrap_or(0).to_le_bytes());
        for mention in mentions {
            hasher.update(&mention.user_id.get().to_le_bytes());
            hasher.update(&mention.start.to_le_bytes());
            hasher.update(&mention.end.to_le_bytes());
        }
        for attachment in attachments {
            hasher.update(&(attachment.media_id.len() as u64).to_le_bytes());
            hasher.update(attachment.media_id.as_bytes());
        }
        first_half(&hasher)
    }

    /// Hash of a request to create a group.
    pub(crate) fn create(&self, name: &str, members: &[UserId]) -> u128 {
        let mut hasher = blake3::Hasher::new_keyed(&self.payload);
        hasher.update(b"group");
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        // A set: neither order nor repetition means anything.
        for member in members.iter().collect::<BTreeSet<_>>() {
            hasher.update(&member.get().to_le_bytes());
        }
        first_half(&hasher)
    }

    /// The id of a group that is created with a client id.
    pub(crate) fn group_id(&self, creator: UserId, client_id: &str) -> ConversationId {
        let mut hasher = blake3::Hasher::new_keyed(&self.group);
        hasher.update(&creator.get().to_le_bytes());
        hasher.update(client_id.as_bytes());
        ConversationId::retried_group(first_half(&hasher).to_be_bytes())
    }
}

fn first_half(hasher: &blake3::Hasher) -> u128 {
    let mut half = [0; 16];
    hasher.finalize_xof().fill(&mut half);
    u128::from_be_bytes(half)
}
