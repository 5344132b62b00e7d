//! The address of a database as it may be shown: without its password. Not: what an address means, which its driver knows.

/// The address for people and logs: `***` stands where a password may be, also in one that cannot be read.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "***".to_owned();
    };
    let shown = match rest.rsplit_once('@') {
        Some((who, rest)) => match who.split_once(':') {
            Some((user, _)) => format!("{user}:***@{rest}"),
            None => format!("{who}@{rest}"),
        },
        None => rest.to_owned(),
    };
    let (address, query) = shown.split_once('?').unwrap_or((&shown, ""));
    let query: Vec<_> = query
        .split('&')
        .map(|part| if part.starts_with("password=") { "password=***" } else { part })
        .collect();
    let mark = if shown.contains('?') { "?" } else { "" };
    format!("{scheme}://{address}{mark}{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            ("postgres://me:secret@db:1/chat?schema=a", "postgres://me:***@db:1/chat?schema=a"),
            ("postgres://me:sec:re@t@db/chat", "postgres://me:***@db/chat"),
            ("postgres://me:se/cr?et@db/chat", "postgres://me:***@db/chat"),
            ("postgresql://me@db/chat", "postgresql://me@db/chat"),
            ("postgres://db:5432/chat", "postgres://db:5432/chat"),
            (
                "postgres://db/chat?password=secret&schema=a",
                "postgres://db/chat?password=***&schema=a",
            ),
            ("host=db password=secret", "***"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }
}
