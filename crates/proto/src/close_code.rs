//! Close codes of the WebSocket and what a client does after each.
//! When the server closes is not decided here.

/// Why the server closed a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// Final stop of the server; pending acks were sent before.
    GoingAway,
    /// Unparsable frame, or one of the wrong kind for the sub-protocol.
    Unparsable,
    /// The session is over.
    SignedOut,
    /// Nothing was heard for too long.
    NoHeartbeat,
    /// A frame above the limit.
    FrameTooLarge,
    /// Far more frames than the rate limit allows.
    Flooding,
    /// A fault of the server.
    ServerError,
    /// This node is being emptied.
    Drained,
}

/// What a client does after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnect {
    /// Connect again with jittered back-off.
    Yes,
    /// Connect again after the delay that the close reason gives, with jitter.
    AfterReason,
    /// Only with a new token.
    AfterSignIn,
    /// Not by itself: the same client would be closed again.
    No,
}

impl CloseCode {
    /// Every code, by number.
    pub const ALL: [Self; 8] = [
        Self::GoingAway,
        Self::Unparsable,
        Self::SignedOut,
        Self::NoHeartbeat,
        Self::FrameTooLarge,
        Self::Flooding,
        Self::ServerError,
        Self::Drained,
    ];

    /// The number in the close frame.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::Unparsable => 4400,
            Self::SignedOut => 4401,
            Self::NoHeartbeat => 4408,
            Self::FrameTooLarge => 4413,
            Self::Flooding => 4429,
            Self::ServerError => 4500,
            Self::Drained => 4503,
        }
    }

    /// The code of a number; `None` when it is not one of ours.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// What happened, in one sentence.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::GoingAway => "The server stops. Every pending answer was sent before.",
            Self::Unparsable => {
                "A frame that could not be read, or a text frame where the sub-protocol says \
                 binary (or the other way round)."
            }
            Self::SignedOut => "The session was signed out or revoked.",
            Self::NoHeartbeat => "Nothing was heard from the client for too long.",
            Self::FrameTooLarge => "A frame above `max_frame_bytes`.",
            Self::Flooding => "The client kept sending far above its rate limit.",
            Self::ServerError => "A fault of the server.",
            Self::Drained => "This node is taken out of service; others serve on.",
        }
    }

    /// What a client does next.
    #[must_use]
    pub const fn reconnect(self) -> Reconnect {
        match self {
            Self::GoingAway | Self::NoHeartbeat | Self::Flooding | Self::ServerError => {
                Reconnect::Yes
            }
            Self::Drained => Reconnect::AfterReason,
            Self::SignedOut => Reconnect::AfterSignIn,
            Self::Unparsable | Self::FrameTooLarge => Reconnect::No,
        }
    }
}

impl Reconnect {
    /// The sentence of the documentation.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Yes => "yes, with back-off and jitter",
            Self::AfterReason => "yes, after the delay in the reason, with jitter",
            Self::AfterSignIn => "after signing in again",
            Self::No => "no; correct the client",
        }
    }
}

const DELAY_PREFIX: &str = "retry_after_ms=";

/// The reason text of [`CloseCode::Drained`]; `ms` is the delay before reconnecting.
#[must_use]
pub fn drain_reason(ms: u64) -> String {
    format!("{DELAY_PREFIX}{ms}")
}

/// The delay in milliseconds that a close reason carries, if it carries one.
#[must_use]
pub fn drain_delay(reason: &str) -> Option<u64> {
    reason.strip_prefix(DELAY_PREFIX)?.parse().ok()
}
