//! Rust text with comments and the contents of literals blanked, lines and columns kept, so that a
//! search finds code only. It is not a parser; macros count as code.

/// Blanks comments, strings and characters. The result has the same number of bytes and lines.
pub(super) fn mask(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end > at {
            for byte in &mut out[at..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
            at = end;
        } else {
            at += 1;
        }
    }
    // Only whole literals and comments were blanked, each of which ends at a character border.
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment or literal that starts at `at` ends; `at` itself when there is none.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let in_word = at > 0 && is_word(bytes[at - 1]);
    if rest.starts_with(b"//") {
        at + position(rest, b"\n").unwrap_or(rest.len())
    } else if rest.starts_with(b"/*") {
        at + block_comment(rest)
    } else if rest[0] == b'"' {
        at + quoted(rest, b'"')
    } else if rest[0] == b'\'' {
        at + character(rest)
    } else if !in_word && let Some(length) = raw_string(rest) {
        at + length
    } else {
        at
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn position(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// Block comments nest.
fn block_comment(bytes: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn quoted(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A character literal, or 0 for a lifetime.
fn character(bytes: &[u8]) -> usize {
    if bytes.get(1) == Some(&b'\\') {
        return quoted(bytes, b'\'');
    }
    // One character of one to four bytes, then the closing quote.
    match bytes.iter().skip(2).take(4).position(|byte| *byte == b'\'') {
        Some(0) => 3,
        Some(more) if !bytes[1].is_ascii() => more + 3,
        _ => 0,
    }
}

/// `r"…"`, `r#"…"#`, also with `b` or `c` before it.
fn raw_string(bytes: &[u8]) -> Option<usize> {
    let start = match bytes {
        [b'r', ..] => 1,
        [b'b' | b'c', b'r', ..] => 2,
        _ => return None,
    };
    let hashes = bytes[start..].iter().take_while(|byte| **byte == b'#').count();
    let open = start + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.extend(std::iter::repeat_n(b'#', hashes));
    let length = position(&bytes[open + 1..], &close).map(|at| open + 1 + at + close.len());
    Some(length.unwrap_or(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::mask;

    fn check(source: &str, expect: &str) {
        let got = mask(source);
        assert_eq!(got.len(), source.len(), "{source}");
        let words: Vec<&str> = got.split_whitespace().collect();
        assert_eq!(words.join(" "), expect, "{source}");
    }

    #[test]
    fn only_code_is_left() {
        check("a // b\nc", "a c");
        check("a /* b /* c */ d */ e", "a e");
        check(r#"f("x // y", 'z', b'\'', "\"q")"#, "f( , , b , )");
        check(r##"f(r#"a "b" c"#, br"d", bar"e")"##, "f( , , bar )");
        check("fn f<'a>(x: &'a str) -> Cow<'a, str>", "fn f<'a>(x: &'a str) -> Cow<'a, str>");
        check("('ä', '𝄞', 'static)", "( , , 'static)");
        check("a \"open", "a");
        check("a /* open", "a");
        check("\"two\nlines\" b", "b");
    }
}
