//! The tables of codes: complete, unambiguous, in agreement with themselves.

use ostracon_proto::{
    CloseCode, ErrorCode,
    close_code::{Reconnect, drain_delay, drain_reason},
};
use std::collections::BTreeSet;

#[test]
fn codes_have_one_name_and_the_documented_status() {
    let table = ErrorCode::ALL
        .map(|code| {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
            let again: ErrorCode = serde_json::from_str(&format!("\"{code}\"")).unwrap();
            assert_eq!(again, code);
            format!("{code} {}{}", code.status(), if code.retryable() { " retry" } else { "" })
        })
        .join("\n");
    insta::assert_snapshot!(table, @r#"
    bad_request 400
    unauthorized 401
    forbidden 403
    not_member 403
    blocked 403
    not_found 404
    conflict 409
    too_large 413
    unsupported_media 415
    invalid 422
    rate_limited 429 retry
    busy 503 retry
    shard_unavailable 503 retry
    internal 500
    "#);
    assert_eq!(ErrorCode::ALL.iter().map(|c| c.as_str()).collect::<BTreeSet<_>>().len(), 14);
}

#[test]
fn refusals_of_the_rules_keep_their_code_and_field() {
    use ostracon_domain::{Permission, Refusal};
    let said = [
        Refusal::no_conversation(),
        Refusal::not_member(),
        Refusal::forbidden("No."),
        Refusal::conflict("No."),
        Refusal::invalid("content", "too long"),
        Refusal::missing(Permission::Pin, "No."),
        Refusal::too_early("No.", 1_500),
    ]
    .map(|refusal| {
        let error = ostracon_proto::ErrorObject::from(refusal);
        let detail = |name: &str| error.details.get(name).and_then(|value| value.as_str());
        format!(
            "{} {:?} {:?} {:?}",
            error.code,
            detail("field"),
            detail("permission"),
            error.retry_after_ms
        )
    });
    insta::assert_snapshot!(said.join("\n"), @r#"
    not_found None None None
    not_member None None None
    forbidden None None None
    conflict None None None
    invalid Some("content") None None
    forbidden None Some("pin") None
    rate_limited None None Some(1500)
    "#);
}

#[test]
fn close_codes_are_found_by_number() {
    for code in CloseCode::ALL {
        assert_eq!(CloseCode::from_number(code.number()), Some(code));
    }
    assert_eq!(CloseCode::from_number(1000), None);
    let numbers = CloseCode::ALL.map(CloseCode::number);
    assert_eq!(numbers, [1001, 4400, 4401, 4408, 4413, 4429, 4500, 4503]);
    assert_eq!(CloseCode::SignedOut.reconnect(), Reconnect::AfterSignIn);
}

#[test]
fn a_drain_says_when_to_come_back() {
    assert_eq!(drain_delay(&drain_reason(1_500)), Some(1_500));
    for other in ["", "bye", "retry_after_ms=", "retry_after_ms=-1", "retry_after_ms=1s"] {
        assert_eq!(drain_delay(other), None, "{other}");
    }
}
