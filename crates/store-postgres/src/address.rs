//! The address of a shard, `postgres://user:password@host:port/database?schema=name`: read and checked.

use std::str::FromStr;

use tokio_postgres::Config;

use crate::{
    options::{SchemaName, UrlError},
    tls::Tls,
};

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

/// What an address names.
pub(crate) struct Address {
    /// Server, database, user.
    pub(crate) server: Config,
    pub(crate) schema: Option<SchemaName>,
    pub(crate) tls: Tls,
}

/// Reads an address, and the file of certification authorities that it may name.
pub(crate) fn parse(url: &str) -> Result<Address, UrlError> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut schema, mut mode, mut roots) = (None, None, None);
    let mut rest = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("schema", name)) => {
                let name = SchemaName::new(name).ok_or_else(|| {
                    UrlError::new("a schema's name has lower-case letters, digits and underscores")
                })?;
                schema = Some(name);
            }
            Some(("sslmode", known)) => mode = Some(known),
            Some(("sslrootcert", file)) => roots = Some(decoded(file)?),
            _ => rest.push(part),
        }
    }
    let address = match &rest[..] {
        [] => address.to_owned(),
        rest => format!("{address}?{}", rest.join("&")),
    };
    // The reason names the field, never the address: a password stands in it.
    let server = Config::from_str(&address);
    let mut server = server.map_err(|error| UrlError::new(error.to_string()))?;
    let tls = Tls::new(mode, roots.as_deref())?;
    server.ssl_mode(tls.mode());
    Ok(Address { server, schema, tls })
}

/// A part of a query with its `%` escapes read.
fn decoded(text: &str) -> Result<String, UrlError> {
    let wrong = || UrlError::new("sslrootcert is no path");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
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
