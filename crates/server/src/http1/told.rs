//! The one refusal that comes from below the routes, a head that is too large: with the body that all refusals have, and
//! so that its sender can read it. Not: what the routes answer.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use ostracon_proto::{ErrorBody, ErrorCode, ErrorObject};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How the server of the library begins and ends its answer to such a head.
const BEGIN: &[u8] = b"HTTP/1.1 431 ";
const END: &[u8] = b"\r\n\r\n";
/// Bytes of such a head that are read and thrown away, so that who sends it is not cut off.
const DISCARD_BYTES_MAX: usize = 4 << 20;
/// How long that may take.
const DISCARD_WAIT: Duration = Duration::from_secs(2);

/// A socket that says more than the library's server does.
pub(crate) struct Told<S> {
    stream: S,
    refusing: Option<Refusing>,
}

struct Refusing {
    /// What is still to be written.
    answer: Bytes,
    /// Bytes that the library thinks it writes.
    instead_of: usize,
    discarded: usize,
    until: Pin<Box<Sleep>>,
}

impl<S> Told<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, refusing: None }
    }

    /// The socket alone, for who has upgraded it.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

fn answer() -> Bytes {
    let object = ErrorObject::new(ErrorCode::TooLarge, "The head of the request is too large.");
    // It has no part that could fail.
    let body = serde_json::to_string(&ErrorBody::from(object)).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    Bytes::from(head + &body)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Told<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        // The routes never answer with this status, and what they write never ends like a head.
        if this.refusing.is_none() && bytes.starts_with(BEGIN) && bytes.ends_with(END) {
            let (answer, until) = (answer(), Box::pin(sleep(DISCARD_WAIT)));
            let instead_of = bytes.len();
            this.refusing = Some(Refusing { answer, instead_of, discarded: 0, until });
        }
        let Some(refusing) = &mut this.refusing else {
            return Pin::new(&mut this.stream).poll_write(context, bytes);
        };
        while refusing.answer.has_remaining() {
            let written = ready!(Pin::new(&mut this.stream).poll_write(context, &refusing.answer))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            refusing.answer.advance(written);
        }
        Poll::Ready(Ok(std::mem::take(&mut refusing.instead_of)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        all: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = all.iter().find(|bytes| !bytes.is_empty());
        match first.filter(|bytes| self.refusing.is_some() || bytes.starts_with(BEGIN)) {
            Some(first) => self.poll_write(context, first),
            None => Pin::new(&mut self.stream).poll_write_vectored(context, all),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        let Some(refusing) = &mut this.refusing else { return Poll::Ready(Ok(())) };
        let mut space = [0; 8_192];
        while refusing.discarded < DISCARD_BYTES_MAX && !refusing.until.is_elapsed() {
            let mut read = ReadBuf::new(&mut space);
            if pin!(&mut refusing.until).poll(context).is_ready() {
                break;
            }
            match ready!(Pin::new(&mut this.stream).poll_read(context, &mut read)) {
                Ok(()) if !read.filled().is_empty() => refusing.discarded += read.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Told<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        read: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, read)
    }
}
