//! REST bodies: what is read, what is refused by name, what is written.

use crate::support::{HISTORY, direct, full_message, group, message, user};
use ostracon_domain::{ConversationKind, Role};
use ostracon_proto::{
    Body, Conversation, EditSettings, Entry, ErrorBody, Inbox, Member, Membership, Patch, Receipt,
    Settings, UserRef,
    frame::{MarkTarget, OutgoingMessage},
    rest::*,
};

fn refused<'a, T: Body<'a>>(body: &'a str) -> String {
    match T::read(body.as_bytes()) {
        Ok(_) => format!("{body:.60} → read"),
        Err(error) => format!("{body:.60} → {}", serde_json::to_string(&error).unwrap()),
    }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

fn profile() -> Profile {
    Profile {
        user_id: user(1),
        username: Some("alice".into()),
        display_name: "Alice".into(),
        external_id: None,
    }
}

fn entry() -> Entry<'static> {
    Entry {
        conversation: Conversation {
            conversation_id: direct(),
            kind: ConversationKind::Direct,
            name: None,
            member_count: 2,
            head_seq: 1,
            rev: 2,
            mark_rev: 3,
            history: HISTORY,
            large: false,
            created_at: 4,
            settings: Settings::default(),
            retained_from: None,
            timer_s: None,
            retention_s: None,
        },
        membership: Membership {
            role: Role::Member,
            joined_seq: 1,
            left_seq: None,
            read_seq: 0,
            delivered_seq: 1,
            unread_floor: 0,
        },
        last_message: None,
        unread: 1,
        unread_mentions: 0,
        inbox: Inbox::default(),
    }
}

/// Writes, and reads back to the same.
macro_rules! both_ways {
    (&$value:expr) => {{
        let value = $value;
        let text = json(&value);
        let back = serde_json::from_str(&text).unwrap();
        same(&value, &back);
        text.clone()
    }};
}

fn same<T: PartialEq + std::fmt::Debug>(written: &T, read: &T) {
    assert_eq!(written, read);
}

#[test]
fn every_answer_has_these_bytes() {
    let member = Member {
        user_id: user(2),
        role: Role::Admin,
        joined_seq: 1,
        left_seq: Some(9),
        rev: 2,
        read_seq: Some(3),
        delivered_seq: Some(4),
        mark_rev: Some(5),
    };
    let with_message = Entry { last_message: Some(message("hi")), ..entry() };
    assert_eq!(with_message.clone().into_owned(), with_message);
    let said = [
        both_ways!(&SignedIn { user: profile(), token: "t".into(), session_id: "s".into() }),
        both_ways!(&Sessions {
            sessions: vec![Session {
                session_id: "s".into(),
                device_name: None,
                created_at: 1,
                last_seen_at: Some(2),
                current: true,
            }],
        }),
        both_ways!(&Ticket { ticket: "t".into() }),
        both_ways!(&Profiles {
            users: vec![
                profile(),
                Profile { username: None, external_id: Some("c 1".into()), ..profile() },
            ],
        }),
        both_ways!(&DialogList {
            messages: vec![DialogMessage {
                id: DialogMessage::id_of(ostracon_domain::MessageId::new(u64::MAX >> 1).unwrap()),
                from_id: user(1),
                to_id: user(2),
                text: "hi".into(),
                created_at: DialogMessage::created_at_of(1_795_257_516_007),
                conversation_id: direct(),
                seq: 1,
                deleted: false,
            }],
            total: 1,
        }),
        both_ways!(&Conversations { conversations: vec![entry()], next_cursor: None }),
        both_ways!(&with_message.clone()),
        both_ways!(&Unread { total: 3, conversations: [(direct(), 1), (group(), 2)].into() }),
        both_ways!(&MessagePage {
            messages: vec![full_message()],
            has_more_before: true,
            has_more_after: false,
            first_seq: 1,
            head_seq: 1,
            rev: 2,
            history: HISTORY,
            stale: false,
        }),
        both_ways!(&Deleted { rev: 1, history: HISTORY, deleted_at: 2, deleted_by: user(1) }),
        both_ways!(&Members { members: vec![member.clone()], next_cursor: Some("c".into()) }),
        both_ways!(&MembersAdded { members: vec![member.clone()], rev: 2, history: HISTORY }),
        both_ways!(&Changed { rev: 2, history: HISTORY }),
        both_ways!(&Empty {}),
        both_ways!(&Changes {
            conversation: None,
            messages: vec![message("hi")],
            members: vec![member],
            hidden: Vec::new(),
            receipts: vec![Receipt {
                user_id: user(1),
                read_seq: 1,
                delivered_seq: 2,
                mark_rev: 3,
            }],
            rev: 4,
            mark_rev: 5,
            history: HISTORY,
            more: false,
            reset: false,
        }),
        both_ways!(&Sync {
            conversations: vec![],
            removed: vec![direct()],
            cursor: "c".into(),
            user_rev: 1,
            more: true,
            reset: true,
        }),
    ]
    .join("\n");
    insta::assert_snapshot!(said, @r#"
    {"user":{"user_id":1,"username":"alice","display_name":"Alice"},"token":"t","session_id":"s"}
    {"sessions":[{"session_id":"s","device_name":null,"created_at":1,"last_seen_at":2,"current":true}]}
    {"ticket":"t"}
    {"users":[{"user_id":1,"username":"alice","display_name":"Alice"},{"user_id":1,"username":null,"display_name":"Alice","external_id":"c 1"}]}
    {"messages":[{"id":9223372036854775807,"from_id":1,"to_id":2,"text":"hi","created_at":"2026-11-21T10:38:36.007Z","conversation_id":"00000000-0000-8080-8000-000000020000","seq":1}],"total":1}
    {"conversations":[{"conversation":{"conversation_id":"00000000-0000-8080-8000-000000020000","type":"direct","member_count":2,"head_seq":1,"rev":2,"mark_rev":3,"history":"18446744073709551615","large":false,"created_at":4,"settings":{"history_for":"since_joining"}},"membership":{"role":"member","joined_seq":1,"read_seq":0,"delivered_seq":1,"unread_floor":0},"last_message":null,"unread":1,"inbox":{"pinned":false,"muted_until":null,"archived":false,"hidden_to":0,"marked_unread":false}}],"next_cursor":null}
    {"conversation":{"conversation_id":"00000000-0000-8080-8000-000000020000","type":"direct","member_count":2,"head_seq":1,"rev":2,"mark_rev":3,"history":"18446744073709551615","large":false,"created_at":4,"settings":{"history_for":"since_joining"}},"membership":{"role":"member","joined_seq":1,"read_seq":0,"delivered_seq":1,"unread_floor":0},"last_message":{"message_id":"0000000000000000042","conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"rev":2,"content_rev":2,"sender_id":1,"type":"text","content":"hi","timestamp":1795257516007},"unread":1,"inbox":{"pinned":false,"muted_until":null,"archived":false,"hidden_to":0,"marked_unread":false}}
    {"total":3,"conversations":{"00000000-0000-8080-8000-000000020000":1,"0197a7f4-2b3c-7d4e-8f50-112233445566":2}}
    {"messages":[{"message_id":"0000000000000000042","conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"rev":2,"content_rev":2,"sender_id":1,"type":"text","content":"line\nbreak 👨‍👩","timestamp":1795257516007,"client_id":"a\"b","edited_at":5,"deleted_at":6,"deleted_by":2,"reply_to":{"seq":1,"sender_id":2,"excerpt":"…"},"mentions":[{"user_id":2,"start":0,"end":2}],"reactions":[{"emoji":"👍","count":12,"user_ids":[1]}],"withheld":true,"history":"18446744073709551615","mark_rev":7}],"has_more_before":true,"has_more_after":false,"first_seq":1,"head_seq":1,"rev":2,"history":"18446744073709551615"}
    {"rev":1,"history":"18446744073709551615","deleted_at":2,"deleted_by":1}
    {"members":[{"user_id":2,"role":"admin","joined_seq":1,"left_seq":9,"rev":2,"read_seq":3,"delivered_seq":4,"mark_rev":5}],"next_cursor":"c"}
    {"members":[{"user_id":2,"role":"admin","joined_seq":1,"left_seq":9,"rev":2,"read_seq":3,"delivered_seq":4,"mark_rev":5}],"rev":2,"history":"18446744073709551615"}
    {"rev":2,"history":"18446744073709551615"}
    {}
    {"messages":[{"message_id":"0000000000000000042","conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"rev":2,"content_rev":2,"sender_id":1,"type":"text","content":"hi","timestamp":1795257516007}],"members":[{"user_id":2,"role":"admin","joined_seq":1,"left_seq":9,"rev":2,"read_seq":3,"delivered_seq":4,"mark_rev":5}],"receipts":[{"user_id":1,"read_seq":1,"delivered_seq":2,"mark_rev":3}],"rev":4,"mark_rev":5,"history":"18446744073709551615","more":false,"reset":false}
    {"conversations":[],"removed":["00000000-0000-8080-8000-000000020000"],"cursor":"c","user_rev":1,"more":true,"reset":true}
    "#);
}

#[test]
fn every_request_has_these_bytes_and_is_read_back() {
    fn back<T>(value: T) -> String
    where
        T: serde::Serialize + for<'a> Body<'a> + PartialEq + std::fmt::Debug,
    {
        let text = json(&value);
        assert_eq!(T::read(text.as_bytes()).unwrap(), value, "{text}");
        text
    }
    macro_rules! back_borrowed {
        ($type:ident, $value:expr) => {{
            let value = $value;
            let text = json(&value);
            assert_eq!($type::read(text.as_bytes()).unwrap(), value, "{text}");
            text
        }};
    }
    let said = [
        back_borrowed!(
            Register,
            Register {
                username: "a".into(),
                password: "p".into(),
                display_name: None,
                invite: None
            }
        ),
        back_borrowed!(
            Login,
            Login { username: "a".into(), password: "p".into(), device_name: Some("d".into()) }
        ),
        back(EditProfile { display_name: Patch::Set("A".into()), privacy: None }),
        back(EditProfile { display_name: Patch::Clear, privacy: None }),
        back(LookupUsers { ids: vec![user(1)], external_ids: vec!["x".into()] }),
        back_borrowed!(
            DialogSend,
            DialogSend { to: Some(UserRef::Id(user(2))), text: "hi".into(), client_id: None }
        ),
        back_borrowed!(CreateConversation, CreateConversation::Direct { user: user(2).into() }),
        back_borrowed!(
            CreateConversation,
            CreateConversation::Group {
                name: "g".into(),
                members: vec![user(2).into(), UserRef::External("x".into())],
                client_id: Some("c".into()),
                settings: EditSettings { slow_mode_s: Some(5), ..EditSettings::default() },
            }
        ),
        back_borrowed!(
            EditConversation,
            EditConversation {
                name: Some("g".into()),
                settings: Some(EditSettings::default()),
                ..EditConversation::default()
            }
        ),
        back_borrowed!(OutgoingMessage, OutgoingMessage::text("hi")),
        back_borrowed!(EditContent, EditContent { content: "x".into(), if_content_rev: Some(1) }),
        back(MarkUpTo(MarkTarget::Seq(1))),
        back(AddMembers { user_ids: vec![user(2).into()] }),
        back(EditMember { role: Role::Owner }),
        back(EditInbox { pinned: Some(true), muted_until: Patch::Clear, ..EditInbox::default() }),
        back(EditInbox { muted_until: Patch::Set(5), hidden_to: Some(3), ..EditInbox::default() }),
        back(EditInbox::default()),
    ]
    .join("\n");
    insta::assert_snapshot!(said, @r#"
    {"username":"a","password":"p"}
    {"username":"a","password":"p","device_name":"d"}
    {"display_name":"A"}
    {"display_name":null}
    {"ids":[1],"external_ids":["x"]}
    {"to":2,"text":"hi"}
    {"type":"direct","user_id":2}
    {"type":"group","name":"g","member_ids":[2,"ext:x"],"client_id":"c","settings":{"slow_mode_s":5}}
    {"name":"g","settings":{}}
    {"content":"hi","type":"text"}
    {"content":"x","if_content_rev":1}
    {"seq":1}
    {"user_ids":[2]}
    {"role":"owner"}
    {"pinned":true,"muted_until":null}
    {"muted_until":5,"hidden_to":3}
    {}
    "#);
}

#[test]
fn absent_and_null_are_told_apart_where_it_matters() {
    let read = |text: &str| EditInbox::read(text.as_bytes()).unwrap().muted_until;
    assert_eq!(read("{}"), Patch::Keep);
    assert_eq!(read(r#"{"muted_until":null}"#), Patch::Clear);
    assert_eq!(read(r#"{"muted_until":0}"#), Patch::Set(0));
    assert_eq!(read("{}").into_change(), None);
    assert_eq!(read(r#"{"muted_until":null}"#).into_change(), Some(None));
    assert_eq!(read(r#"{"muted_until":7}"#).into_change(), Some(Some(7)));
}

#[test]
fn a_wrong_body_is_refused_by_name() {
    let said = [
        refused::<Register<'_>>(""),
        refused::<Register<'_>>("x"),
        refused::<Register<'_>>("[]"),
        refused::<Register<'_>>("null"),
        refused::<Register<'_>>(r#"["a","b"]"#),
        refused::<Register<'_>>(r#"{"username":"a"}"#),
        refused::<Register<'_>>(r#"{"username":"a","password":7}"#),
        refused::<Register<'_>>(r#"{"username":"\ud800","password":"p"}"#),
        refused::<Register<'_>>(r#"{"username":"a","password":"p"} x"#),
        refused::<Login<'_>>(r#"{"username":"a","password":"p","cookie":true}"#),
        refused::<LookupUsers>(r#"{"ids":[1,0]}"#),
        refused::<LookupUsers>(r#"{"ids":"1,2"}"#),
        refused::<DialogSend<'_>>(r#"{"to":"2","text":"x"}"#),
        refused::<CreateConversation<'_>>(r#"{"user_id":2}"#),
        refused::<CreateConversation<'_>>(r#"{"type":"direct"}"#),
        refused::<CreateConversation<'_>>(r#"{"type":"channel","user_id":2}"#),
        refused::<CreateConversation<'_>>(r#"{"type":"group","member_ids":[]}"#),
        refused::<CreateConversation<'_>>(r#"{"type":"group","name":"g"}"#),
        refused::<CreateConversation<'_>>(r#"{"type":"group","name":"g","member_ids":[1,"2"]}"#),
        refused::<EditConversation<'_>>(r#"{"settings":{"history_for":"none"}}"#),
        refused::<EditConversation<'_>>(r#"{"settings":["all"]}"#),
        refused::<EditMember>(r#"{"role":"king"}"#),
        refused::<EditInbox>(r#"{"muted_until":"tomorrow"}"#),
        refused::<EditInbox>(r#"{"muted_until":-1}"#),
        refused::<EditInbox>(r#"{"pinned":1}"#),
        refused::<MarkUpTo>("{}"),
        refused::<MarkUpTo>(r#"{"seq":-1}"#),
        refused::<MarkUpTo>(r#"{"seq":1,"message_id":"0000000000000000001"}"#),
        refused::<OutgoingMessage<'_>>(r#"{"content":"x","type":"system"}"#),
    ]
    .join("\n");
    insta::assert_snapshot!(said, @r#"
     → {"code":"bad_request","message":"The body is not JSON.","retry_after_ms":null,"details":{}}
    x → {"code":"bad_request","message":"The body is not JSON.","retry_after_ms":null,"details":{}}
    [] → {"code":"bad_request","message":"The body is not a JSON object.","retry_after_ms":null,"details":{}}
    null → {"code":"bad_request","message":"The body is not a JSON object.","retry_after_ms":null,"details":{}}
    ["a","b"] → {"code":"bad_request","message":"The body is not a JSON object.","retry_after_ms":null,"details":{}}
    {"username":"a"} → {"code":"invalid","message":"missing field `password`","retry_after_ms":null,"details":{"field":"password"}}
    {"username":"a","password":7} → {"code":"invalid","message":"invalid type: integer `7`, expected a string","retry_after_ms":null,"details":{"field":"password"}}
    {"username":"\ud800","password":"p"} → {"code":"invalid","message":"unexpected end of hex escape","retry_after_ms":null,"details":{"field":"username"}}
    {"username":"a","password":"p"} x → {"code":"bad_request","message":"The body is not JSON.","retry_after_ms":null,"details":{}}
    {"username":"a","password":"p","cookie":true} → read
    {"ids":[1,0]} → {"code":"invalid","message":"not a valid user id","retry_after_ms":null,"details":{"field":"ids[1]"}}
    {"ids":"1,2"} → {"code":"invalid","message":"invalid type: string \"1,2\", expected a sequence","retry_after_ms":null,"details":{"field":"ids"}}
    {"to":"2","text":"x"} → {"code":"invalid","message":"must be a user id or \"ext:\" and an external id of 1 to 255 characters","retry_after_ms":null,"details":{"field":"to"}}
    {"user_id":2} → {"code":"invalid","message":"missing field `type`","retry_after_ms":null,"details":{"field":"type"}}
    {"type":"direct"} → {"code":"invalid","message":"is needed for this type","retry_after_ms":null,"details":{"field":"user_id"}}
    {"type":"channel","user_id":2} → {"code":"invalid","message":"unknown variant `channel`, expected `direct` or `group`","retry_after_ms":null,"details":{"field":"type"}}
    {"type":"group","member_ids":[]} → {"code":"invalid","message":"is needed for this type","retry_after_ms":null,"details":{"field":"name"}}
    {"type":"group","name":"g"} → {"code":"invalid","message":"is needed for this type","retry_after_ms":null,"details":{"field":"member_ids"}}
    {"type":"group","name":"g","member_ids":[1,"2"]} → {"code":"invalid","message":"must be a user id or \"ext:\" and an external id of 1 to 255 characters","retry_after_ms":null,"details":{"field":"member_ids[1]"}}
    {"settings":{"history_for":"none"}} → {"code":"invalid","message":"unknown variant `none`, expected `since_joining` or `all`","retry_after_ms":null,"details":{"field":"settings.history_for"}}
    {"settings":["all"]} → {"code":"invalid","message":"invalid type: sequence, expected an object","retry_after_ms":null,"details":{"field":"settings"}}
    {"role":"king"} → {"code":"invalid","message":"unknown variant `king`, expected one of `member`, `admin`, `owner`","retry_after_ms":null,"details":{"field":"role"}}
    {"muted_until":"tomorrow"} → {"code":"invalid","message":"invalid type: string \"tomorrow\", expected i64","retry_after_ms":null,"details":{"field":"muted_until"}}
    {"muted_until":-1} → {"code":"invalid","message":"must not be negative","retry_after_ms":null,"details":{"field":"muted_until"}}
    {"pinned":1} → {"code":"invalid","message":"invalid type: integer `1`, expected a boolean","retry_after_ms":null,"details":{"field":"pinned"}}
    {} → {"code":"invalid","message":"is needed, or `message_id`","retry_after_ms":null,"details":{"field":"seq"}}
    {"seq":-1} → {"code":"invalid","message":"invalid value: integer `-1`, expected u64","retry_after_ms":null,"details":{"field":"seq"}}
    {"seq":1,"message_id":"0000000000000000001"} → {"code":"invalid","message":"must be left out beside `seq`","retry_after_ms":null,"details":{"field":"message_id"}}
    {"content":"x","type":"system"} → {"code":"invalid","message":"is made by the server only","retry_after_ms":null,"details":{"field":"type"}}
    "#);
    let not_utf8 = Register::read(b"{\"username\":\"\xff\"}").unwrap_err();
    assert_eq!(not_utf8.code.as_str(), "bad_request");
}

#[test]
fn secrets_are_not_in_debug_output() {
    let register = Register {
        username: "a".into(),
        password: "hunter2!".into(),
        display_name: None,
        invite: None,
    };
    let login = Login { username: "a".into(), password: "hunter2!".into(), device_name: None };
    let signed_in = SignedIn { user: profile(), token: "hunter2!".into(), session_id: "s".into() };
    let ticket = Ticket { ticket: "hunter2!".into() };
    let said = format!("{register:?}{login:?}{signed_in:?}{ticket:?}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn user_references_are_numbers_or_external_ids() {
    let read = |text: &str| text.parse::<UserRef>();
    assert_eq!(read("1").unwrap(), user(1).into());
    assert_eq!(read("9007199254740991").unwrap(), user((1 << 53) - 1).into());
    assert_eq!(read("ext:1").unwrap(), UserRef::External("1".into()));
    assert_eq!(read("ext:ext:").unwrap(), UserRef::External("ext:".into()));
    let longest = format!("ext:{}", "é".repeat(255));
    assert_eq!(read(&longest).unwrap().to_string(), longest);
    for wrong in [
        "",
        "0",
        "-1",
        "+1",
        "1.0",
        " 1",
        "9007199254740992",
        "ext:",
        "EXT:1",
        "me",
        &format!("ext:{}", "é".repeat(256)),
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_error_body_has_all_its_fields() {
    let body = ErrorBody::from(ostracon_proto::ErrorObject::new(
        ostracon_proto::ErrorCode::NotFound,
        "No.",
    ));
    insta::assert_snapshot!(both_ways!(&body), @r#"{"error":{"code":"not_found","message":"No.","retry_after_ms":null,"details":{}}}"#);
}
