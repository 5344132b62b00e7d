//! What commands say: tables for people, JSON for programs, errors as one sentence.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// Writes a line to standard output.
///
/// # Errors
/// When nobody reads.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Unwritten)?;
    Ok(())
}

/// Standard output took no more. A type of its own: a connection that breaks is another matter, and a failure.
#[derive(Debug, thiserror::Error)]
#[error("standard output: {0}")]
struct Unwritten(io::Error);

/// Writes a value as indented JSON to a terminal, as one line to anything else.
///
/// # Errors
/// When nobody reads.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    let text = if io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)?
    } else {
        serde_json::to_string(value)?
    };
    line(text)
}

/// A text that others wrote, for a terminal: control characters are shown as `\n` or `\u{1b}` instead of obeyed.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if letter.is_control() {
            plain.extend(letter.escape_default());
        } else {
            plain.push(letter);
        }
    }
    Cow::Owned(plain)
}

/// A table without lines; columns whose number is in `right` are aligned right. Every row is one line: see [`plain`].
pub(crate) fn table(
    head: &[&str],
    right: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A number with a comma between thousands.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the largest unit that leaves a number above 1.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A time, Unix milliseconds, as `2026-01-31 12:00:00` UTC.
pub(crate) fn time(ms: i64) -> String {
    let text = ostracon_proto::timestamp::rfc3339(ms);
    text.get(..19).map_or_else(|| text.clone(), |text| text.replace('T', " "))
}

/// Writes an error with its causes to standard error.
pub(crate) fn complain(error: &anyhow::Error) {
    // Nothing can be done when even this cannot be written.
    let _ = writeln!(io::stderr(), "error: {error:#}");
}

/// A remark to standard error.
pub(crate) fn remark(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether an error is only that nobody reads any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let unwritten = error.downcast_ref::<Unwritten>();
    unwritten.is_some_and(|error| error.0.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reader_who_left_is_no_failure() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&Unwritten(broken()).into()));
        assert!(!is_broken_pipe(&broken().into()), "a server that hung up");
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(!is_broken_pipe(&Unwritten(full).into()));
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        assert_eq!(plain("Ä → b"), "Ä → b");
        assert_eq!(plain("a\n\u{1b}[2J"), "a\\n\\u{1b}[2J");
        let table = table(&["what"], &[], [vec!["two\nlines".to_owned()]]).to_string();
        assert_eq!(table.lines().count(), 2, "{table}");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_000), "1,000");
        assert_eq!(number(16_384_000), "16,384,000");
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(time(1_420_070_400_000), "2015-01-01 00:00:00");
    }
}
