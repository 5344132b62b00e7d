//! Slow mode: plain members of a group wait between two messages.

use crate::{
    conversation::Conversation,
    extra::Extra,
    id::Millis,
    member::{Member, Role},
    permission::GroupRules,
    refusal::Refusal,
};

/// Whether this member is slowed down here; refuses what comes too early, with the time to wait.
pub(super) fn check(
    conversation: &Conversation,
    member: &Member,
    now: Millis,
) -> Result<bool, Refusal> {
    let pause = i64::from(GroupRules::of(conversation).slow_mode_s) * 1_000;
    if pause == 0 || member.role >= Role::Admin {
        return Ok(false);
    }
    let last = member.extra.as_ref().and_then(|extra| extra.last_sent);
    // A clock that went back makes nobody wait longer than the pause.
    let wait = last.map_or(0, |last| last.saturating_add(pause).saturating_sub(now).min(pause));
    match u64::try_from(wait) {
        Ok(1..) => Err(Refusal::too_early(
            "This group is in slow mode. Wait before you send again.",
            wait.unsigned_abs(),
        )),
        _ => Ok(true),
    }
}

/// Notes when the member sent. It is kept through leaving and coming back.
pub(super) fn note(member: &mut Member, now: Millis) {
    Extra::change(&mut member.extra, |extra| extra.last_sent = Some(now));
}
