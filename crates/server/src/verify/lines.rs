//! Answers of calls that take long: one JSON object a line, progress first, the result last.
//!
//! The work ends when its caller goes away: it is polled by the body of the answer and by nothing else.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderValue, StatusCode};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::respond::typed;

/// How often progress is told.
const EVERY: Duration = Duration::from_millis(200);

/// How far some work is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    /// What is done, of `total`.
    pub(crate) done: u64,
    /// What there is to do; 0 while that is not known.
    pub(crate) total: u64,
    /// A few words.
    pub(crate) text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a, T> {
    Progress(&'a Step),
    Result(T),
    Error(String),
}

/// Where work leaves how far it is; only the newest is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps(Arc<Mutex<Option<Step>>>);

impl Steps {
    pub(crate) fn at(&self, done: u64, total: u64, text: impl FnOnce() -> String) {
        let mut newest = self.0.lock();
        // Called for every page: text is only made when the last one was told.
        match &mut *newest {
            Some(step) => (step.done, step.total) = (done, total),
            None => *newest = Some(Step { done, total, text: text() }),
        }
    }
}

struct Lines<F> {
    work: Option<Pin<Box<F>>>,
    steps: Steps,
    ticks: Interval,
}

/// The answer of some work.
pub(crate) fn answer<F, T, E>(work: impl FnOnce(Steps) -> F) -> Response
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Serialize,
    E: std::fmt::Display,
{
    let steps = Steps::default();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let lines = Lines { work: Some(Box::pin(work(steps.clone()))), steps, ticks };
    let kind = HeaderValue::from_static("application/x-ndjson");
    typed(StatusCode::OK, kind, Body::from_stream(lines))
}

impl<F, T, E> Stream for Lines<F>
where
    F: Future<Output = Result<T, E>>,
    T: Serialize,
    E: std::fmt::Display,
{
    type Item = Result<Bytes, serde_json::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(work) = &mut self.work else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(result) = work.as_mut().poll(context) {
            self.work = None;
            let line = match result {
                Ok(result) => Line::Result(result),
                Err(error) => Line::Error(error.to_string()),
            };
            return Poll::Ready(Some(bytes(&line)));
        }
        while self.ticks.poll_tick(context).is_ready() {
            let newest = self.steps.0.lock().take();
            if let Some(step) = newest {
                return Poll::Ready(Some(bytes(&Line::<()>::Progress(&step))));
            }
        }
        Poll::Pending
    }
}

fn bytes(line: &Line<'_, impl Serialize>) -> Result<Bytes, serde_json::Error> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes.into())
}
