//! What the work on the queue asks of this server: the live part, accounts, time, chance, HTTP.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use ostracon_domain::{
    Conversation, ConversationId, ConversationKind, Message, MessageKind, Millis, Seq, UserId,
};
use ostracon_engine::{AwayLook, AwayQuestion, EngineError};
use ostracon_push::{Answered, Asked, Look, News, Request, Sender, Surroundings, Unavailable};
use ostracon_store::{DirectoryError, MessagePage, PagePosition};

use super::http::Post;
use crate::app::App;

pub(super) struct Around {
    app: Weak<App>,
    post: Post,
}

impl Around {
    pub(super) const fn new(app: Weak<App>, post: Post) -> Self {
        Self { app, post }
    }

    fn app(&self) -> Result<Arc<App>, Unavailable> {
        self.app.upgrade().ok_or_else(|| Unavailable("the server stops".to_owned()))
    }
}

fn engine_fails(error: EngineError) -> Unavailable {
    Unavailable(error.to_string())
}

fn directory_fails(error: DirectoryError) -> Unavailable {
    Unavailable(error.to_string())
}

#[async_trait]
impl Surroundings for Around {
    fn now(&self) -> Millis {
        self.app.upgrade().map_or(0, |app| app.clock.now())
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        getrandom::fill(bytes).map_err(|error| Unavailable(error.to_string()))
    }

    async fn look(&self, asked: Asked) -> Result<Look, Unavailable> {
        let app = self.app()?;
        let Asked { user, conversation, seq, mention_seq, count, mentions_only } = asked;
        let question = AwayQuestion { user, conversation, seq, mention_seq, count, mentions_only };
        match app.engine.look_away(question).await.map_err(engine_fails)? {
            AwayLook::Silent(why) => Ok(Look::Silent(why)),
            AwayLook::Later(wait) => Ok(Look::Later(wait)),
            AwayLook::Tell(found) => {
                let news = news(&app, &found.conversation, &found.message).await?;
                let mut news = news.ok_or_else(|| Unavailable("the sender is gone".to_owned()))?;
                news.mentioned = found.mentioned;
                news.unread = found.unread;
                Ok(Look::Tell(Box::new(news)))
            }
        }
    }

    async fn message(
        &self,
        reader: UserId,
        conversation: ConversationId,
        seq: Seq,
    ) -> Result<Option<News>, Unavailable> {
        let app = self.app()?;
        let position = PagePosition::Seq(seq.saturating_add(1));
        let page = MessagePage::Before { position, limit: 1 };
        let found = match app.engine.messages(reader, conversation, page).await {
            Ok((found, _)) => found,
            Err(EngineError::Refused(_)) => return Ok(None),
            Err(error) => return Err(engine_fails(error)),
        };
        let message = found.messages.iter().map(|view| &view.message).find(|message| {
            message.seq == seq && message.deleted.is_none() && message.kind != MessageKind::System
        });
        match message {
            Some(message) => news(&app, &found.conversation, message).await,
            None => Ok(None),
        }
    }

    async fn post(&self, request: Request) -> Result<Answered, String> {
        self.post.send(request).await
    }
}

async fn news(
    app: &App,
    conversation: &Conversation,
    message: &Message,
) -> Result<Option<News>, Unavailable> {
    let sender = app.directory.users(&[message.sender]).await.map_err(directory_fails)?.pop();
    let is_group = conversation.kind == ConversationKind::Group;
    Ok(sender.map(|sender| News {
        conversation: conversation.id,
        group: is_group.then(|| conversation.name.clone()),
        seq: message.seq,
        message_id: message.message_id,
        sender: Sender {
            id: sender.id,
            name: sender.display_name,
            external_id: sender.external_id,
        },
        kind: message.kind,
        text: message.content.clone(),
        created_at: message.created_at,
        mentioned: false,
        unread: 0,
    }))
}
