//! Numbers, texts and ids as bytes.

use ostracon_domain::{ConversationId, Millis, Slot, UserId};

/// The bytes are not an encoded row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an encoded row")]
pub struct DecodeError;

pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Times may lie before 1970 in imported data: zigzag.
    pub(super) fn time(&mut self, at: Millis) {
        self.number(((at << 1) ^ (at >> 63)) as u64);
    }

    pub(super) fn wide(&mut self, wide: u128) {
        self.0.extend_from_slice(&wide.to_be_bytes());
    }

    pub(super) fn id(&mut self, id: ConversationId) {
        self.wide(id.as_u128());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.byte(0),
            Some(value) => {
                self.byte(1);
                write(self, value);
            }
        }
    }
}

pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.0.split_first().ok_or(DecodeError)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            // Too large, or longer than it needs to be: one number has one encoding.
            if (shift == 63 && part > 1) || (shift > 0 && byte == 0) {
                return Err(DecodeError);
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(DecodeError)
    }

    pub(super) fn small(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.number()?).map_err(|_| DecodeError)
    }

    pub(super) fn slot(&mut self) -> Result<Slot, DecodeError> {
        let slot = u16::try_from(self.number()?).map_err(|_| DecodeError)?;
        Slot::new(slot).map_err(|_| DecodeError)
    }

    pub(super) fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError),
        }
    }

    pub(super) fn time(&mut self) -> Result<Millis, DecodeError> {
        let zigzag = self.number()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(DecodeError)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn wide(&mut self) -> Result<u128, DecodeError> {
        let bytes = self.take(16)?.try_into().map_err(|_| DecodeError)?;
        Ok(u128::from_be_bytes(bytes))
    }

    pub(super) fn id(&mut self) -> Result<ConversationId, DecodeError> {
        ConversationId::from_u128(self.wide()?).map_err(|_| DecodeError)
    }

    pub(super) fn user(&mut self) -> Result<UserId, DecodeError> {
        UserId::new(self.number()?).map_err(|_| DecodeError)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = usize::try_from(self.number()?).map_err(|_| DecodeError)?;
        self.take(len)
    }

    pub(super) fn str(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError)
    }

    pub(super) fn text(&mut self) -> Result<String, DecodeError> {
        Ok(self.str()?.to_owned())
    }

    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }
}
