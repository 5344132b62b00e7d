//! JSON text to CBOR, as short as it gets.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{
    ARRAY, BYTES, MAP, NEGATIVE, TEXT, UNSIGNED, id,
    names::{Bases, NAMES, Rule, WORDS, number_of},
};

/// Appends one JSON value as CBOR.
///
/// # Errors
/// What the JSON reader says; `out` then ends with a torn item.
pub fn from_json(json: &[u8], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    Writer(out).deserialize(&mut reader)?;
    reader.end()
}

/// Writes what the JSON reader visits: a value without a name.
struct Writer<'a>(&'a mut Vec<u8>);

/// The value of a name.
struct Named<'a> {
    out: &'a mut Vec<u8>,
    name: &'static str,
    rule: Rule,
    bases: &'a mut Bases,
    /// Where its name begins.
    at: usize,
}

/// A name; what it is, if it is one of ours.
struct Name<'a>(&'a mut Vec<u8>);

fn head(out: &mut Vec<u8>, major: u8, n: u64) {
    let major = major << 5;
    match n {
        0..24 => out.push(major | n.to_le_bytes()[0]),
        24..0x100 => out.extend_from_slice(&[major | 24, n.to_le_bytes()[0]]),
        0x100..0x1_0000 => {
            out.push(major | 25);
            out.extend_from_slice(&n.to_be_bytes()[6..]);
        }
        0x1_0000..0x1_0000_0000 => {
            out.push(major | 26);
            out.extend_from_slice(&n.to_be_bytes()[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&n.to_be_bytes());
        }
    }
}

fn integer(out: &mut Vec<u8>, n: i64) {
    if n < 0 {
        head(out, NEGATIVE, n.unsigned_abs() - 1);
    } else {
        head(out, UNSIGNED, n.unsigned_abs());
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    head(out, TEXT, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// A text, or the bytes of a UUID.
fn plain_text(out: &mut Vec<u8>, value: &str) {
    match id::uuid(value) {
        Some(bits) => {
            head(out, BYTES, 16);
            out.extend_from_slice(&bits.to_be_bytes());
        }
        None => text(out, value),
    }
}

/// Puts the head of a container where it began, now that its length is known. Mostly it takes the one byte kept for it.
fn close(out: &mut Vec<u8>, at: usize, major: u8, count: u64) {
    let mut written = Vec::with_capacity(9);
    head(&mut written, major, count);
    out.splice(at..=at, written);
}

/// Everything but numbers and texts, which a name may say more about.
macro_rules! visit_others {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("JSON")
        }

        fn visit_unit<E>(self) -> Result<(), E> {
            self.out().push(0xf6);
            Ok(())
        }

        fn visit_bool<E>(self, value: bool) -> Result<(), E> {
            self.out().push(if value { 0xf5 } else { 0xf4 });
            Ok(())
        }

        fn visit_f64<E>(self, n: f64) -> Result<(), E> {
            let out = self.out();
            out.push(0xfb);
            out.extend_from_slice(&n.to_be_bytes());
            Ok(())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
            let out = self.out_for_array();
            let at = out.len();
            out.push(0);
            let mut count = 0;
            while seq.next_element_seed(Writer(&mut *out))?.is_some() {
                count += 1;
            }
            close(out, at, ARRAY, count);
            Ok(())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let out = self.out();
            let begin = out.len();
            out.push(0);
            let mut count = 0;
            let mut bases = Bases::default();
            loop {
                let at = out.len();
                match map.next_key_seed(Name(&mut *out))? {
                    None => break,
                    Some(Some((name, rule))) => {
                        let bases = &mut bases;
                        map.next_value_seed(Named { out: &mut *out, name, rule, bases, at })?;
                    }
                    Some(None) => map.next_value_seed(Writer(&mut *out))?,
                }
                count += 1;
            }
            close(out, begin, MAP, count);
            Ok(())
        }
    };
}

impl<'a> Writer<'a> {
    fn out(self) -> &'a mut Vec<u8> {
        self.0
    }

    fn out_for_array(self) -> &'a mut Vec<u8> {
        self.0
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    visit_others!();

    fn visit_u64<E>(self, n: u64) -> Result<(), E> {
        head(self.0, UNSIGNED, n);
        Ok(())
    }

    fn visit_i64<E>(self, n: i64) -> Result<(), E> {
        integer(self.0, n);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        plain_text(self.0, value);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<(&'static str, Rule)>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = Option<(&'static str, Rule)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        let Some(number) = number_of(name) else {
            text(self.0, name);
            return Ok(None);
        };
        head(self.0, UNSIGNED, number as u64);
        NAMES.get(number).copied().map(Some).ok_or_else(|| E::custom("names"))
    }
}

impl<'a> Named<'a> {
    fn out(self) -> &'a mut Vec<u8> {
        self.out
    }

    fn out_for_array(self) -> &'a mut Vec<u8> {
        if self.rule == Rule::Conversation {
            // As an array under this name it would mean something else.
            self.out.truncate(self.at);
            text(self.out, self.name);
        }
        self.out
    }

    /// A number under this name, counted from another where its rule says so and it can be.
    fn number(self, n: i128) {
        let Self { out, name, rule, bases, at } = self;
        if let Some(base) = bases.of(rule) {
            match i64::try_from(n).ok().and_then(|n| n.checked_sub(base)) {
                Some(difference) => integer(out, difference),
                None => {
                    // Under its name as text it is what it is.
                    out.truncate(at);
                    text(out, name);
                    absolute(out, n);
                }
            }
            return;
        }
        if matches!(rule, Rule::Digits | Rule::Word) && n >= 0 {
            // As a number under this name it would mean something else.
            out.truncate(at);
            text(out, name);
        } else if let Ok(n) = u64::try_from(n) {
            bases.note(rule, name, n);
        }
        absolute(out, n);
    }
}

fn absolute(out: &mut Vec<u8>, n: i128) {
    match u64::try_from(n) {
        Ok(n) => head(out, UNSIGNED, n),
        Err(_) => integer(out, i64::try_from(n).unwrap_or(i64::MIN)),
    }
}

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Named<'_> {
    type Value = ();

    visit_others!();

    fn visit_u64<E>(self, n: u64) -> Result<(), E> {
        self.number(n.into());
        Ok(())
    }

    fn visit_i64<E>(self, n: i64) -> Result<(), E> {
        self.number(n.into());
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        let Self { out, name, rule, bases, .. } = self;
        match rule {
            Rule::Word => {
                if let Some(number) = WORDS.iter().position(|word| *word == value) {
                    head(out, UNSIGNED, number as u64);
                    return Ok(());
                }
            }
            Rule::Digits => {
                if let Some(number) = id::digits(value) {
                    bases.note(rule, name, number);
                    head(out, UNSIGNED, number);
                    return Ok(());
                }
            }
            Rule::Conversation => {
                if let Some(users) = id::users(value) {
                    head(out, ARRAY, users.len() as u64);
                    users.into_iter().for_each(|user| head(out, UNSIGNED, user));
                    return Ok(());
                }
            }
            Rule::Plain | Rule::SinceMessage | Rule::SinceRev => {}
        }
        plain_text(out, value);
        Ok(())
    }
}
