//! The address of a shard, `postgres://user:password@host:port/database?schema=name`: read and checked.

use std::str::FromStr;

use tokio_postgres::Config;

use crate::options::{SchemaName, UrlError};

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Whether a text is meant to be the address of a PostgreSQL server.
pub fn is_url(text: &str) -> bool {
    SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

/// Checks an address without going there.
///
/// # Errors
/// A sentence that does not hold the address: a password stands in it.
pub fn check_url(url: &str) -> Result<(), UrlError> {
    parse(url).map(|_| ())
}

/// Server and schema of an address.
pub(crate) fn parse(url: &str) -> Result<(Config, Option<SchemaName>), UrlError> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let mut schema = None;
    let mut rest = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.strip_prefix("schema=") {
            Some(name) => {
                let name = SchemaName::new(name).ok_or_else(|| {
                    UrlError::new("a schema's name has lower-case letters, digits and underscores")
                })?;
                schema = Some(name);
            }
            None => rest.push(part),
        }
    }
    let address = match &rest[..] {
        [] => address.to_owned(),
        rest => format!("{address}?{}", rest.join("&")),
    };
    // The reason names the field, never the address: a password stands in it.
    let server = Config::from_str(&address).map_err(|error| UrlError::new(error.to_string()))?;
    Ok((server, schema))
}

#[cfg(test)]
mod tests {
    use super::{check_url, is_url};

    #[test]
    fn what_can_be_read_is_an_address() {
        assert!(is_url("postgres://db") && is_url("postgresql://db") && !is_url("mysql://db"));
        check_url("postgres://me:secret@db:5433/chat?schema=s&sslmode=disable").unwrap();
        for wrong in ["postgres://me:secret@db:x/chat", "postgres://me:secret@db/chat?sslmode=x"] {
            let error = check_url(wrong).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
