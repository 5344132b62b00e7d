//! The task that owns a device: reads the socket, makes its calls, waits where it must.
//! Decides when something is tried again, never what.

use super::{
    Wish,
    requests::{self, Topic},
};
use crate::{
    api::{Api, ApiError},
    device::{Answer, Device, Event, Failure, Output, Request, RequestId},
    random::{Random, asked_delay, back_off},
    socket::{Credential, Socket, SocketError, decode},
};
use ostracon_domain::ConversationId;
use ostracon_proto::{
    Encoding, ErrorCode,
    close_code::Reconnect,
    frame::{ClientFrame, Command, ServerFrame},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, broadcast, mpsc, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout},
};

/// Calls that one device makes at once.
const CALLS_MAX: usize = 8;
/// A heartbeat is sent at least this often, whatever `hello` says.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// A socket that is not open by then, or takes no frame for that long, is given up.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Driver {
    device: Device,
    api: Api,
    credential: Credential,
    encoding: Encoding,
    random: Box<dyn Random>,
    events: broadcast::Sender<Event>,
    link: Link,
    /// Why there will be no socket any more; told once, after what the device has to say.
    farewell: Option<Event>,
    /// Openings in a row that did not come to a `hello`.
    link_failures: u32,
    tasks: JoinSet<Done>,
    calls: Arc<Semaphore>,
    under_way: BTreeMap<RequestId, (Topic, AbortHandle)>,
    /// Requests that failed and wait before the device asks again.
    resting: BTreeSet<RequestId>,
    failures: BTreeMap<Topic, u32>,
}

/// The socket.
enum Link {
    /// None; a task opens one, now or after a wait.
    Opening,
    Open(Open),
    /// None, and none will be.
    Over,
}

struct Open {
    socket: Box<Socket>,
    heartbeat: Interval,
    /// Whether anything came since the last heartbeat.
    heard: bool,
}

/// What a task of the driver came to.
enum Done {
    Opened(Result<Box<Socket>, SocketError>),
    Answered(RequestId, Result<Box<Answer>, ApiError>),
    Rested(RequestId),
    Released(ConversationId),
}

/// What woke the driver.
enum Wake {
    Wish(Option<Wish>),
    Done(Done),
    Frame(Result<bytes::Bytes, SocketError>),
    Heartbeat,
    /// A task was cancelled.
    Nothing,
}

impl Driver {
    pub(super) fn new(
        device: Device,
        api: Api,
        (token, encoding): (String, Encoding),
        random: Box<dyn Random>,
        events: broadcast::Sender<Event>,
    ) -> Self {
        Self {
            device,
            api,
            credential: Credential::Token(token),
            encoding,
            random,
            events,
            link: Link::Opening,
            farewell: None,
            link_failures: 0,
            tasks: JoinSet::new(),
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
            under_way: BTreeMap::new(),
            resting: BTreeSet::new(),
            failures: BTreeMap::new(),
        }
    }

    /// Runs until the last handle is gone.
    pub(super) async fn run(mut self, mut wishes: mpsc::Receiver<Wish>, steps: watch::Sender<u64>) {
        self.open_after(Duration::ZERO);
        loop {
            match self.wake(&mut wishes).await {
                Wake::Wish(None) => return,
                Wake::Wish(Some(wish)) => wish(&mut self.device, &mut *self.random),
                Wake::Done(done) => self.done(done),
                Wake::Frame(Ok(frame)) => self.frame(&frame),
                Wake::Frame(Err(error)) => self.lost(&error),
                Wake::Heartbeat => self.heartbeat().await,
                Wake::Nothing => continue,
            }
            self.carry_out().await;
            steps.send_modify(|step| *step += 1);
        }
    }

    async fn wake(&mut self, wishes: &mut mpsc::Receiver<Wish>) -> Wake {
        // Without a socket the two futures below are never polled to an end.
        let (socket, heartbeat) = match &mut self.link {
            Link::Open(open) => (Some(&mut *open.socket), Some(&mut open.heartbeat)),
            Link::Opening | Link::Over => (None, None),
        };
        let frame = async {
            match socket {
                Some(socket) => socket.next().await,
                None => std::future::pending().await,
            }
        };
        let beat = async {
            match heartbeat {
                Some(heartbeat) => heartbeat.tick().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            wish = wishes.recv() => Wake::Wish(wish),
            Some(done) = self.tasks.join_next() => done.map_or(Wake::Nothing, Wake::Done),
            frame = frame => Wake::Frame(frame),
            _ = beat => Wake::Heartbeat,
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Opened(Ok(socket)) => self.link = Link::Open(Open::new(socket)),
            Done::Opened(Err(error)) => self.lost(&error),
            Done::Answered(id, Ok(answer)) => {
                if let Some((topic, _)) = self.under_way.remove(&id) {
                    self.failures.remove(&topic);
                }
                self.device.answer(id, *answer);
            }
            Done::Answered(id, Err(error)) => self.failed(id, &error),
            Done::Rested(id) => self.again(id),
            Done::Released(conversation) => self.device.release(conversation),
        }
    }

    fn frame(&mut self, frame: &[u8]) {
        let Link::Open(open) = &mut self.link else { return };
        open.heard = true;
        let device = &mut self.device;
        let hello = decode(self.encoding, frame, |received| {
            let hello = match &received.frame {
                ServerFrame::Hello(hello) => Some(hello.heartbeat_s),
                _ => None,
            };
            device.frame(received);
            hello
        });
        match hello {
            Ok(Some(heartbeat_s)) => {
                open.beat_every(Duration::from_secs(heartbeat_s.into()));
                self.link_failures = 0;
                // The server is back: what waited for it waits no longer.
                self.failures.clear();
                for id in std::mem::take(&mut self.resting) {
                    self.again(id);
                }
            }
            Ok(None) => {}
            // A frame of a later version: its effect is found again by its rev.
            Err(error) => tracing::warn!(%error, "a frame was skipped"),
        }
    }

    /// A request failed: for good, or to be tried again after a while.
    fn failed(&mut self, id: RequestId, error: &ApiError) {
        let Some((topic, _)) = self.under_way.remove(&id) else { return };
        if let Some(refusal) = requests::refused(error) {
            self.device.failed(id, &Failure::Refused(refusal));
            return;
        }
        let failures = self.failures.entry(topic).or_default();
        let attempt = *failures;
        *failures = failures.saturating_add(1);
        let delay = self.delay(error.retry_after(), attempt);
        tracing::debug!(%error, ?topic, ?delay, "a call failed");
        let rest = self.tasks.spawn(async move {
            sleep(delay).await;
            Done::Rested(id)
        });
        self.under_way.insert(id, (topic, rest));
        self.resting.insert(id);
    }

    fn again(&mut self, id: RequestId) {
        self.resting.remove(&id);
        if let Some((_, task)) = self.under_way.remove(&id) {
            task.abort();
            self.device.failed(id, &Failure::Again);
        }
    }

    /// Full jitter, and never sooner than the server asked.
    fn delay(&mut self, asked: Option<Duration>, attempt: u32) -> Duration {
        let own = back_off(&mut *self.random, attempt);
        match asked {
            Some(asked) => own.max(asked_delay(&mut *self.random, asked)),
            None => own,
        }
    }

    fn open_after(&mut self, delay: Duration) {
        self.link = Link::Opening;
        let address = self.api.address().clone();
        let (credential, encoding) = (self.credential.clone(), self.encoding);
        self.tasks.spawn(async move {
            sleep(delay).await;
            let opening = Socket::connect(&address, &credential, encoding);
            let late = || SocketError::Lost("not open in time".to_owned());
            let opened = timeout(PATIENCE, opening).await.unwrap_or_else(|_| Err(late()));
            Done::Opened(opened.map(Box::new))
        });
    }

    /// There is no socket, or none any more.
    fn lost(&mut self, error: &SocketError) {
        self.device.disconnected();
        let end = match error {
            SocketError::Refused(refusal) if refusal.code() == Some(ErrorCode::Unauthorized) => {
                Some(Event::SignedOut)
            }
            _ => match error.close_code().map(|code| code.reconnect()) {
                Some(Reconnect::AfterSignIn) => Some(Event::SignedOut),
                Some(Reconnect::No) => Some(Event::Stopped(error.to_string())),
                Some(Reconnect::Yes | Reconnect::AfterReason) | None => None,
            },
        };
        if let Some(event) = end {
            self.link = Link::Over;
            self.farewell = Some(event);
            return;
        }
        let delay = self.delay(error.retry_after(), self.link_failures);
        self.link_failures = self.link_failures.saturating_add(1);
        tracing::debug!(%error, ?delay, "no connection");
        self.open_after(delay);
    }

    async fn heartbeat(&mut self) {
        let Link::Open(open) = &mut self.link else { return };
        if !std::mem::take(&mut open.heard) {
            self.lost(&SocketError::Lost("nothing was heard".to_owned()));
            return;
        }
        let frame = ClientFrame { id: None, command: Command::Heartbeat };
        self.feed(&frame).await;
        self.flush().await;
    }

    /// Does what the device wants done.
    async fn carry_out(&mut self) {
        let mut fed = false;
        // A lost socket makes new outputs.
        loop {
            let outputs = self.device.take_outputs();
            if outputs.is_empty() {
                break;
            }
            for output in outputs {
                match output {
                    Output::Ask(id, request) => self.ask(id, request),
                    Output::Cancel(id) => {
                        self.resting.remove(&id);
                        if let Some((_, task)) = self.under_way.remove(&id) {
                            task.abort();
                        }
                    }
                    Output::Frame(frame) => {
                        self.feed(&frame).await;
                        fed = true;
                    }
                    Output::Hold { conversation, attempt, retry_after_ms } => {
                        let asked = retry_after_ms.map(Duration::from_millis);
                        let delay = self.delay(asked, attempt);
                        self.tasks.spawn(async move {
                            sleep(delay).await;
                            Done::Released(conversation)
                        });
                    }
                    Output::Notify(event) => self.tell(event),
                }
            }
            if std::mem::take(&mut fed) {
                self.flush().await;
            }
        }
        if let Some(event) = self.farewell.take() {
            self.tell(event);
        }
    }

    fn ask(&mut self, id: RequestId, request: Request) {
        let topic = Topic::of(&request);
        let (api, calls) = (self.api.clone(), Arc::clone(&self.calls));
        let task = self.tasks.spawn(async move {
            // The semaphore is never closed; without a permit the call is one more than wanted.
            let _permit = calls.acquire_owned().await;
            Done::Answered(id, requests::call(&api, request).await.map(Box::new))
        });
        self.under_way.insert(id, (topic, task));
    }

    fn tell(&self, event: Event) {
        // Nobody may be listening.
        _ = self.events.send(event);
    }

    async fn feed(&mut self, frame: &ClientFrame<'_>) {
        let bytes = frame.encode(self.encoding);
        if let Link::Open(open) = &mut self.link {
            let fed = timeout(PATIENCE, open.socket.feed_raw(bytes)).await;
            self.written(fed);
        }
    }

    async fn flush(&mut self) {
        if let Link::Open(open) = &mut self.link {
            let flushed = timeout(PATIENCE, open.socket.flush()).await;
            self.written(flushed);
        }
    }

    fn written<E>(&mut self, result: Result<Result<(), SocketError>, E>) {
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.lost(&error),
            Err(_) => self.lost(&SocketError::Lost("it takes no frames".to_owned())),
        }
    }
}

impl Open {
    fn new(socket: Box<Socket>) -> Self {
        Self { socket, heartbeat: beats(HEARTBEAT), heard: true }
    }

    fn beat_every(&mut self, wanted: Duration) {
        // Half a second is more often than any server needs.
        let period = wanted.clamp(Duration::from_millis(500), HEARTBEAT);
        self.heartbeat = beats(period);
    }
}

fn beats(period: Duration) -> Interval {
    let mut beats = interval_at(Instant::now() + period, period);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}
