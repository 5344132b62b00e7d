//! A [`Device`] with everything it needs: sockets, calls, waits. [`Client`] is a handle; the device
//! itself belongs to one task, and what a handle wants is run there.

mod driver;
mod requests;

use crate::{
    address::Address,
    api::{Api, ApiError},
    device::{ChatLine, Device, Event, Options, Snapshot},
    random::{OsRandom, Random, client_id},
};
use driver::Driver;
use ostracon_domain::{ConversationId, Rev, Seq, UserId};
use ostracon_proto::{Encoding, Position, frame::OutgoingMessage};
use std::{fmt, sync::Arc};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::AbortHandle,
};

/// Events that a slow listener may lag behind; then it gets [`Event::Missed`].
const EVENTS_MAX: usize = 1_024;
/// Wishes that wait for the device's task; beyond it, whoever wishes waits.
const WISHES_MAX: usize = 256;

/// What a client is started with.
pub struct Config {
    /// The server.
    pub address: Address,
    /// The user's token.
    pub token: String,
    /// How frames are written.
    pub encoding: Encoding,
    /// How the device works.
    pub options: Options,
    /// Whose token it is, when that is known; else the server is asked once.
    pub user: Option<UserId>,
    /// Client ids and jitter.
    pub random: Box<dyn Random>,
}

/// Tokens never reach a log.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Config {
    /// The usual: JSON, default options, randomness of the system.
    pub fn new(address: Address, token: impl Into<String>) -> Self {
        Self {
            address,
            token: token.into(),
            encoding: Encoding::Json,
            options: Options::default(),
            user: None,
            random: Box::new(OsRandom),
        }
    }
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Into a conversation.
    Conversation(ConversationId),
    /// To a user: their direct conversation, which begins with its first message.
    User(UserId),
}

impl From<ConversationId> for Target {
    fn from(id: ConversationId) -> Self {
        Self::Conversation(id)
    }
}

impl From<UserId> for Target {
    fn from(id: UserId) -> Self {
        Self::User(id)
    }
}

/// The client was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client was stopped")]
pub struct Stopped;

/// Something to be done where the device is. A closure and not an enum: each method of the device is
/// a wish already, and the answer goes back through it.
type Wish = Box<dyn FnOnce(&mut Device, &mut dyn Random) + Send>;

/// A signed-in device that runs. Clones are handles to the same one; it ends with the last of them.
#[derive(Clone)]
pub struct Client {
    me: UserId,
    api: Api,
    wishes: mpsc::Sender<Wish>,
    /// Weak, so that listeners see the end of the device.
    events: broadcast::WeakSender<Event>,
    /// Rises with everything that happens.
    steps: watch::Receiver<u64>,
    task: Arc<AbortHandle>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("me", &self.me).finish_non_exhaustive()
    }
}

/// What happens to a client, in order.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` when the client has ended. Nothing is lost when this future is dropped.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Event::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Client {
    /// Starts a device; it connects, and comes back after every loss, by itself.
    ///
    /// # Errors
    /// [`ApiError`] when the server had to be asked whose token it is.
    pub async fn start(config: Config) -> Result<Self, ApiError> {
        let api = Api::new(config.address, Some(&config.token));
        let me = match config.user {
            Some(user) => user,
            None => api.me().await?.user_id,
        };
        let (wishes, wished) = mpsc::channel(WISHES_MAX);
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let (stepped, steps) = watch::channel(0);
        let driver = Driver::new(
            Device::new(me, config.options),
            api.clone(),
            (config.token, config.encoding),
            config.random,
            events.clone(),
        );
        let events = events.downgrade();
        let task = tokio::spawn(driver.run(wished, stepped)).abort_handle();
        Ok(Self { me, api, wishes, events, steps, task: Arc::new(task) })
    }

    /// Whose device it is.
    #[must_use]
    pub const fn me(&self) -> UserId {
        self.me
    }

    /// Calls with the same token: profiles, members, settings.
    #[must_use]
    pub const fn api(&self) -> &Api {
        &self.api
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        let sender = self.events.upgrade();
        // A device that has ended tells nothing any more.
        Events(sender.map_or_else(|| broadcast::channel(1).1, |sender| sender.subscribe()))
    }

    /// Ends at once, without a good-bye: what is not yet durable is lost.
    pub fn stop(&self) {
        self.task.abort();
    }

    /// Runs something on the device, between two of its steps.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn with<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Device, &mut dyn Random) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        let wish: Wish = Box::new(move |device, random| {
            // Whoever wished may have gone meanwhile.
            _ = answer.send(run(device, random));
        });
        self.wishes.send(wish).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }

    /// Looks at the device after each of its steps, until there is something to see.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn until<T: Send + 'static>(
        &self,
        look: impl Fn(&Device) -> Option<T> + Send + Sync + 'static,
    ) -> Result<T, Stopped> {
        let mut steps = self.steps.clone();
        let look = Arc::new(look);
        loop {
            steps.borrow_and_update();
            let look = Arc::clone(&look);
            if let Some(seen) = self.with(move |device, _| look(device)).await? {
                return Ok(seen);
            }
            steps.changed().await.map_err(|_| Stopped)?;
        }
    }

    /// Waits until it is connected, holds everything it heard of, and all it said is durable.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn level(&self) -> Result<(), Stopped> {
        self.until(|device| device.is_level().then_some(())).await
    }

    /// Loads a conversation and keeps it up to date.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn open(&self, conversation: ConversationId) -> Result<(), Stopped> {
        self.with(move |device, _| device.open(conversation)).await
    }

    /// Loads a conversation around a position; what was loaded of it is let go.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn open_at(
        &self,
        conversation: ConversationId,
        position: Position,
    ) -> Result<(), Stopped> {
        self.with(move |device, _| device.open_at(conversation, position)).await
    }

    /// Lets the messages of a conversation go.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn close(&self, conversation: ConversationId) -> Result<(), Stopped> {
        self.with(move |device, _| device.close(conversation)).await
    }

    /// Loads the page before what is shown; false when there is none or one is on its way.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn load_older(&self, conversation: ConversationId) -> Result<bool, Stopped> {
        self.with(move |device, _| device.load_older(conversation)).await
    }

    /// Loads the page after what is shown; false when there is none or one is on its way.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn load_newer(&self, conversation: ConversationId) -> Result<bool, Stopped> {
        self.with(move |device, _| device.load_newer(conversation)).await
    }

    /// Says something. It is durable when [`Event::Sent`] names the client id that is returned here
    /// beside the conversation.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn send(
        &self,
        to: impl Into<Target>,
        text: impl Into<String>,
    ) -> Result<(ConversationId, String), Stopped> {
        self.send_message(to, OutgoingMessage::text(text.into())).await
    }

    /// The same with a reply, mentions or another type. A `client_id` in the message is replaced.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn send_message(
        &self,
        to: impl Into<Target>,
        message: OutgoingMessage<'static>,
    ) -> Result<(ConversationId, String), Stopped> {
        let to = to.into();
        self.with(move |device, random| {
            let id = client_id(random);
            let conversation = match to {
                Target::Conversation(conversation) => {
                    device.send(conversation, message, id.clone());
                    conversation
                }
                Target::User(user) => device.send_to(user, message, id.clone()),
            };
            (conversation, id)
        })
        .await
    }

    /// Changes what one said.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn edit(
        &self,
        conversation: ConversationId,
        seq: Seq,
        content: impl Into<String>,
        if_content_rev: Option<Rev>,
    ) -> Result<(), Stopped> {
        let content = content.into();
        self.with(move |device, _| device.edit(conversation, seq, content, if_content_rev)).await
    }

    /// Deletes a message for everyone.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn delete(&self, conversation: ConversationId, seq: Seq) -> Result<(), Stopped> {
        self.with(move |device, _| device.delete(conversation, seq)).await
    }

    /// Adds one's own reaction, or takes it away.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn react_to(
        &self,
        conversation: ConversationId,
        seq: Seq,
        emoji: impl Into<String>,
        remove: bool,
    ) -> Result<(), Stopped> {
        let emoji = emoji.into();
        self.with(move |device, _| device.react_to(conversation, seq, emoji, remove)).await
    }

    /// Everything up to a message is read.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn mark_read(&self, conversation: ConversationId, seq: Seq) -> Result<(), Stopped> {
        self.with(move |device, _| device.mark_read(conversation, seq)).await
    }

    /// Everything up to a message has reached this device.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn mark_delivered(
        &self,
        conversation: ConversationId,
        seq: Seq,
    ) -> Result<(), Stopped> {
        self.with(move |device, _| device.mark_delivered(conversation, seq)).await
    }

    /// Tries a failed send again, under the same client id; false when there is none.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn retry(
        &self,
        conversation: ConversationId,
        client_id: impl Into<String>,
    ) -> Result<bool, Stopped> {
        let id = client_id.into();
        self.with(move |device, _| device.retry(conversation, &id)).await
    }

    /// Gives a failed send up; false when there is none.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn discard(
        &self,
        conversation: ConversationId,
        client_id: impl Into<String>,
    ) -> Result<bool, Stopped> {
        let id = client_id.into();
        self.with(move |device, _| device.discard(conversation, &id)).await
    }

    /// What is shown of a conversation; `None` for one that was never heard of.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn snapshot(
        &self,
        conversation: ConversationId,
    ) -> Result<Option<Snapshot>, Stopped> {
        self.with(move |device, _| device.snapshot(conversation)).await
    }

    /// The chat list, latest activity first.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn chat_list(&self) -> Result<Vec<ChatLine>, Stopped> {
        self.with(|device, _| device.chat_list()).await
    }
}
