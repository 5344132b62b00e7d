//! CBOR (RFC 8949) as another spelling of our JSON: every frame is turned from one into the other,
//! so that both sub-protocols have the same content by construction.
//! Not a general CBOR library: byte strings, bignums and non-text keys are refused, tags ignored.

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Deepest nesting of arrays and maps; deeper is refused. Frames need six.
pub const DEPTH_MAX: usize = 32;

/// CBOR that we do not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// Ends in the middle, has something behind its end, or breaks the format.
    #[error("not well-formed CBOR")]
    Malformed,
    /// Well-formed, but no JSON: byte strings, non-text keys, NaN and infinities.
    #[error("CBOR that has no JSON form")]
    NotJson,
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested too deeply")]
    TooDeep,
}

/// The JSON text of one CBOR item. Takes time and memory in proportion to the input: at most six
/// bytes for each of it (an escaped control character), and a few for a short float.
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

/// Appends one JSON value as CBOR. Arrays and maps have indefinite length: nothing is counted
/// before it is written.
///
/// # Errors
/// What the JSON reader says; `out` then ends with a torn item.
pub fn from_json(json: &[u8], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    Writer(out).deserialize(&mut reader)?;
    reader.end()
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const BREAK: u8 = 0xff;

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

    fn item(&mut self, depth: usize) -> Result<(), CborError> {
        let (major, info) = self.head()?;
        match major {
            UNSIGNED => {
                let n = self.argument(info)?.ok_or(CborError::Malformed)?;
                self.out.extend_from_slice(n.to_string().as_bytes());
            }
            NEGATIVE => {
                let n = self.argument(info)?.ok_or(CborError::Malformed)?;
                self.out.extend_from_slice((-1 - i128::from(n)).to_string().as_bytes());
            }
            BYTES => return Err(CborError::NotJson),
            TEXT => self.text(info)?,
            ARRAY | MAP if depth == DEPTH_MAX => return Err(CborError::TooDeep),
            ARRAY => self.many(info, b'[', b']', |me| me.item(depth + 1))?,
            MAP => self.many(info, b'{', b'}', |me| {
                match me.head()? {
                    (TEXT, info) => me.text(info)?,
                    _ => return Err(CborError::NotJson),
                }
                me.out.push(b':');
                me.item(depth + 1)
            })?,
            _ => self.simple(info)?,
        }
        Ok(())
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
            20 => return self.word("false"),
            21 => return self.word("true"),
            22 | 23 => return self.word("null"),
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
        self.word(&number.to_string())
    }

    fn word(&mut self, word: &str) -> Result<(), CborError> {
        self.out.extend_from_slice(word.as_bytes());
        Ok(())
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

/// Writes what the JSON reader visits.
struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn head(&mut self, major: u8, n: u64) {
        let major = major << 5;
        match n {
            0..24 => self.0.push(major | n.to_le_bytes()[0]),
            24..0x100 => self.0.extend_from_slice(&[major | 24, n.to_le_bytes()[0]]),
            0x100..0x1_0000 => {
                self.0.push(major | 25);
                self.0.extend_from_slice(&n.to_be_bytes()[6..]);
            }
            0x1_0000..0x1_0000_0000 => {
                self.0.push(major | 26);
                self.0.extend_from_slice(&n.to_be_bytes()[4..]);
            }
            _ => {
                self.0.push(major | 27);
                self.0.extend_from_slice(&n.to_be_bytes());
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push(0xf6);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.push(if value { 0xf5 } else { 0xf4 });
        Ok(())
    }

    fn visit_u64<E>(mut self, n: u64) -> Result<(), E> {
        self.head(UNSIGNED, n);
        Ok(())
    }

    fn visit_i64<E>(mut self, n: i64) -> Result<(), E> {
        if n < 0 {
            self.head(NEGATIVE, n.unsigned_abs() - 1);
        } else {
            self.head(UNSIGNED, n.unsigned_abs());
        }
        Ok(())
    }

    fn visit_f64<E>(self, n: f64) -> Result<(), E> {
        self.0.push(0xfb);
        self.0.extend_from_slice(&n.to_be_bytes());
        Ok(())
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        self.head(TEXT, text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.0.push(ARRAY << 5 | 31);
        while seq.next_element_seed(Writer(self.0))?.is_some() {}
        self.0.push(BREAK);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.push(MAP << 5 | 31);
        while map.next_key_seed(Writer(self.0))?.is_some() {
            map.next_value_seed(Writer(self.0))?;
        }
        self.0.push(BREAK);
        Ok(())
    }
}
