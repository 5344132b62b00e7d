//! The way from a node to a shard or to the directory, on which requests are late, lost and repeated.
//!
//! A request lives on by itself: who stops waiting for it, or dies, does not call it back.

use std::{fmt::Debug, future::Future, pin::Pin, sync::Arc};

use tokio::{sync::oneshot, time::timeout};

use crate::{
    ground::Ground,
    node::Node,
    weather::{Caller, Fault, When},
};

/// The directory's place; shards have their numbers.
pub(crate) const DIRECTORY: u32 = 99;

pub(crate) type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// From one node to anywhere.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) ground: Arc<Ground>,
    pub(crate) node: Arc<Node>,
}

impl Link {
    /// Sends a request; `None` when no answer came. `run` may be called twice.
    pub(crate) async fn call<T: Debug + Send + 'static>(
        &self,
        step: &'static str,
        caller: Caller,
        place: u32,
        run: impl Fn() -> Running<T> + Send + 'static,
    ) -> Option<T> {
        let Self { ground, node } = self.clone();
        let sky = &ground.sky;
        let fate = sky.draw(&ground.random, caller);
        let (give, answer) = oneshot::channel();
        let patience = fate.patience;
        if patience.is_some() {
            sky.count(step, Fault::Late);
        }
        tokio::spawn(async move {
            let sky = &ground.sky;
            node.awake().await;
            if let Some((When::Before, pause)) = fate.stall {
                sky.count(step, Fault::Stall);
                ground.journal.note(format_args!("n{} stands still before {step}", node.id));
                node.stall(pause);
                node.awake().await;
            }
            pause(fate.before).await;
            if fate.crash == Some(When::Before) {
                sky.count(step, Fault::Crash);
                ground.journal.note(format_args!("n{} dies before {step}", node.id));
                node.die();
                return;
            }
            if fate.request_lost {
                sky.count(step, Fault::Lost);
                return;
            }
            if let Some(steps) = fate.behind {
                sky.count(step, Fault::Late);
                ground.behind(place, steps).await;
            }
            if fate.restart == Some(When::Before) {
                sky.count(step, Fault::Restart);
                ground.restart(place);
            }
            // The directory is asked all the time; what counts there are changes.
            let counts = match caller {
                Caller::Batch { .. } => false,
                Caller::Question => place != DIRECTORY,
                Caller::Step | Caller::Rare => true,
            };
            if counts {
                ground.step(place);
            }
            let ran = run().await;
            if fate.restart == Some(When::After) {
                sky.count(step, Fault::Restart);
                ground.restart(place);
            }
            if caller != Caller::Question {
                ground.journal.note(format_args!("n{} {step} @{place} {}", node.id, Short(&ran)));
            }
            if let Some(later) = fate.again_after {
                let (ground, node) = (Arc::clone(&ground), Arc::clone(&node));
                sky.count(step, Fault::Repeat);
                tokio::spawn(async move {
                    match fate.behind {
                        Some(steps) => ground.behind(place, steps).await,
                        None => pause(later).await,
                    }
                    let ran = run().await;
                    let ran = Short(&ran);
                    ground.journal.note(format_args!("n{} {step} @{place} again {ran}", node.id));
                });
            }
            if fate.crash == Some(When::After) {
                sky.count(step, Fault::Crash);
                ground.journal.note(format_args!("n{} dies after {step}", node.id));
                node.die();
                return;
            }
            if let Some((When::After, pause)) = fate.stall {
                sky.count(step, Fault::Stall);
                ground.journal.note(format_args!("n{} stands still after {step}", node.id));
                node.stall(pause);
            }
            pause(fate.after).await;
            node.awake().await;
            if fate.answer_lost {
                sky.count(step, Fault::Lost);
                return;
            }
            // Nobody waits any more: that is what late means.
            drop(give.send(ran));
        });
        match patience {
            Some(patience) => timeout(patience, answer).await.ok()?.ok(),
            None => answer.await.ok(),
        }
    }
}

pub(crate) async fn pause(length: std::time::Duration) {
    if !length.is_zero() {
        tokio::time::sleep(length).await;
    }
}

/// The beginning of what an answer is.
struct Short<'a, T>(&'a T);

impl<T: Debug> std::fmt::Display for Short<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write;
        /// Characters that are shown.
        const SHOWN: usize = 150;
        struct Cut<'a, 'b>(&'a mut std::fmt::Formatter<'b>, usize);
        impl Write for Cut<'_, '_> {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                let fits = text.len().min(self.1);
                self.1 -= fits;
                if let Some(text) = text.get(..fits) {
                    self.0.write_str(text)?;
                }
                // An error ends the formatting early: the rest of a large answer is not looked at.
                if self.1 == 0 { Err(std::fmt::Error) } else { Ok(()) }
            }
        }
        let _ = write!(Cut(f, SHOWN), "{:?}", self.0);
        Ok(())
    }
}
