//! The generated documents: stable, complete, without dangling references.

use ostracon_proto::{CloseCode, ErrorCode, openapi, protocol_doc, rest::OPERATIONS};
use serde_json::Value;
use std::collections::BTreeSet;

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value.as_str() {
                    Some(text) if name == "$ref" => drop(found.insert(text.to_owned())),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn both_documents_are_the_same_every_time() {
    assert_eq!(openapi::document(), openapi::document());
    assert_eq!(protocol_doc::document(), protocol_doc::document());
    assert!(openapi::document().ends_with("}\n"));
    assert!(protocol_doc::document().ends_with('\n'));
}

#[test]
fn openapi_names_every_call_once_and_every_schema_it_uses() {
    let document: Value = serde_json::from_str(&openapi::document()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = BTreeSet::new();
    for operation in OPERATIONS {
        let method = operation.method.to_ascii_lowercase();
        let call = &document["paths"][operation.path][method.as_str()];
        let id = call["operationId"].as_str().expect(operation.path);
        assert!(ids.insert(id.to_owned()), "{id} twice");
        assert_eq!(call["security"].is_array(), operation.auth, "{id}");
        assert_eq!(call["requestBody"].is_object(), operation.body.is_some(), "{id}");
        assert!(!operation.answers.is_empty(), "{id}");
    }
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let ids = ids.into_iter().collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(ids, @r#"
    delete_admin_shards_by_shard_id
    delete_auth_sessions
    delete_auth_sessions_by_session_id
    delete_conversations_bans_by_user_id
    delete_conversations_by_conversation_id
    delete_conversations_invites_by_invite_id
    delete_conversations_members_by_user_id
    delete_conversations_messages_by_seq
    delete_conversations_messages_reactions_by_emoji
    delete_conversations_pins_by_seq
    delete_media_uploads_by_upload_id
    delete_push_subscriptions_by_subscription_id
    get_admin_audit
    get_admin_search
    get_admin_shards
    get_admin_shards_garbage
    get_admin_shards_hot
    get_admin_shards_jobs
    get_admin_shards_jobs_by_job_id
    get_admin_shards_overrides
    get_auth_sessions
    get_conversations
    get_conversations_bans
    get_conversations_by_conversation_id
    get_conversations_changes
    get_conversations_invites
    get_conversations_members
    get_conversations_messages
    get_conversations_messages_edits
    get_conversations_messages_replies
    get_conversations_messages_seen
    get_conversations_pins
    get_conversations_unread
    get_dialog_list
    get_healthz
    get_join_by_token
    get_me
    get_media_by_media_id
    get_media_file_by_media_id
    get_media_thumbnail_by_media_id
    get_metrics
    get_openapi_json
    get_presence
    get_push_settings
    get_push_subscriptions
    get_push_vapid_key
    get_readyz
    get_search
    get_search_conversations
    get_sync
    get_users
    get_users_by_user_id
    get_ws
    patch_conversations_by_conversation_id
    patch_conversations_inbox
    patch_conversations_members_by_user_id
    patch_conversations_messages_by_seq
    patch_me
    patch_media_uploads_by_upload_id
    patch_push_settings
    patch_push_subscriptions_by_subscription_id
    post_admin_search
    post_admin_shards
    post_admin_shards_accept
    post_admin_shards_drain
    post_admin_shards_garbage
    post_admin_shards_jobs_abort
    post_admin_shards_jobs_apply
    post_admin_shards_jobs_pause
    post_admin_shards_jobs_resume
    post_admin_shards_jobs_undo
    post_admin_shards_move
    post_admin_shards_plan
    post_auth_login
    post_auth_logout
    post_auth_register
    post_auth_ticket
    post_conversations
    post_conversations_bans
    post_conversations_delivered
    post_conversations_invites
    post_conversations_members
    post_conversations_messages
    post_conversations_read
    post_dialog_send
    post_join_by_token
    post_media_upload
    post_media_uploads
    post_push_subscriptions
    post_users_lookup
    put_conversations_messages_reactions_by_emoji
    put_conversations_pins_by_seq
    "#);
}

#[test]
fn a_schema_looks_like_its_json() {
    let document: Value = serde_json::from_str(&openapi::document()).unwrap();
    let schemas = &document["components"]["schemas"];
    let fields = |name: &str| {
        let schema = &schemas[name];
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let names = schema["properties"].as_object().unwrap().keys().map(|field| {
            let mark = if required.contains(&Value::from(field.as_str())) { "" } else { "?" };
            format!("{field}{mark}")
        });
        format!("{name}: {}", names.collect::<Vec<_>>().join(" "))
    };
    let said = [
        "Message",
        "Entry",
        "Conversation",
        "Membership",
        "Member",
        "Inbox",
        "OutgoingMessage",
        "Changes",
        "Sync",
        "MessagePage",
        "EditInbox",
        "CreateConversation",
        "ErrorBody",
        "Error",
    ]
    .map(fields)
    .join("\n");
    insta::assert_snapshot!(said, @r#"
    Message: attachments? client_id? content? content_rev conversation_id deleted_at? deleted_by? edited_at? expires_at? hidden? history? mark_rev? mentions? message_id pinned_at? reactions? reply_to? rev sender_id seq timestamp type withheld?
    Entry: conversation inbox last_message membership unread unread_mentions?
    Conversation: conversation_id created_at head_seq history large mark_rev member_count name? retained_from? retention_s? rev settings timer_s? type
    Membership: delivered_seq joined_seq left_seq? read_seq role unread_floor
    Member: delivered_seq? joined_seq left_seq? mark_rev? read_seq? rev role user_id
    Inbox: archived draft? hidden_to marked_unread muted_until pinned
    OutgoingMessage: attachments? client_id? content mentions? reply_to? type?
    Changes: conversation? hidden? history mark_rev members messages more receipts reset rev
    Sync: conversations cursor more removed reset user_rev
    MessagePage: first_seq has_more_after has_more_before head_seq history messages rev stale?
    EditInbox: archived? draft? hidden_to? marked_unread? muted_until? pinned?
    CreateConversation: client_id? member_ids? name? settings? type user_id?
    ErrorBody: error
    Error: code details message retry_after_ms
    "#);
}

#[test]
fn the_protocol_document_has_every_code_frame_and_call() {
    let document = protocol_doc::document();
    assert!(!document.contains("{{"), "a part is missing");
    for code in ErrorCode::ALL {
        assert!(document.contains(&format!("| `{code}` |")), "{code}");
    }
    for code in CloseCode::ALL {
        assert!(document.contains(&format!("| {} |", code.number())), "{code:?}");
    }
    for operation in OPERATIONS {
        let call = format!("| `{} {}", operation.method, operation.path);
        assert!(document.contains(&call), "{call}");
    }
    for frame in [
        "send_message",
        "edit_message",
        "delete_message",
        "react",
        "mark_read",
        "mark_delivered",
        "typing",
        "presence_subscribe",
        "presence_unsubscribe",
        "heartbeat",
        "hello",
        "message_sent",
        "ok",
        "new_message",
        "message_updated",
        "message_deleted",
        "receipt",
        "conversation_updated",
        "member_updated",
        "inbox_updated",
        "presence_update",
        "sync_required",
        "error",
    ] {
        assert!(document.contains(&format!("### `{frame}`")), "{frame}");
        assert!(document.contains(&format!("{{\"type\":\"{frame}\"")), "{frame} has no example");
    }
}

#[test]
fn links_inside_the_protocol_document_lead_somewhere() {
    let document = protocol_doc::document();
    let anchors = document
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect::<String>()
        })
        .collect::<BTreeSet<_>>();
    for link in document.split("](#").skip(1) {
        let anchor = link.split(')').next().unwrap();
        assert!(anchors.contains(anchor), "#{anchor}");
    }
}
