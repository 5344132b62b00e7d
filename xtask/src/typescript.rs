//! The TypeScript types of the wire, made from the OpenAPI document and the table of frames.
//! Types and two small tables only: what a client does with them is in `clients/js`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

const HEAD: &str =
    "// Made by `cargo xtask generate` from the types of crates/proto; never edited.\n\n";
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The whole file.
pub(crate) fn document() -> String {
    let openapi: Value =
        serde_json::from_str(&ostracon_proto::openapi::document()).unwrap_or_default();
    let wire = ostracon_proto::protocol_doc::wire();
    let mut schemas = object(&openapi["components"]["schemas"]);
    for (name, schema) in object(&wire["schemas"]) {
        schemas.entry(name).or_insert(schema);
    }
    schemas.sort_keys();
    let mut out = HEAD.to_owned();
    for (name, schema) in &schemas {
        comment(text(&schema["description"]), "", &mut out);
        let _ = write!(out, "export type {name} = {};\n\n", type_of(schema, ""));
    }
    frames(
        "ClientFrames",
        "What a client sends: the data of each type of frame.",
        &wire["client_frames"],
        &mut out,
    );
    frames(
        "ServerFrames",
        "What the server sends: the data of each type of frame.",
        &wire["server_frames"],
        &mut out,
    );
    operations(&openapi["paths"], &mut out);
    tables(&wire, &mut out);
    out
}

fn frames(name: &str, meaning: &str, frames: &Value, out: &mut String) {
    comment(meaning, "", out);
    let _ = writeln!(out, "export type {name} = {{");
    for frame in list(frames) {
        comment(text(&frame["meaning"]), "  ", out);
        let mut data = match frame["object"].as_str() {
            Some(object) => object.to_owned(),
            None => type_of(&frame["schema"], "  "),
        };
        let more = list(&frame["more"]);
        if !more.is_empty() {
            let mut fields = String::from("{\n");
            for field in more {
                comment(text(&field[2]), "    ", &mut fields);
                let mut words = text(&field[1]).split(", ");
                let kind = words.next().unwrap_or_default();
                let mark = if words.next().is_some() { "?" } else { "" };
                let _ = writeln!(fields, "    {}{mark}: {kind};", text(&field[0]));
            }
            data = format!("{fields}  }} & {data}");
        }
        let _ = writeln!(out, "  {}: {data};", text(&frame["type"]));
    }
    out.push_str("};\n\n");
}

fn operations(paths: &Value, out: &mut String) {
    comment("The REST calls, by method and path.", "", out);
    out.push_str("export type Operations = {\n");
    for (path, item) in object(paths) {
        for method in METHODS {
            let operation = &item[method];
            if operation.is_object() {
                call(&format!("{} {path}", method.to_uppercase()), operation, out);
            }
        }
    }
    out.push_str("};\n\n");
}

fn call(name: &str, operation: &Value, out: &mut String) {
    let meaning = format!("{} {}", text(&operation["summary"]), text(&operation["description"]));
    comment(meaning.trim(), "  ", out);
    let _ = writeln!(out, "  '{name}': {{");
    let params = list(&operation["parameters"]);
    for place in ["path", "query"] {
        let params: Vec<&Value> = params.iter().filter(|param| param["in"] == place).collect();
        if params.is_empty() {
            continue;
        }
        let field = |param: &&Value| {
            let mark = if param["required"] == true { "" } else { "?" };
            format!("{}{mark}: {}", text(&param["name"]), type_of(&param["schema"], ""))
        };
        let fields: Vec<String> = params.iter().map(field).collect();
        let mark = if params.iter().any(|param| param["required"] == true) { "" } else { "?" };
        let _ = writeln!(out, "    {place}{mark}: {{ {} }};", fields.join("; "));
    }
    let content = |of: &Value| {
        let content = object(&of["content"]);
        content.get("application/json").map(|json| type_of(&json["schema"], "    "))
    };
    if let Some(body) = content(&operation["requestBody"]) {
        let _ = writeln!(out, "    body: {body};");
    }
    let mut answers = Vec::new();
    for (status, response) in object(&operation["responses"]) {
        if status.starts_with('2') {
            let answer = content(&response).unwrap_or_else(|| "undefined".to_owned());
            if !answers.contains(&answer) {
                answers.push(answer);
            }
        }
    }
    if answers.is_empty() {
        answers.push("undefined".to_owned());
    }
    let _ = writeln!(out, "    answer: {};\n  }};", answers.join(" | "));
}

fn tables(wire: &Value, out: &mut String) {
    comment(
        "UTF-16 units of a message that a reply quotes; the most of a text; bytes of a client id.",
        "",
        out,
    );
    out.push_str("export const LIMITS = {\n");
    for (name, limit) in object(&wire["limits"]) {
        let _ = writeln!(out, "  {name}: {limit},");
    }
    out.push_str("} as const;\n\n");
    comment("Refusals after which the very same request may succeed later.", "", out);
    out.push_str("export const RETRYABLE: ReadonlySet<string> = new Set<ErrorCode>([");
    let codes = list(&wire["errors"]);
    let retry = codes.iter().filter(|error| error["retry"] == true);
    let words: Vec<String> = retry.map(|error| format!("'{}'", text(&error["code"]))).collect();
    let _ = write!(out, "{}]);\n\n", words.join(", "));
    comment("What to do after the server closed a WebSocket.", "", out);
    out.push_str("export const RECONNECT: Readonly<Record<number, Reconnect | undefined>> = {\n");
    for close in list(&wire["close_codes"]) {
        comment(text(&close["meaning"]), "  ", out);
        let _ = writeln!(out, "  {}: '{}',", close["code"], text(&close["reconnect"]));
    }
    out.push_str("};\n\n");
    comment("`after_reason`: after the delay in the close reason.", "", out);
    out.push_str("export type Reconnect = 'yes' | 'after_reason' | 'after_sign_in' | 'no';\n");
}

/// The type of a schema; `indent` is that of the line it stands in.
fn type_of(schema: &Value, indent: &str) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    for (word, sign) in [("oneOf", " | "), ("anyOf", " | "), ("allOf", " & ")] {
        let parts = list(&schema[word]);
        if !parts.is_empty() {
            // A part that only says a default or some words adds no type.
            let says = |part: &&Value| {
                word != "allOf" || part["type"] != "object" || part["properties"].is_object()
            };
            let parts = parts.iter().filter(says).map(|part| type_of(part, indent));
            return parts.collect::<Vec<_>>().join(sign);
        }
    }
    let words = list(&schema["enum"]);
    if !words.is_empty() {
        let words: Vec<String> = words.iter().map(|word| format!("'{}'", text(word))).collect();
        return words.join(" | ");
    }
    match &schema["type"] {
        Value::Array(kinds) => {
            let kinds: Vec<String> =
                kinds.iter().map(|kind| plain(text(kind), schema, indent)).collect();
            kinds.join(" | ")
        }
        kind => plain(text(kind), schema, indent),
    }
}

fn plain(kind: &str, schema: &Value, indent: &str) -> String {
    match kind {
        "string" => "string".to_owned(),
        "integer" | "number" => "number".to_owned(),
        "boolean" => "boolean".to_owned(),
        "null" => "null".to_owned(),
        "array" => {
            let items = type_of(&schema["items"], indent);
            if items.contains(' ') { format!("({items})[]") } else { format!("{items}[]") }
        }
        "object" => fields(schema, indent),
        _ => "unknown".to_owned(),
    }
}

fn fields(schema: &Value, indent: &str) -> String {
    let properties = object(&schema["properties"]);
    if properties.is_empty() {
        let values = &schema["additionalProperties"];
        let values =
            if values.is_object() { type_of(values, indent) } else { "unknown".to_owned() };
        return format!("Record<string, {values}>");
    }
    let required = list(&schema["required"]);
    let inner = format!("{indent}  ");
    let mut out = String::from("{\n");
    for (name, property) in &properties {
        let described = list(&property["oneOf"]);
        let words = text(&property["description"]);
        let words = match described.first() {
            Some(first) if words.is_empty() => text(&first["description"]),
            _ => words,
        };
        comment(words, &inner, &mut out);
        let mark = if required.iter().any(|one| one == name.as_str()) { "" } else { "?" };
        let _ = writeln!(out, "{inner}{name}{mark}: {};", type_of(property, &inner));
    }
    let _ = write!(out, "{indent}}}");
    out
}

fn comment(words: &str, indent: &str, out: &mut String) {
    if !words.is_empty() {
        let words = words.replace('\n', " ").replace("*/", "* /");
        let _ = writeln!(out, "{indent}/** {words} */");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
