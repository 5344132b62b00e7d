//! Signing in and out, sessions, tickets for the WebSocket.
//! Password rules and token formats are not known here.

use crate::{body, rest::Profile, schema, text};
use ostracon_domain::Millis;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// `POST /api/v1/auth/register`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Register<'a> {
    /// 3 to 32 of `a-z 0-9 . _ -`; folded to lower case.
    #[serde(borrow)]
    pub username: Cow<'a, str>,
    /// 8 to 256 characters.
    #[serde(borrow)]
    pub password: Cow<'a, str>,
    /// The name that others see; the user name when left out.
    #[serde(borrow, default, deserialize_with = "text::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Cow<'a, str>>,
    /// The code of an invite, where only who was invited may sign up; else it is not looked at.
    #[serde(borrow, default, deserialize_with = "text::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite: Option<Cow<'a, str>>,
}

/// `POST /api/v1/auth/login`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Login<'a> {
    /// The user name, in any case.
    #[serde(borrow)]
    pub username: Cow<'a, str>,
    /// The password.
    #[serde(borrow)]
    pub password: Cow<'a, str>,
    /// What the list of sessions calls this device.
    #[serde(borrow, default, deserialize_with = "text::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_name: Option<Cow<'a, str>>,
}

/// Passwords never reach a log.
impl fmt::Debug for Register<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Register").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Passwords never reach a log.
impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A new session: the answer to register and login.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignedIn {
    /// The user.
    pub user: Profile,
    /// For `Authorization: Bearer`; shown this once.
    pub token: String,
    /// The session; for the list of sessions.
    pub session_id: String,
}

/// Tokens never reach a log.
impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("SignedIn");
        out.field("user", &self.user).field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

/// `GET /api/v1/auth/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sessions {
    /// One's own signed-in devices, the latest sign-in first.
    pub sessions: Vec<Session>,
}

/// `DELETE /api/v1/auth/sessions`: what became of the other devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignedOut {
    /// Sessions that ended.
    pub revoked: u32,
}

/// One signed-in device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Session {
    /// Its id, for revoking it.
    pub session_id: String,
    /// The name given at sign-in; null without one.
    #[schema(required = true)]
    pub device_name: Option<String>,
    /// When it signed in.
    #[schema(value_type = schema::Millis)]
    pub created_at: Millis,
    /// When it was last seen, to the minute or so; null when never.
    #[schema(value_type = Option<schema::Millis>, required = true)]
    pub last_seen_at: Option<Millis>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// `POST /api/v1/auth/ticket`: for `?ticket=` on the WebSocket, where browsers cannot send headers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Ticket {
    /// Good for one use within 30 seconds.
    pub ticket: String,
}

/// Tickets never reach a log.
impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

body::plain_body!(Register<'a>, Login<'a>, SignedIn, Sessions, SignedOut, Ticket);
