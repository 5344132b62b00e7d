//! CBOR to JSON text, both what is short and what is plain.

use super::{
    ARRAY, BREAK, BYTES, CborError, DEPTH_MAX, MAP, NEGATIVE, TAG, TEXT, UNSIGNED, id,
    names::{Bases, NAMES, Rule, WORDS},
};

/// The JSON text of one CBOR item. Takes time and memory in proportion to the input: at most some
/// twenty bytes for each of it (a name that is a number), and a few for a short float.
///
/// # Errors
/// [`CborError`]; never panics, whatever the input.
pub fn to_json(cbor: &[u8]) -> Result<String, CborError> {
    let mut reader = Reader { rest: cbor, out: Vec::with_capacity(cbor.len() * 2) };
    reader.item(0)?;
    if !reader.rest.is_empty() {
        return Err(CborError::Malformed);
    }
    String::from_utf8(reader.out).map_err(|_| CborError::Malformed)
}

struct Reader<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: u64) -> Result<&'a [u8], CborError> {
        let n = usize::try_from(n).map_err(|_| CborError::Malformed)?;
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(CborError::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, CborError> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    /// The number behind an initial byte; `None` for an indefinite length.
    fn argument(&mut self, info: u8) -> Result<Option<u64>, CborError> {
        let width = match info {
            0..=23 => return Ok(Some(info.into())),
            24..=27 => 1 << (info - 24),
            31 => return Ok(None),
            _ => return Err(CborError::Malformed),
        };
        Ok(Some(self.take(width)?.iter().fold(0, |n, b| (n << 8) | u64::from(*b))))
    }

    /// Whether the break of an indefinite item is next; it is consumed.
    fn at_break(&mut self) -> bool {
        let found = self.rest.first() == Some(&BREAK);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    /// One item.
    fn item(&mut self, depth: usize) -> Result<(), CborError> {
        let head = self.head()?;
        self.rest_of_item(head, depth, Rule::Plain)
    }

    /// What follows the head of an item, as the rule of its name says.
    fn rest_of_item(
        &mut self,
        (major, info): (u8, u8),
        depth: usize,
        rule: Rule,
    ) -> Result<(), CborError> {
        match (major, rule) {
            (UNSIGNED | NEGATIVE, _) => {
                let n = self.integer(major, info)?;
                self.number_as(n, rule)?;
            }
            (BYTES, _) => {
                let n = self.argument(info)?.ok_or(CborError::NotJson)?;
                let text = id::uuid_text(self.take(n)?).ok_or(CborError::NotJson)?;
                self.quoted(&text);
            }
            (TEXT, _) => self.text(info)?,
            (ARRAY, Rule::Conversation) => self.direct(info)?,
            (ARRAY | MAP, _) if depth == DEPTH_MAX => return Err(CborError::TooDeep),
            (ARRAY, _) => self.many(info, b'[', b']', |me| me.item(depth + 1))?,
            (MAP, _) => {
                let mut bases = Bases::default();
                self.many(info, b'{', b'}', |me| me.entry(depth + 1, &mut bases))?;
            }
            _ => self.simple(info)?,
        }
        Ok(())
    }

    /// A name and its value. The rules are those of names that are numbers.
    fn entry(&mut self, depth: usize, bases: &mut Bases) -> Result<(), CborError> {
        let (name, rule) = match self.head()? {
            (TEXT, info) => {
                self.text(info)?;
                ("", Rule::Plain)
            }
            (UNSIGNED, info) => {
                let n = self.argument(info)?.ok_or(CborError::Malformed)?;
                let known = usize::try_from(n).ok().and_then(|n| NAMES.get(n));
                let (name, rule) = *known.ok_or(CborError::NotJson)?;
                self.quoted(name);
                (name, rule)
            }
            _ => return Err(CborError::NotJson),
        };
        self.out.push(b':');
        let (major, info) = self.head()?;
        if !matches!(major, UNSIGNED | NEGATIVE) {
            return self.rest_of_item((major, info), depth, rule);
        }
        let n = self.integer(major, info)?;
        if let Some(base) = bases.of(rule) {
            let sum = n.checked_add(base.into()).and_then(|sum| i64::try_from(sum).ok());
            return self.number_as(sum.ok_or(CborError::NotJson)?.into(), Rule::Plain);
        }
        if let Ok(n) = u64::try_from(n) {
            bases.note(rule, name, n);
        }
        self.number_as(n, rule)
    }

    fn number_as(&mut self, n: i128, rule: Rule) -> Result<(), CborError> {
        match (rule, usize::try_from(n)) {
            (Rule::Word, Ok(n)) => {
                let word = WORDS.get(n).ok_or(CborError::NotJson)?;
                self.quoted(word);
            }
            (Rule::Digits, Ok(_)) => self.quoted(&n.to_string()),
            _ => self.word(&n.to_string()),
        }
        Ok(())
    }

    /// Both users of a direct conversation.
    fn direct(&mut self, info: u8) -> Result<(), CborError> {
        if self.argument(info)? != Some(2) {
            return Err(CborError::NotJson);
        }
        let mut users = [0; 2];
        for user in &mut users {
            *user = match self.head()? {
                (UNSIGNED, info) => self.argument(info)?.ok_or(CborError::Malformed)?,
                _ => return Err(CborError::NotJson),
            };
        }
        self.quoted(&id::direct_text(users).ok_or(CborError::NotJson)?);
        Ok(())
    }

    fn integer(&mut self, major: u8, info: u8) -> Result<i128, CborError> {
        let n = i128::from(self.argument(info)?.ok_or(CborError::Malformed)?);
        Ok(if major == NEGATIVE { -1 - n } else { n })
    }

    /// A text that needs no escaping.
    fn quoted(&mut self, text: &str) {
        self.out.push(b'"');
        self.word(text);
        self.out.push(b'"');
    }

    /// The next initial byte, split; tags before it mean nothing to us.
    fn head(&mut self) -> Result<(u8, u8), CborError> {
        loop {
            let initial = self.byte()?;
            let (major, info) = (initial >> 5, initial & 31);
            if major != TAG {
                return Ok((major, info));
            }
            self.argument(info)?.ok_or(CborError::Malformed)?;
        }
    }

    fn many(
        &mut self,
        info: u8,
        open: u8,
        close: u8,
        mut one: impl FnMut(&mut Self) -> Result<(), CborError>,
    ) -> Result<(), CborError> {
        let count = self.argument(info)?;
        self.out.push(open);
        let mut done = 0;
        // A claimed count costs nothing: every element needs at least one byte that is really there.
        while count.map_or_else(|| !self.at_break(), |count| done < count) {
            if done > 0 {
                self.out.push(b',');
            }
            one(self)?;
            done += 1;
        }
        self.out.push(close);
        Ok(())
    }

    fn text(&mut self, info: u8) -> Result<(), CborError> {
        let text = match self.argument(info)? {
            Some(n) => std::borrow::Cow::Borrowed(utf8(self.take(n)?)?),
            None => {
                let mut whole = String::new();
                while !self.at_break() {
                    let initial = self.byte()?;
                    if initial >> 5 != TEXT {
                        return Err(CborError::Malformed);
                    }
                    let n = self.argument(initial & 31)?.ok_or(CborError::Malformed)?;
                    whole.push_str(utf8(self.take(n)?)?);
                }
                std::borrow::Cow::Owned(whole)
            }
        };
        serde_json::to_writer(&mut self.out, &text).map_err(|_| CborError::Malformed)
    }

    fn simple(&mut self, info: u8) -> Result<(), CborError> {
        let float = match info {
            20..=23 => {
                self.word(["false", "true", "null", "null"][usize::from(info - 20)]);
                return Ok(());
            }
            25 => half(self.number()?),
            26 => f32::from_bits(self.number()?).into(),
            27 => f64::from_bits(self.number()?),
            0..=19 => return Err(CborError::NotJson),
            24 => {
                self.byte()?;
                return Err(CborError::NotJson);
            }
            _ => return Err(CborError::Malformed),
        };
        let number = serde_json::Number::from_f64(float).ok_or(CborError::NotJson)?;
        self.word(&number.to_string());
        Ok(())
    }

    fn word(&mut self, word: &str) {
        self.out.extend_from_slice(word.as_bytes());
    }

    fn number<T: FromBigEndian>(&mut self) -> Result<T, CborError> {
        let bytes = self.take(size_of::<T>() as u64)?;
        Ok(T::from_big_endian(bytes))
    }
}

trait FromBigEndian {
    fn from_big_endian(bytes: &[u8]) -> Self;
}

macro_rules! big_endian {
    ($($number:ty),+) => {$(
        impl FromBigEndian for $number {
            fn from_big_endian(bytes: &[u8]) -> Self {
                bytes.iter().fold(0, |n, b| (n << 8) | Self::from(*b))
            }
        }
    )+};
}
big_endian!(u16, u32, u64);

fn utf8(bytes: &[u8]) -> Result<&str, CborError> {
    std::str::from_utf8(bytes).map_err(|_| CborError::Malformed)
}

/// A float of 16 bits: sign, five bits of exponent, ten of mantissa.
fn half(bits: u16) -> f64 {
    let exponent = i32::from(bits >> 10 & 31);
    let mantissa = f64::from(bits & 0x3ff);
    let size = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + mantissa) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}
