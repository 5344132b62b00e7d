//! Connections that send and receive: the driver of every workload that talks over WebSockets.

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use hdrhistogram::Histogram;

use crate::{
    admin::User,
    check::Seen,
    pace::Pace,
    report::histogram,
    wire::{field, websocket::WebSocket},
};

/// A text is this long, with the moment of its sending in front.
const TEXT_BYTES: usize = 200;
/// After the load, silence for so long means that everything has arrived.
const SILENCE: Duration = Duration::from_secs(3);

/// One connection's part in a run.
pub(crate) struct Role {
    /// Who connects.
    pub(crate) user: User,
    /// Where it sends, one after the other, as it stands in the frame: `"to":7` or `"conversation_id":"…"`; none: it only
    /// listens.
    pub(crate) targets: Vec<String>,
    /// Messages in flight.
    pub(crate) in_flight: usize,
}

/// What all connections of a run found out together.
pub(crate) struct Tally {
    pub(crate) acked: u64,
    pub(crate) delivered: u64,
    pub(crate) refused: u64,
    pub(crate) ack_us: Histogram<u64>,
    pub(crate) delivery_us: Histogram<u64>,
    /// Answers in each tenth of the run.
    pub(crate) tenths: [u64; 10],
    pub(crate) refusals: Vec<String>,
}

/// The moments of a run, shared by its connections.
pub(crate) struct Course {
    pub(crate) zero: Instant,
    pub(crate) end: Instant,
    pub(crate) tally: RefCell<Tally>,
}

impl Course {
    /// A run that begins now.
    pub(crate) fn begin(span: Duration) -> Rc<Self> {
        let zero = Instant::now();
        let tally = Tally {
            acked: 0,
            delivered: 0,
            refused: 0,
            ack_us: histogram(),
            delivery_us: histogram(),
            tenths: [0; 10],
            refusals: Vec::new(),
        };
        Rc::new(Self { zero, end: zero + span, tally: RefCell::new(tally) })
    }

    fn micros(&self) -> u64 {
        self.zero.elapsed().as_micros() as u64
    }

    fn tenth(&self, now: Instant) -> usize {
        let span = (self.end - self.zero).as_secs_f64();
        let at = (now - self.zero).as_secs_f64() / span * 10.0;
        (at as usize).min(9)
    }
}

/// Opens a connection and waits for its `hello`.
pub(crate) async fn open(address: &str, user: &User) -> Result<WebSocket> {
    let mut socket = WebSocket::connect(address, &user.token).await?;
    let hello = socket.frame(|frame| frame.starts_with(b"{\"type\":\"hello\"")).await?;
    if !hello {
        bail!("the first frame is not hello");
    }
    Ok(socket)
}

/// Runs one connection until the load has ended and nothing comes any more. What is sent late counts from when it was due.
pub(crate) async fn drive(
    mut socket: WebSocket,
    role: Role,
    mut pace: Pace,
    course: Rc<Course>,
) -> Result<Seen> {
    let mut own = Own {
        waiting: VecDeque::with_capacity(role.in_flight),
        in_order: role.targets.len() == 1,
        seen: Seen::default(),
    };
    let mut next_id = 1;
    let mut targets = role.targets.iter().cycle();
    let mut frame = Vec::with_capacity(400);
    loop {
        let sending = Instant::now() < course.end;
        if sending {
            while own.waiting.len() < role.in_flight
                && !role.targets.is_empty()
                && let Some(due) = pace.take()
                && let Some(target) = targets.next()
            {
                let now = due.saturating_duration_since(course.zero).as_micros() as u64;
                compose(&mut frame, next_id, target, role.user.user_id, now);
                socket.push(&frame);
                own.waiting.push_back((next_id, now));
                next_id += 1;
            }
        }
        socket.flush().await?;
        let patience = if sending {
            let left = course.end.saturating_duration_since(Instant::now());
            match pace.pause() {
                Some(pause) if !role.targets.is_empty() && own.waiting.len() < role.in_flight => {
                    left.min(pause)
                }
                _ => left,
            }
        } else {
            SILENCE
        };
        match tokio::time::timeout(patience, socket.fill()).await {
            Ok(read) => read?,
            Err(_) if sending => continue,
            Err(_) => return Ok(own.seen),
        }
        let (now, moment) = (course.micros(), Instant::now());
        let mut tally = course.tally.borrow_mut();
        while let Some(frame) = socket.next()? {
            own.note(frame, now, course.tenth(moment), &mut tally);
        }
    }
}

/// What one connection waits for and has seen.
struct Own {
    /// Ids of commands without an answer, and when they were sent.
    waiting: VecDeque<(u64, u64)>,
    /// It writes to one conversation: answers come in the order of its sends.
    in_order: bool,
    seen: Seen,
}

impl Own {
    fn note(&mut self, frame: &[u8], now: u64, tenth: usize, tally: &mut Tally) {
        if frame.starts_with(b"{\"type\":\"message_sent\"") {
            let id = field::number(frame, b"\"id\":").unwrap_or(0);
            let place = self.waiting.iter().position(|(waits, _)| *waits == id).unwrap_or(0);
            if let Some((_, sent)) = self.waiting.remove(place) {
                tally.ack_us.saturating_record(now.saturating_sub(sent));
                self.seen.reordered += u64::from(self.in_order && place > 0);
            }
            tally.acked += 1;
            tally.tenths[tenth] += 1;
            self.see(frame);
        } else if frame.starts_with(b"{\"type\":\"new_message\"") {
            if let Some(sent) = field::number(frame, b"\"content\":\"t=") {
                tally.delivery_us.saturating_record(now.saturating_sub(sent));
            }
            tally.delivered += 1;
            self.see(frame);
        } else if frame.starts_with(b"{\"type\":\"error\"")
            || frame.starts_with(b"{\"type\":\"sync_required\"")
        {
            tally.refused += 1;
            self.waiting.pop_front();
            if tally.refusals.len() < 3 {
                tally.refusals.push(String::from_utf8_lossy(frame).into_owned());
            }
        }
    }

    fn see(&mut self, frame: &[u8]) {
        if let (Some(id), Some(seq)) =
            (field::conversation(frame), field::number(frame, b"\"seq\":"))
        {
            self.seen.note(&id, seq);
        }
    }
}

/// A `send_message` frame with a text of [`TEXT_BYTES`] that begins with the moment.
pub(crate) fn compose(frame: &mut Vec<u8>, id: u64, target: &str, user: u64, now: u64) {
    use std::io::Write;
    const FILL: &[u8; TEXT_BYTES] = &[b'x'; TEXT_BYTES];
    frame.clear();
    // A vector takes every write.
    let _ = write!(
        frame,
        "{{\"type\":\"send_message\",\"id\":{id},\"data\":{{{target},\"client_id\":\"\
         {user:08x}-0000-4000-8000-{id:012x}\",\"content\":\""
    );
    let begin = frame.len();
    let _ = write!(frame, "t={now};");
    let fill = TEXT_BYTES - (frame.len() - begin);
    frame.extend_from_slice(&FILL[..fill]);
    frame.extend_from_slice(b"\"}}");
}
