//! The rules, as stories: one file for each command, and one of random sequences.

mod ban;
mod delete;
mod edit;
mod group;
mod hide;
mod inbox;
mod invite;
mod life;
mod mark;
mod members;
mod open;
mod pin;
mod random;
mod react;
mod room;
mod rules;
mod send;
mod system;
mod view;
