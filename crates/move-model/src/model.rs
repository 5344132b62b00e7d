//! The model: one configuration, without some guards. It lists the successors of a state.

use std::fmt;

use crate::{
    configuration::{Command, Configuration},
    guard::{Guard, Removed},
    invariants::Violation,
    names::{CommandNumber, Conversation},
    request::{Answer, Late, Request},
    state::State,
};

/// One configuration with a set of removed guards.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// The bounds.
    pub configuration: &'static Configuration,
    removed: Removed,
}

/// The states that follow from one state, in a fixed order.
#[derive(Default, Debug)]
pub struct Successors {
    states: Vec<State>,
    labels: Option<Vec<String>>,
}

impl Successors {
    /// Without labels: for a search.
    pub fn unlabelled() -> Self {
        Self::default()
    }

    /// With labels: for a trace.
    pub fn labelled() -> Self {
        Self { states: Vec::new(), labels: Some(Vec::new()) }
    }

    /// The states so far.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// Takes the states out, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = State> + '_ {
        if let Some(labels) = &mut self.labels {
            labels.clear();
        }
        self.states.drain(..)
    }

    /// Takes one state out with what led to it.
    pub fn take(mut self, at: usize) -> (String, State) {
        let label = self.labels.map(|mut labels| labels.swap_remove(at)).unwrap_or_default();
        (label, self.states.swap_remove(at))
    }

    pub(crate) fn add(&mut self, label: fmt::Arguments<'_>, state: State) {
        if let Some(labels) = &mut self.labels {
            labels.push(label.to_string());
        }
        self.states.push(state);
    }
}

impl Model {
    /// A configuration without some guards.
    pub fn new(configuration: &'static Configuration, removed: Removed) -> Self {
        Self { configuration, removed }
    }

    /// The first state.
    pub fn first(&self) -> State {
        State::first(self.configuration)
    }

    /// True if the model does without this guard.
    pub fn removed(&self, guard: Guard) -> bool {
        self.removed.contains(guard)
    }

    /// All that can happen next. A step that breaks a rule ends the list: then the states before
    /// it are in `out` and the broken rule is the error.
    pub fn successors(&self, state: &State, out: &mut Successors) -> Result<(), Violation> {
        self.routers(state, out)?;
        if self.configuration.readers {
            self.readers(state, out)?;
        }
        self.coordinators(state, out)?;
        self.late_requests(state, out)?;
        if self.configuration.purge {
            self.purges(state, out)?;
        }
        self.restarts(state, out);
        self.background(state, out)
    }

    pub(crate) fn conversations(&self) -> impl Iterator<Item = Conversation> + use<> {
        self.configuration.conversations().iter().copied()
    }

    pub(crate) fn command(&self, number: CommandNumber) -> &'static Command {
        &self.configuration.commands[usize::from(number.cast_unsigned())]
    }

    /// Hands a request to whom it is for.
    pub(crate) fn deliver(&self, state: &State, late: &Late) -> Result<(Answer, State), Violation> {
        match &late.request {
            Request::Shard(request) => Ok(self.order(state, request, late.stale)),
            Request::Directory(request) => self.change(state, request),
            Request::Command(sent) => Ok(self.late_command(state, sent)),
            Request::Purge(page) => self.purge_page(state, page),
            Request::ForgetGarbage(garbage) => Ok(self.forget(state, garbage)),
        }
    }
}
