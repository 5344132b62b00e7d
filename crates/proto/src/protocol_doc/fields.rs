//! Schemas as Markdown: a table of fields, or one line.

use crate::rest::operations::Shape;
use std::fmt::Write as _;
use utoipa::openapi::{
    RefOr,
    schema::{AdditionalProperties, AllOf, ArrayItems, Object, Schema, SchemaType, Type},
};

/// The table of a frame's data: the rows given, then those of the shape.
pub(super) fn table(shape: Shape, more: &[[&str; 3]]) -> String {
    let RefOr::T(Schema::Object(object)) = shape.schema() else {
        return String::new();
    };
    if object.properties.is_empty() {
        return "No data: `{}`.\n\n".to_owned();
    }
    let mut out = HEAD.to_owned();
    for [name, kind, meaning] in more {
        let _ = writeln!(out, "| `{name}` | {kind} | {meaning} |");
    }
    rows(&object, &mut out);
    out.push('\n');
    out
}

/// What an object is and the table of its fields; `None` for ids and words without fields of their
/// own, which get a sentence.
pub(super) fn object(schema: &RefOr<Schema>) -> Option<String> {
    let RefOr::T(schema) = schema else {
        return None;
    };
    let object = match schema {
        Schema::Object(object) => object,
        Schema::OneOf(one) => return one.description.as_ref().map(|text| format!("{text}\n\n")),
        // Its own fields, and all of another object's beside them.
        Schema::AllOf(all) => return Some(all_of(all)),
        _ => return None,
    };
    let mut out = String::new();
    if let Some(text) = &object.description {
        let _ = write!(out, "{text}\n\n");
    }
    if let Some(words) = &object.enum_values {
        let words = words.iter().filter_map(|word| word.as_str()).map(|word| format!("`{word}`"));
        let _ = write!(out, "One of {}.\n\n", words.collect::<Vec<_>>().join(", "));
    }
    if !object.properties.is_empty() {
        out.push_str(HEAD);
        rows(object, &mut out);
        out.push('\n');
    }
    (!out.is_empty()).then_some(out)
}

fn all_of(all: &AllOf) -> String {
    let mut out = String::new();
    if let Some(text) = &all.description {
        let _ = write!(out, "{text}\n\n");
    }
    for part in &all.items {
        match part {
            RefOr::Ref(reference) => {
                let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
                let anchor = name.to_ascii_lowercase();
                let _ = write!(out, "All fields of [{name}](#{anchor}), and:\n\n");
            }
            RefOr::T(Schema::Object(object)) => {
                if let Some(text) = &object.description {
                    let _ = write!(out, "{text}\n\n");
                }
                out.push_str(HEAD);
                rows(object, &mut out);
                out.push('\n');
            }
            RefOr::T(_) => {}
        }
    }
    out
}

/// `{username, password, display_name?}`, with a space before it.
pub(super) fn one_line(shape: Shape) -> String {
    let RefOr::T(Schema::Object(object)) = shape.schema() else {
        return String::new();
    };
    let fields = object.properties.keys().map(|name| {
        let mark = if object.required.contains(name) { "" } else { "?" };
        format!("{name}{mark}")
    });
    format!(" `{{{}}}`", fields.collect::<Vec<_>>().join(", "))
}

const HEAD: &str = "| field | is | means |\n|---|---|---|\n";

fn rows(object: &Object, out: &mut String) {
    for (name, schema) in &object.properties {
        let (kind, nullable) = kind(schema);
        let mut kind = kind;
        if !object.required.contains(name) {
            kind.push_str(", *optional*");
        } else if nullable {
            kind.push_str(" or null");
        }
        let meaning = description(schema).replace('\n', " ");
        let _ = writeln!(out, "| `{name}` | {kind} | {meaning} |");
    }
}

fn description(schema: &RefOr<Schema>) -> String {
    let text = match schema {
        RefOr::Ref(reference) => return reference.description.clone(),
        RefOr::T(Schema::Object(object)) => &object.description,
        RefOr::T(Schema::Array(array)) => &array.description,
        // "This reference, or null": the reference has the words.
        RefOr::T(Schema::OneOf(one)) if one.description.is_none() => {
            return one.items.iter().map(description).find(|t| !t.is_empty()).unwrap_or_default();
        }
        RefOr::T(Schema::OneOf(one)) => &one.description,
        RefOr::T(Schema::AllOf(all)) => &all.description,
        RefOr::T(_) => &None,
    };
    text.clone().unwrap_or_default()
}

/// The name of a type, and whether null is one of its values.
fn kind(schema: &RefOr<Schema>) -> (String, bool) {
    match schema {
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
            (format!("[{name}](#{})", name.to_ascii_lowercase()), false)
        }
        RefOr::T(Schema::Object(object)) => {
            let (mut name, nullable) = plain(&object.schema_type);
            if let Some(AdditionalProperties::RefOr(value)) =
                object.additional_properties.as_deref()
            {
                name = format!("map of {}", kind(value).0);
            }
            (name, nullable)
        }
        RefOr::T(Schema::Array(array)) => {
            let items = match &array.items {
                ArrayItems::RefOrSchema(items) => kind(items).0,
                ArrayItems::False => "anything".to_owned(),
            };
            (format!("list of {items}"), plain(&array.schema_type).1)
        }
        RefOr::T(Schema::OneOf(one)) => one_of(&one.items),
        RefOr::T(Schema::AllOf(all)) => one_of(&all.items),
        RefOr::T(_) => ("anything".to_owned(), true),
    }
}

/// An optional reference is "null, or the reference".
fn one_of(items: &[RefOr<Schema>]) -> (String, bool) {
    let kinds = items.iter().map(kind).collect::<Vec<_>>();
    let nullable = kinds.iter().any(|(name, nullable)| *nullable || name == "null");
    let names = kinds.into_iter().map(|(name, _)| name).filter(|name| name != "null");
    (names.collect::<Vec<_>>().join(" or "), nullable)
}

fn plain(kind: &SchemaType) -> (String, bool) {
    let word = |kind: &Type| match kind {
        Type::Integer => "integer",
        Type::Number => "number",
        Type::String => "text",
        Type::Boolean => "true or false",
        Type::Object => "object",
        Type::Array => "list",
        Type::Null => "null",
    };
    match kind {
        SchemaType::Type(kind) => (word(kind).to_owned(), *kind == Type::Null),
        SchemaType::Array(kinds) => {
            let nullable = kinds.contains(&Type::Null);
            let names = kinds.iter().filter(|kind| **kind != Type::Null).map(word);
            (names.collect::<Vec<_>>().join(" or "), nullable)
        }
        SchemaType::AnyValue => ("anything".to_owned(), true),
    }
}
