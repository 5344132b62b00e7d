//! The rules, as stories: one file for each command, and one of random sequences.

mod delete;
mod edit;
mod group;
mod hide;
mod inbox;
mod life;
mod mark;
mod members;
mod open;
mod pin;
mod random;
mod react;
mod room;
mod send;
mod view;
