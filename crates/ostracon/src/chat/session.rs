//! The loop between what is typed, the device, and what is shown.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, bail};
use crossterm::event::{Event as KeyEvent, KeyCode, KeyEventKind, KeyModifiers};
use ostracon_client::{
    Address, Client, Config, Event, Events, Target,
    device::{ChatLine, PendingState, Snapshot},
};
use ostracon_domain::{ConversationId, Seq, UserId};
use ostracon_proto::{
    EditSettings, UserRef,
    frame::OutgoingMessage,
    rest::{CreateConversation, Profile},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{
    editor::Editor,
    input::{HELP, Input, parse},
    names::Names,
    picture,
    plain::{Plain, Said, text_of},
    screen::draw,
    terminal::{self, Terminal},
};
use crate::output;

/// Changes that come close together are drawn once.
const DRAW_AFTER: Duration = Duration::from_millis(15);
/// How long a name is waited for; without it the number is shown.
const NAMES_WAIT: Duration = Duration::from_secs(2);
/// How long the end waits for what was said last.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(10);
/// Remarks kept on the screen.
const NOTES: usize = 40;

/// What a chat is started with.
pub(crate) struct Start {
    pub(crate) address: Address,
    pub(crate) token: String,
    pub(crate) me: Profile,
    /// Opened at once: a user, a group, an id.
    pub(crate) to: Option<String>,
    pub(crate) json: bool,
    /// Whether there is a terminal on both sides.
    pub(crate) is_terminal: bool,
}

/// How it looks.
enum Face {
    Screen {
        terminal: Terminal,
        keys: mpsc::Receiver<KeyEvent>,
        editor: Editor,
        notes: Vec<String>,
    },
    Lines {
        lines: mpsc::Receiver<String>,
        plain: Plain,
        json: bool,
    },
}

/// What woke the loop.
enum Wake {
    Event(Option<Event>),
    Line(String),
    /// A key that changed what is typed, or the size.
    Draw,
    /// Nothing more will be typed.
    NoMore,
    /// Everything said is durable, or it took too long.
    LastWords,
}

struct Session {
    client: Client,
    me: UserId,
    my_name: String,
    names: Names,
    list: Vec<ChatLine>,
    open: Option<ConversationId>,
    /// Conversations that the device holds.
    loaded: BTreeSet<ConversationId>,
    /// Up to where the open conversation was marked as read.
    read_to: Seq,
    connected: bool,
    /// Why it must end, when not by wish.
    over: Option<String>,
}

/// Runs a chat until it is ended.
///
/// # Errors
/// When the session is over or the terminal is gone.
pub(crate) async fn run(start: Start) -> Result<()> {
    let mut config = Config::new(start.address, start.token);
    config.user = Some(start.me.user_id);
    let client = Client::start(config).await?;
    let events = client.events();
    let mut session = Session::new(client, &start.me);
    let mut face = if start.is_terminal {
        Face::Screen {
            terminal: Terminal::open()?,
            keys: terminal::keys(),
            editor: Editor::default(),
            notes: vec!["/help lists the commands.".to_owned()],
        }
    } else {
        Face::Lines { lines: terminal::lines(), plain: Plain::default(), json: start.json }
    };
    if let Some(to) = start.to {
        session.act(Input::Open(to), &mut face).await?;
    }
    session.go_on(events, &mut face).await?;
    drop(face);
    match session.over {
        Some(why) => bail!(why),
        None => Ok(()),
    }
}

impl Session {
    fn new(client: Client, me: &Profile) -> Self {
        let mut names = Names::default();
        names.learn(me);
        Self {
            me: me.user_id,
            my_name: names.user(me.user_id),
            names,
            client,
            list: Vec::new(),
            open: None,
            loaded: BTreeSet::new(),
            read_to: 0,
            connected: false,
            over: None,
        }
    }

    async fn go_on(&mut self, mut events: Events, face: &mut Face) -> Result<()> {
        if self.client.with(|device, _| device.is_connected()).await? {
            self.happened(Event::Connected, face).await?;
            self.refresh(face).await?;
        }
        let mut draw_at = Some(Instant::now());
        let mut ending: Option<Instant> = None;
        loop {
            let wake = tokio::select! {
                // What happened is shown before what is typed is done.
                biased;
                event = events.next() => Wake::Event(event),
                wake = face.next(), if ending.is_none() => wake,
                () = at(draw_at) => {
                    self.draw(face).await?;
                    draw_at = None;
                    continue;
                }
                _ = self.client.level(), if ending.is_some() => Wake::LastWords,
                () = at(ending) => Wake::LastWords,
            };
            match wake {
                Wake::Event(None) => return Ok(()),
                Wake::Event(Some(event)) => self.happened(event, face).await?,
                Wake::Draw => {}
                Wake::Line(line) => match parse(&line) {
                    Ok(Input::Quit) => ending = Some(Instant::now() + LAST_WORDS_WAIT),
                    Ok(input) => self.act(input, face).await?,
                    Err(text) => face.say(Said::Error { text })?,
                },
                Wake::NoMore => ending = Some(Instant::now() + LAST_WORDS_WAIT),
                Wake::LastWords => {
                    // What became durable meanwhile is still told.
                    self.refresh(face).await?;
                    return Ok(());
                }
            }
            if self.over.is_some() {
                return Ok(());
            }
            draw_at = draw_at.or_else(|| Some(Instant::now() + DRAW_AFTER));
        }
    }

    async fn happened(&mut self, event: Event, face: &mut Face) -> Result<()> {
        match event {
            Event::Connected => {
                self.connected = true;
                let user = self.my_name.clone();
                face.say(Said::Connected { user, user_id: self.me })?;
            }
            Event::Disconnected => {
                self.connected = false;
                face.say(Said::Disconnected)?;
            }
            Event::Synced | Event::Missed => self.refresh(face).await?,
            Event::Changed(id) => {
                self.relist().await?;
                self.look(id, face).await?;
            }
            Event::Removed(id) => {
                self.relist().await?;
                self.loaded.remove(&id);
                if let Face::Lines { plain, .. } = face {
                    plain.forget(id);
                }
                if self.open == Some(id) && id.peer_of(self.me).is_none() {
                    self.open = None;
                    let text = "this conversation is gone".to_owned();
                    face.say(Said::Note { text })?;
                }
            }
            // The message itself is shown when its conversation is looked at.
            Event::Sent { .. } | Event::SendFailed { .. } => {}
            Event::Refused { error, .. } => {
                face.say(Said::Error { text: error.message.to_string() })?
            }
            Event::SignedOut => self.over = Some("the session has ended; sign in again".to_owned()),
            Event::Stopped(why) => self.over = Some(why),
        }
        Ok(())
    }

    async fn relist(&mut self) -> Result<()> {
        self.list = self.client.chat_list().await?;
        // A direct conversation begins with its first message: then it can be loaded.
        if let Some(id) = self.open
            && !self.loaded.contains(&id)
            && self.list.iter().any(|line| line.info.conversation_id == id)
        {
            self.loaded.insert(id);
            self.client.open(id).await?;
        }
        Ok(())
    }

    /// Looks at everything again.
    async fn refresh(&mut self, face: &mut Face) -> Result<()> {
        self.relist().await?;
        let ids: Vec<_> = self.list.iter().map(|line| line.info.conversation_id).collect();
        for id in ids {
            self.look(id, face).await?;
        }
        Ok(())
    }

    /// Marks what is seen as read and tells what is new.
    async fn look(&mut self, id: ConversationId, face: &mut Face) -> Result<()> {
        let Some(shown) = self.client.snapshot(id).await? else { return Ok(()) };
        let is_open = self.open == Some(id);
        if is_open && shown.loaded && shown.last_seq() > self.read_to {
            self.read_to = shown.last_seq();
            let read = shown.membership.as_ref().map_or(0, |own| own.read_seq);
            if read < self.read_to {
                self.client.mark_read(id, self.read_to).await?;
            }
        }
        if let Face::Lines { .. } = face {
            let chat = self.known_names(&shown).await;
            if let Face::Lines { plain, .. } = face {
                let said = plain.changed(&shown, is_open, &chat, self.me, &mut self.names);
                for said in said {
                    face.say(said)?;
                }
            }
        }
        Ok(())
    }

    /// The name of a conversation, after asking for all names in it that are not known.
    async fn known_names(&mut self, shown: &Snapshot) -> String {
        for message in &shown.messages {
            self.names.user(message.sender_id);
        }
        for (user, _) in &shown.marks {
            self.names.user(*user);
        }
        self.title(shown.conversation_id);
        // Without an answer the numbers are shown.
        let _ = timeout(NAMES_WAIT, self.names.look_up(self.client.api())).await;
        self.title(shown.conversation_id)
    }

    fn title(&mut self, id: ConversationId) -> String {
        let line = self.list.iter().find(|line| line.info.conversation_id == id);
        let name = line.and_then(|line| line.info.name.as_deref());
        self.names.conversation(id, name, self.me)
    }

    async fn draw(&mut self, face: &mut Face) -> Result<()> {
        let Face::Screen { terminal, editor, notes, .. } = face else { return Ok(()) };
        let shown = match self.open {
            Some(id) => self.client.snapshot(id).await?,
            None => None,
        };
        if let Some(shown) = &shown {
            self.known_names(shown).await;
        }
        let title = self.open.map(|id| self.title(id));
        let mut picture =
            picture::of(&self.list, self.open, shown.as_ref(), self.me, &mut self.names);
        picture.me.clone_from(&self.my_name);
        picture.connected = self.connected;
        picture.title = title.unwrap_or_else(|| "no conversation is open: /open NAME".to_owned());
        picture.notes.clone_from(notes);
        picture.typed = editor.text();
        picture.left_of_cursor = editor.left_of_cursor();
        let (columns, rows) = terminal.size();
        let (lines, cursor) = draw(&picture, columns, rows);
        terminal.show(&lines, cursor)
    }

    /// Does what was typed. What the server refuses is said; only an ended client is an error.
    async fn act(&mut self, input: Input, face: &mut Face) -> Result<()> {
        if let Face::Screen { notes, .. } = face {
            notes.clear();
        }
        match self.try_to(input, face).await {
            Ok(()) => Ok(()),
            Err(error) if error.is::<ostracon_client::Stopped>() => Err(error),
            Err(error) => face.say(Said::Error { text: format!("{error:#}") }),
        }
    }

    async fn try_to(&mut self, input: Input, face: &mut Face) -> Result<()> {
        match input {
            Input::Nothing | Input::Quit => Ok(()),
            Input::Say(text) => {
                let to = self.target()?;
                self.client.send(to, text).await?;
                Ok(())
            }
            Input::Reply(seq, text) => {
                let mut message = OutgoingMessage::text(text);
                message.reply_to = Some(seq);
                let to = self.target()?;
                self.client.send_message(to, message).await?;
                Ok(())
            }
            Input::Open(name) => {
                let api = self.client.api().clone();
                let id = self.names.find_conversation(&api, &self.list, self.me, &name).await?;
                self.open_conversation(id, face).await
            }
            Input::New { name, members } => {
                let api = self.client.api().clone();
                let mut users = Vec::new();
                for member in &members {
                    users.push(UserRef::Id(self.names.find_user(&api, member).await?));
                }
                let client_id = self.client.with(|_, random| new_client_id(random)).await?;
                let group = CreateConversation::Group {
                    name: name.as_str().into(),
                    members: users,
                    client_id: Some(client_id.into()),
                    settings: EditSettings::default(),
                };
                let id = api.create_conversation(&group).await?.value.conversation.conversation_id;
                self.names.learn_group(id, &name);
                self.open_conversation(id, face).await
            }
            Input::Edit(seq, text) => Ok(self.client.edit(self.opened()?, seq, text, None).await?),
            Input::Delete(seq) => Ok(self.client.delete(self.opened()?, seq).await?),
            Input::React { seq, emoji, remove } => {
                Ok(self.client.react_to(self.opened()?, seq, emoji, remove).await?)
            }
            Input::Read => {
                let id = self.opened()?;
                let line = self.list.iter().find(|line| line.info.conversation_id == id);
                let head = line.map_or(0, |line| line.info.head_seq).max(self.read_to);
                Ok(self.client.mark_read(id, head).await?)
            }
            Input::Older => {
                if !self.client.load_older(self.opened()?).await? {
                    face.say(Said::Note { text: "there is nothing older".to_owned() })?;
                }
                Ok(())
            }
            Input::List => self.show_list(face).await,
            Input::Members => self.show_members(face).await,
            Input::Retry => self.failed(true).await,
            Input::Discard => self.failed(false).await,
            Input::Help => {
                HELP.iter().try_for_each(|line| face.say(Said::Note { text: (*line).to_owned() }))
            }
        }
    }

    fn opened(&self) -> Result<ConversationId> {
        match self.open {
            Some(id) => Ok(id),
            None => bail!("no conversation is open; /open NAME opens one"),
        }
    }

    /// To a user rather than into their conversation, which may not be there yet.
    fn target(&self) -> Result<Target> {
        let id = self.opened()?;
        Ok(id.peer_of(self.me).map_or(Target::Conversation(id), Target::User))
    }

    async fn open_conversation(&mut self, id: ConversationId, face: &mut Face) -> Result<()> {
        if let Some(before) = self.open.filter(|before| *before != id) {
            // Only one is looked at; the list and its badges stay level without the messages.
            self.loaded.remove(&before);
            self.client.close(before).await?;
        }
        self.open = Some(id);
        self.read_to = 0;
        self.relist().await?;
        let chat = match id.peer_of(self.me) {
            Some(peer) => {
                self.names.user(peer);
                let _ = timeout(NAMES_WAIT, self.names.look_up(self.client.api())).await;
                self.title(id)
            }
            None => self.title(id),
        };
        if let Face::Lines { plain, .. } = face {
            plain.forget(id);
        }
        face.say(Said::Opened { chat, conversation_id: id })?;
        self.look(id, face).await
    }

    async fn show_list(&mut self, face: &mut Face) -> Result<()> {
        self.relist().await?;
        for line in self.list.clone() {
            self.title(line.info.conversation_id);
        }
        let _ = timeout(NAMES_WAIT, self.names.look_up(self.client.api())).await;
        if self.list.is_empty() {
            return face.say(Said::Note {
                text: "there is no chat yet; /open NAME begins one".to_owned(),
            });
        }
        for (at, line) in self.list.clone().into_iter().enumerate() {
            let id = line.info.conversation_id;
            let last = line.last_message.map(|message| text_of(&message));
            let chat = self.title(id);
            face.say(Said::Chat {
                place: at + 1,
                chat,
                conversation_id: id,
                unread: line.unread,
                last,
            })?;
        }
        Ok(())
    }

    async fn show_members(&mut self, face: &mut Face) -> Result<()> {
        let id = self.opened()?;
        let Some(shown) = self.client.snapshot(id).await? else { return Ok(()) };
        for member in &shown.members {
            self.names.user(member.user_id);
        }
        let _ = timeout(NAMES_WAIT, self.names.look_up(self.client.api())).await;
        for member in &shown.members {
            let name = self.names.user(member.user_id);
            let role = match member.role {
                ostracon_domain::Role::Owner => " (owner)",
                ostracon_domain::Role::Admin => " (admin)",
                ostracon_domain::Role::Member => "",
            };
            face.say(Said::Note { text: format!("{name}{role}") })?;
        }
        Ok(())
    }

    /// Tries failed messages again, or gives them up.
    async fn failed(&mut self, again: bool) -> Result<()> {
        let id = self.opened()?;
        let pending =
            self.client.snapshot(id).await?.map(|shown| shown.pending).unwrap_or_default();
        for pending in pending {
            if !matches!(pending.state, PendingState::Failed(_)) {
                continue;
            }
            if again {
                self.client.retry(id, pending.client_id).await?;
            } else {
                self.client.discard(id, pending.client_id).await?;
            }
        }
        Ok(())
    }
}

fn new_client_id(random: &mut dyn ostracon_client::Random) -> String {
    ostracon_client::random::client_id(random)
}

/// Waits for a moment; for ever without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

impl Face {
    async fn next(&mut self) -> Wake {
        match self {
            Self::Lines { lines, .. } => lines.recv().await.map_or(Wake::NoMore, Wake::Line),
            Self::Screen { keys, editor, .. } => match keys.recv().await {
                Some(key) => pressed(editor, key),
                None => Wake::NoMore,
            },
        }
    }

    fn say(&mut self, said: Said) -> Result<()> {
        match self {
            Self::Lines { json: true, .. } => output::line(serde_json::to_string(&said)?),
            Self::Lines { .. } => output::line(said),
            Self::Screen { notes, .. } => {
                // The screen shows these by itself.
                if !matches!(
                    said,
                    Said::Connected { .. } | Said::Disconnected | Said::Opened { .. }
                ) {
                    notes.push(said.to_string());
                    let old = notes.len().saturating_sub(NOTES);
                    notes.drain(..old);
                }
                Ok(())
            }
        }
    }
}

fn pressed(editor: &mut Editor, event: KeyEvent) -> Wake {
    let key = match event {
        KeyEvent::Key(key) if key.kind != KeyEventKind::Release => key,
        KeyEvent::Paste(text) => {
            text.chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .for_each(|c| editor.insert(c));
            return Wake::Draw;
        }
        _ => return Wake::Draw,
    };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => return Wake::NoMore,
        KeyCode::Char('d') if control && editor.text().is_empty() => return Wake::NoMore,
        KeyCode::Char('a') if control => editor.home(),
        KeyCode::Char('e') if control => editor.end(),
        KeyCode::Char('u') if control => editor.clear(),
        KeyCode::Char('w') if control => editor.delete_word(),
        KeyCode::Char(c) if !control => editor.insert(c),
        KeyCode::Backspace => editor.backspace(),
        KeyCode::Delete => editor.delete(),
        KeyCode::Left => editor.left(),
        KeyCode::Right => editor.right(),
        KeyCode::Home => editor.home(),
        KeyCode::End => editor.end(),
        KeyCode::Up => editor.up(),
        KeyCode::Down => editor.down(),
        KeyCode::PageUp => return Wake::Line("/older".to_owned()),
        KeyCode::Enter => return Wake::Line(editor.enter()),
        _ => {}
    }
    Wake::Draw
}
