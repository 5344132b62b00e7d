//! How ids and enums of `domain` look in the generated documents. They are written there without
//! any knowledge of OpenAPI, so their schemas stand here. Never constructed.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type},
    },
};

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident => $schema:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub(crate) struct $name;
        impl ToSchema for $name {}
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                RefOr::T($schema.into())
            }
        }
    )+};
}

fn text(description: &str, example: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .examples([serde_json::Value::from(example)])
}

fn words(description: &str, words: &[&str]) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(words.iter().copied()))
}

fn number(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .description(Some(description))
}

named! {
    UserId => number("A user: 1 to 2^53-1, exact in every JSON reader.")
        .minimum(Some(1)).maximum(Some(9_007_199_254_740_991_i64)).build();
    ConversationId => text("A conversation: a UUID.", "00000000-0000-8080-8000-000000020000")
        .format(Some(SchemaFormat::Custom("uuid".to_owned()))).build();
    MessageId => text(
        "A message: always 19 digits, unique in the cluster, rising with seq in its conversation.",
        "1573741824000000042",
    ).pattern(Some("^[0-9]{19}$")).build();
    History => text(
        "Names a line of numbers. Another history than the one you hold means: drop and load again.",
        "8842013377",
    ).pattern(Some("^[0-9]+$")).build();
    Millis => number("Unix milliseconds, UTC.").build();
    Role => words("What a member may do.", &["member", "admin", "owner"]).build();
    MessageKind => words("What a message is; `system` is made by the server only.",
        &["text", "image", "file", "system"]).build();
    ConversationKind => words("Two people, or a group.", &["direct", "group"]).build();
    HistoryFor => words("What a new member sees of what was said before.",
        &["since_joining", "all"]).build();
    Level => words("From which role on something is allowed.", &["everyone", "admins", "owner"]).build();
    PresenceFor => words("Who may see whether a user is online: everyone, those to whom the user has written directly, \
        or nobody.", &["everyone", "contacts", "nobody"]).build();
    PushScope => words("Of which messages a user is told while away: all that are not muted, those that mention the user, \
        or none.", &["all", "mentions", "none"]).build();
    Privacy => ObjectBuilder::new()
        .description(Some("What a user lets others know; who hides something does not see it of others."))
        .property("presence", PresenceFor::schema()).required("presence")
        .property("read_receipts", ObjectBuilder::new().schema_type(Type::Boolean)
            .description(Some("Whether others see how far this user has read.")).build())
        .required("read_receipts").build();
    Mention => ObjectBuilder::new()
        .description(Some("A user named in a text; offsets count UTF-16 units, `end` is exclusive."))
        .property("user_id", UserId::schema()).required("user_id")
        .property("start", number("First unit.").minimum(Some(0)).build()).required("start")
        .property("end", number("Unit after the last.").minimum(Some(0)).build()).required("end")
        .build();
    UserRef => OneOfBuilder::new()
        .description(Some("A user: the number, or `ext:` and the id in your own system."))
        .item(UserId::schema())
        .item(text("By external id.", "ext:customer-4711").pattern(Some("^ext:.+$")).build())
        .build();
}
