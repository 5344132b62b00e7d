//! Who calls: tokens of ours, tokens of an existing system, tickets, passwords. What a user may do is not here.
//!
//! The state is a bounded cache of tokens that were found good, tickets and "last seen" notes; each lock is held for
//! a few instructions. One process serves a directory, so what is revoked here is forgotten here at once.

mod accounts;
mod attempts;
mod cache;
mod jwt;
mod key_set;
mod password;
mod tickets;
mod token;

use std::sync::Arc;

use ostracon_domain::{Millis, UserId};
use ostracon_engine::Clock;
use ostracon_proto::{ErrorCode, ErrorObject};
use ostracon_store::{
    Directory,
    directory::{AccountRole, NewSession, Session, User},
};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

pub(crate) use accounts::{check_display_name, check_external_id, check_password, fold_username};
pub(crate) use attempts::Attempts;
pub(crate) use jwt::JwtVerifier;
pub(crate) use password::Passwords;
pub(crate) use token::{hash as token_hash, new_invite_code, new_token};

use self::{
    cache::TokenCache,
    tickets::Tickets,
    token::{TokenHash, hash, is_ours, jwt_session},
};
use crate::{
    config::{Auth as AuthConfig, Config, JwtAlgorithm},
    error::ApiError,
};

/// Sessions whose last use waits to be noted; beyond it some are not noted.
const SEEN_MAX: usize = 100_000;
/// A day, milliseconds.
pub(crate) const DAY_MS: Millis = 86_400_000;

/// A caller whose token was good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: UserId,
    /// Of a token of ours: the stored session. Of a JWT: a number above 2^63 that follows from the token.
    pub(crate) session: u64,
    pub(crate) role: AccountRole,
    /// When the token ends by itself.
    pub(crate) expires_at: Option<Millis>,
}

impl Identity {
    /// Whether the session is the existing system's, so that it cannot be revoked here.
    pub(crate) const fn is_foreign(&self) -> bool {
        self.session >> 63 != 0
    }

    pub(crate) fn has_ended(&self, now: Millis) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// A caller, and how many revocations there had been when the token was checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checked {
    pub(crate) identity: Identity,
    pub(crate) generation: u64,
}

pub(crate) struct Auth {
    directory: Arc<dyn Directory>,
    clock: Arc<dyn Clock>,
    config: AuthConfig,
    jwt: Option<JwtVerifier>,
    cache: TokenCache,
    tickets: Tickets,
    seen: Mutex<FxHashMap<u64, Millis>>,
    pub(crate) passwords: Passwords,
    pub(crate) attempts: Option<Attempts>,
}

impl Auth {
    /// # Errors
    /// One sentence, when the key of JWTs cannot be read.
    pub(crate) fn new(
        config: &Config,
        directory: Arc<dyn Directory>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let jwt = match config.jwt.algorithm {
            JwtAlgorithm::Off => None,
            _ => Some(JwtVerifier::load(&config.jwt)?),
        };
        Ok(Self {
            directory,
            clock,
            config: config.auth.clone(),
            jwt,
            cache: TokenCache::default(),
            tickets: Tickets::default(),
            seen: Mutex::default(),
            passwords: Passwords::new(),
            attempts: Attempts::new(&config.rate_limits),
        })
    }

    pub(crate) fn config(&self) -> &AuthConfig {
        &self.config
    }

    /// Whose token this is. Usually without a look-up.
    pub(crate) async fn identify(&self, token: &str) -> Result<Identity, ApiError> {
        let now = self.clock.now();
        let hash = hash(token);
        if let Some(identity) = self.cache.get(&hash, now) {
            return Ok(identity);
        }
        let generation = self.cache.generation();
        let found = if is_ours(token) {
            let found = self.directory.session_by_token(&hash, now).await?;
            found.map(|(session, user)| {
                self.note_seen(session.id, now);
                Identity {
                    user: user.id,
                    session: session.id,
                    role: user.role,
                    expires_at: session.expires_at,
                }
            })
        } else {
            self.identify_foreign(token, &hash, now).await?
        };
        let identity = found.ok_or_else(ApiError::unauthorized)?;
        self.cache.put(hash, identity, now, generation);
        Ok(identity)
    }

    async fn identify_foreign(
        &self,
        token: &str,
        hash: &TokenHash,
        now: Millis,
    ) -> Result<Option<Identity>, ApiError> {
        let Some(jwt) = &self.jwt else { return Ok(None) };
        let Some(claims) = jwt.verify(token, now).await else { return Ok(None) };
        let external_id = claims.external_id;
        let known = self.user_of_external_id(&external_id).await?;
        let user = match known {
            Some(user) => Some(user),
            None if jwt.creates_users() => {
                self.create_foreign(external_id, claims.name, now).await?
            }
            None => None,
        };
        Ok(user.filter(|user| user.is_active).map(|user| Identity {
            user: user.id,
            session: jwt_session(hash),
            role: user.role,
            expires_at: Some(claims.expires_at),
        }))
    }

    async fn user_of_external_id(&self, external_id: &str) -> Result<Option<User>, ApiError> {
        let ids = [external_id.to_owned()];
        Ok(self.directory.users_by_external_id(&ids).await?.pop())
    }

    /// Signs a device in; the session and its token, which is not kept.
    pub(crate) async fn sign_in(
        &self,
        user: UserId,
        device_name: Option<String>,
    ) -> Result<(Session, String), ApiError> {
        let token = new_token()?;
        let now = self.clock.now();
        let new = NewSession {
            user,
            token_hash: hash(&token),
            device_name,
            expires_at: self.session_end(now),
        };
        let session = self.directory.create_session(new, now).await?;
        Ok((session, token))
    }

    /// Signs many devices in at once; tokens in the order of the users.
    pub(crate) async fn sign_in_all(
        &self,
        users: &[UserId],
    ) -> Result<Vec<(Session, String)>, ApiError> {
        let now = self.clock.now();
        let tokens = users.iter().map(|_| new_token()).collect::<Result<Vec<_>, _>>()?;
        let new = users.iter().zip(&tokens).map(|(user, token)| NewSession {
            user: *user,
            token_hash: hash(token),
            device_name: None,
            expires_at: self.session_end(now),
        });
        let sessions = self.directory.create_sessions(new.collect(), now).await?;
        Ok(sessions.into_iter().zip(tokens).collect())
    }

    fn session_end(&self, now: Millis) -> Option<Millis> {
        (self.config.session_days > 0)
            .then(|| now + Millis::from(self.config.session_days) * DAY_MS)
    }

    /// Ends a session of a user; whether there was one. Its connections are the caller's work.
    pub(crate) async fn revoke(&self, user: UserId, session: u64) -> Result<bool, ApiError> {
        let revoked = self.directory.revoke_session(user, session).await?;
        self.cache.forget_session(session);
        self.tickets.forget_session(session);
        Ok(revoked)
    }

    /// How many revocations there have been; to be read before a token is checked.
    pub(crate) fn generation(&self) -> u64 {
        self.cache.generation()
    }

    /// Whether a session that was good then was not revoked since, nor its account deactivated. Usually without a look-up.
    pub(crate) async fn is_still_good(&self, caller: &Checked) -> bool {
        let identity = &caller.identity;
        if self.generation() == caller.generation {
            return true;
        }
        // Where the directory does not answer, the next call of this session will tell.
        if identity.is_foreign() {
            let users = self.directory.users(&[identity.user]).await;
            return users.map_or(true, |users| users.iter().any(|user| user.is_active));
        }
        let sessions = self.directory.sessions(identity.user, self.clock.now()).await;
        sessions.map_or(true, |all| all.iter().any(|session| session.id == identity.session))
    }

    /// Looks a user's account up again at the next call.
    pub(crate) fn forget_user(&self, user: UserId) {
        self.cache.forget_user(user);
        self.tickets.forget_user(user);
    }

    /// A ticket for one WebSocket of this session.
    pub(crate) fn ticket(&self, identity: Identity) -> Result<String, ApiError> {
        let ticket = new_token()?;
        if self.tickets.put(hash(&ticket), identity, self.clock.now()) {
            Ok(ticket)
        } else {
            Err(ApiError::busy())
        }
    }

    /// Uses a ticket up.
    pub(crate) fn redeem(&self, ticket: &str) -> Result<Identity, ApiError> {
        let now = self.clock.now();
        let identity = self.tickets.take(&hash(ticket), now);
        identity.filter(|identity| !identity.has_ended(now)).ok_or_else(ApiError::unauthorized)
    }

    /// Notes that a session is in use; written now and then.
    pub(crate) fn note_seen(&self, session: u64, now: Millis) {
        let mut seen = self.seen.lock();
        if seen.len() < SEEN_MAX {
            seen.insert(session, now);
        }
    }

    /// Writes what was noted. Lossy: a failure is only logged.
    pub(crate) async fn write_seen(&self) {
        let seen = std::mem::take(&mut *self.seen.lock());
        if seen.is_empty() {
            return;
        }
        let seen: Vec<_> = seen.into_iter().collect();
        if let Err(error) = self.directory.touch_sessions(&seen).await {
            tracing::warn!(%error, "times of last use were not noted");
        }
    }
}

/// What a wrong name and a wrong password both get.
pub(crate) fn wrong_credentials() -> ApiError {
    ErrorObject::new(ErrorCode::Unauthorized, "Wrong name or password.").into()
}
