//! The OpenAPI 3.1 document, made from the table of calls and the types of this crate.
//! The same input gives the same bytes, so that a committed copy can be compared.

use crate::{
    ErrorCode,
    rest::operations::{
        Answer, ERROR_BODY, ERRORS_WITH_TOKEN, ERRORS_WITHOUT_TOKEN, OPERATIONS, Operation, Param,
        ParamKind, Shape,
    },
    schema,
};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApiBuilder,
        PathItem, PathsBuilder, Ref, RefOr, Required, ResponseBuilder, ResponsesBuilder,
        path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::{ObjectBuilder, Schema, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

const JSON: &str = "application/json";
const TOKEN: &str = "token";

/// The whole document, indented, ending with a line break.
#[must_use]
pub fn document() -> String {
    let mut items: BTreeMap<&str, PathItem> = BTreeMap::new();
    for operation in OPERATIONS {
        let item = PathItem::new(method(operation.method), describe(operation));
        match items.get_mut(operation.path) {
            Some(path) => path.merge_operations(item),
            None => {
                items.insert(operation.path, item);
            }
        }
    }
    let paths =
        items.into_iter().fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));
    let info = InfoBuilder::new()
        .title("Ostracon")
        .version("v1")
        .description(Some(
            "A self-hosted messenger: REST. The WebSocket and the rules for clients are in \
             docs/protocol.md.",
        ))
        .license(Some(
            LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build(),
        ))
        .build();
    let document = OpenApiBuilder::new()
        .info(info)
        .paths(paths.build())
        .components(Some(components()))
        .build();
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Every schema that the calls use, by name.
pub(crate) fn schemas() -> BTreeMap<String, RefOr<Schema>> {
    let shapes = OPERATIONS
        .iter()
        .flat_map(|o| o.body.into_iter().chain(o.answers.iter().filter_map(|a| a.body)))
        .chain([ERROR_BODY]);
    collect(shapes)
}

/// The schemas of these types and of everything they refer to.
pub(crate) fn collect(shapes: impl Iterator<Item = Shape>) -> BTreeMap<String, RefOr<Schema>> {
    let mut all = BTreeMap::new();
    for shape in shapes {
        all.insert(shape.name(), shape.schema());
        all.extend(shape.parts());
    }
    all
}

fn components() -> Components {
    let named = [
        ("UserRef", schema::UserRef::schema()),
        ("ConversationId", schema::ConversationId::schema()),
    ];
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The token of register or login, or a JWT of your own system."))
        .build();
    schemas()
        .into_iter()
        .chain(named.map(|(name, schema)| (name.to_owned(), schema)))
        .fold(ComponentsBuilder::new(), |all, (name, schema)| all.schema(name, schema))
        .security_scheme(TOKEN, SecurityScheme::Http(bearer))
        .build()
}

fn method(name: &str) -> HttpMethod {
    match name {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn describe(operation: &Operation) -> OperationBuilder {
    let mut out = OperationBuilder::new()
        .tag(operation.tag)
        .summary(Some(operation.summary))
        .operation_id(Some(operation_id(operation)));
    if !operation.notes.is_empty() {
        out = out.description(Some(operation.notes));
    }
    for name in path_names(operation.path) {
        out = out.parameter(path_parameter(name));
    }
    for param in operation.query {
        out = out.parameter(query_parameter(param));
    }
    if let Some(body) = operation.body {
        let content = ContentBuilder::new().schema(Some(reference(body))).build();
        let body = RequestBodyBuilder::new().content(JSON, content).required(Some(Required::True));
        out = out.request_body(Some(body.build()));
    }
    if operation.auth {
        out = out.security(SecurityRequirement::new::<_, _, &str>(TOKEN, []));
    }
    out.responses(responses(operation).build())
}

/// `GET /api/v1/conversations/{conversation_id}/messages` → `get_conversations_messages`; a call
/// on one thing keeps the name of that thing's id.
fn operation_id(operation: &Operation) -> String {
    let path = operation.path.trim_start_matches("/api/v1");
    let last = path.split('/').next_back().unwrap_or_default();
    let mut id = operation.method.to_ascii_lowercase();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if part.starts_with('{') && part != last {
            continue;
        }
        id.push('_');
        let plain = part.replace(['.', '-'], "_");
        if part.starts_with('{') {
            id.push_str("by_");
        }
        id.push_str(plain.trim_matches(['{', '}']));
    }
    id
}

fn path_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str) -> ParameterBuilder {
    let (schema, meaning) = match name {
        "user_id" => {
            (schema_ref::<schema::UserRef>(), "A user: number, or `ext:` and an external id.")
        }
        "conversation_id" => (schema_ref::<schema::ConversationId>(), "A conversation: a UUID."),
        "seq" => (whole_number(), "Place of the message in its conversation."),
        "shard_id" => (whole_number(), "Number of a shard."),
        "job_id" => (whole_number(), "Number of a job."),
        "emoji" => (text(), "The emoji, percent-encoded; at most 64 bytes."),
        _ => (text(), "Its id."),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(meaning))
        .schema(Some(schema))
}

fn query_parameter(param: &Param) -> ParameterBuilder {
    let schema = match &param.kind {
        ParamKind::Text | ParamKind::Cursor | ParamKind::History => text(),
        ParamKind::Number | ParamKind::Position => whole_number(),
        ParamKind::Limit(limit) => RefOr::T(Schema::Object(
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .minimum(Some(1))
                .maximum(Some(limit.max))
                .default(Some(limit.default.into()))
                .build(),
        )),
        ParamKind::Words(words) => RefOr::T(Schema::Object(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(words.iter().copied()))
                .build(),
        )),
    };
    ParameterBuilder::new()
        .name(param.name)
        .parameter_in(ParameterIn::Query)
        .required(if param.required { Required::True } else { Required::False })
        .description(Some(param.meaning))
        .schema(Some(schema))
}

fn responses(operation: &Operation) -> ResponsesBuilder {
    let mut out = ResponsesBuilder::new();
    for Answer { status, meaning, body } in operation.answers {
        let mut response = ResponseBuilder::new().description(*meaning);
        if let Some(body) = body {
            let content = ContentBuilder::new().schema(Some(reference(*body))).build();
            response = response.content(JSON, content);
        }
        out = out.response(status.to_string(), response.build());
    }
    if operation.tag == "Operator" {
        return out;
    }
    let mut by_status: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
    for code in errors_of(operation) {
        by_status.entry(code.status()).or_default().insert(code.as_str());
    }
    for (status, codes) in by_status {
        let codes = codes.into_iter().map(|code| format!("`{code}`")).collect::<Vec<_>>();
        let content = ContentBuilder::new().schema(Some(reference(ERROR_BODY))).build();
        let response =
            ResponseBuilder::new().description(codes.join(", ")).content(JSON, content).build();
        out = out.response(status.to_string(), response);
    }
    out
}

/// Every refusal that a call can give.
pub(crate) fn errors_of(operation: &Operation) -> impl Iterator<Item = ErrorCode> {
    let common = if operation.auth { ERRORS_WITH_TOKEN } else { ERRORS_WITHOUT_TOKEN };
    operation.errors.iter().chain(common).copied()
}

fn reference(shape: Shape) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(shape.name()))
}

fn schema_ref<T: ToSchema>() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

fn whole_number() -> RefOr<Schema> {
    RefOr::T(Schema::Object(
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build(),
    ))
}

fn text() -> RefOr<Schema> {
    RefOr::T(Schema::Object(ObjectBuilder::new().schema_type(Type::String).build()))
}
