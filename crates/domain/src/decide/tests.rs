//! The rules, as stories.
