//! Answers with text of their own, so that they outlive the bytes they were read from.

use ostracon_proto::{
    Conversation, Entry, Message,
    frame::{
        ConversationUpdated, Done, Hello, MessageSent, MessageUpdated, NewMessage, ServerFrame,
    },
    rest::{Changes, Conversations, DialogList, DialogMessage, MessagePage, Sync},
};
use std::borrow::Cow;

/// A value that borrows text and can be kept.
pub trait IntoOwned {
    /// The same with text of its own.
    type Owned: 'static;

    /// Copies what is borrowed.
    fn into_owned(self) -> Self::Owned;
}

macro_rules! by_method {
    ($($name:ident),+) => {$(
        impl IntoOwned for $name<'_> {
            type Owned = $name<'static>;
            fn into_owned(self) -> $name<'static> {
                $name::into_owned(self)
            }
        }
    )+};
}
by_method!(Message, Entry, Conversation);

impl<T: IntoOwned> IntoOwned for Vec<T> {
    type Owned = Vec<T::Owned>;
    fn into_owned(self) -> Self::Owned {
        self.into_iter().map(T::into_owned).collect()
    }
}

impl IntoOwned for MessagePage<'_> {
    type Owned = MessagePage<'static>;
    fn into_owned(self) -> Self::Owned {
        MessagePage { messages: self.messages.into_owned(), ..self }
    }
}

impl IntoOwned for Changes<'_> {
    type Owned = Changes<'static>;
    fn into_owned(self) -> Self::Owned {
        Changes {
            conversation: self.conversation.map(Conversation::into_owned),
            messages: self.messages.into_owned(),
            ..self
        }
    }
}

impl IntoOwned for Sync<'_> {
    type Owned = Sync<'static>;
    fn into_owned(self) -> Self::Owned {
        Sync { conversations: self.conversations.into_owned(), ..self }
    }
}

impl IntoOwned for Conversations<'_> {
    type Owned = Conversations<'static>;
    fn into_owned(self) -> Self::Owned {
        Conversations { conversations: self.conversations.into_owned(), ..self }
    }
}

impl IntoOwned for DialogMessage<'_> {
    type Owned = DialogMessage<'static>;
    fn into_owned(self) -> Self::Owned {
        DialogMessage { text: Cow::Owned(self.text.into_owned()), ..self }
    }
}

impl IntoOwned for DialogList<'_> {
    type Owned = DialogList<'static>;
    fn into_owned(self) -> Self::Owned {
        DialogList { messages: self.messages.into_owned(), ..self }
    }
}

impl IntoOwned for ServerFrame<'_> {
    type Owned = ServerFrame<'static>;
    fn into_owned(self) -> Self::Owned {
        match self {
            Self::Hello(hello) => ServerFrame::Hello(Hello {
                session_id: Cow::Owned(hello.session_id.into_owned()),
                ..hello
            }),
            Self::MessageSent(sent) => ServerFrame::MessageSent(MessageSent {
                client_id: sent.client_id.map(|id| Cow::Owned(id.into_owned())),
                message: sent.message.into_owned(),
                ..sent
            }),
            Self::Done(done) => {
                ServerFrame::Done(Done { message: done.message.map(Message::into_owned), ..done })
            }
            Self::NewMessage(new) => ServerFrame::NewMessage(NewMessage(new.0.into_owned())),
            Self::MessageUpdated(updated) => {
                ServerFrame::MessageUpdated(MessageUpdated(updated.0.into_owned()))
            }
            Self::MessageDeleted(deleted) => ServerFrame::MessageDeleted(deleted),
            Self::MessageHidden(hidden) => ServerFrame::MessageHidden(hidden),
            Self::Receipt(receipt) => ServerFrame::Receipt(receipt),
            Self::ConversationUpdated(updated) => {
                ServerFrame::ConversationUpdated(ConversationUpdated(updated.0.into_owned()))
            }
            Self::MemberUpdated(updated) => ServerFrame::MemberUpdated(updated),
            Self::InboxUpdated(updated) => ServerFrame::InboxUpdated(updated),
            Self::Typing(typing) => ServerFrame::Typing(typing),
            Self::Presence(presence) => ServerFrame::Presence(presence),
            Self::SyncRequired(required) => ServerFrame::SyncRequired(required),
            Self::Heartbeat(answer) => ServerFrame::Heartbeat(answer),
            Self::Error(error) => ServerFrame::Error(error),
            Self::Unknown(kind) => ServerFrame::Unknown(Cow::Owned(kind.into_owned())),
        }
    }
}
