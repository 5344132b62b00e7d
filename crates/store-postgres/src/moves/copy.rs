//! Rows in the binary form of COPY, the fastest way into a table: no statement is planned for them, and neither their
//! columns nor their conflicts are looked at one by one.

use std::pin::Pin;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::CopyInSink;
use uuid::Uuid;

use super::Result;
use crate::session::Session;

/// Signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const NO_VALUE: i32 = -1;
const END: i16 = -1;
/// Rows are sent in pieces, so that the server works while more are written.
const PIECE: usize = 64 * 1024;

/// A value of a column.
pub(super) trait Field {
    /// Appends its length and its bytes.
    fn put(&self, to: &mut BytesMut);
}

impl Field for i64 {
    fn put(&self, to: &mut BytesMut) {
        to.put_i32(8);
        to.put_i64(*self);
    }
}

impl Field for u64 {
    /// As the columns keep numbers without sign.
    fn put(&self, to: &mut BytesMut) {
        (*self as i64).put(to);
    }
}

impl Field for i16 {
    fn put(&self, to: &mut BytesMut) {
        to.put_i32(2);
        to.put_i16(*self);
    }
}

impl Field for bool {
    fn put(&self, to: &mut BytesMut) {
        to.put_i32(1);
        to.put_u8(u8::from(*self));
    }
}

impl Field for Uuid {
    fn put(&self, to: &mut BytesMut) {
        self.as_bytes()[..].put(to);
    }
}

impl Field for [u8] {
    fn put(&self, to: &mut BytesMut) {
        // Longer values than the protocol can name are longer than any column may be: the server refuses the length.
        to.put_i32(i32::try_from(self.len()).unwrap_or(i32::MAX));
        to.put_slice(self);
    }
}

impl Field for Vec<u8> {
    fn put(&self, to: &mut BytesMut) {
        self[..].put(to);
    }
}

impl Field for str {
    fn put(&self, to: &mut BytesMut) {
        self.as_bytes().put(to);
    }
}

impl Field for String {
    fn put(&self, to: &mut BytesMut) {
        self.as_bytes().put(to);
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, to: &mut BytesMut) {
        match self {
            Some(value) => value.put(to),
            None => to.put_i32(NO_VALUE),
        }
    }
}

/// Appends a row.
pub(super) fn put_row(fields: &[&dyn Field], to: &mut BytesMut) {
    to.put_i16(fields.len() as i16);
    fields.iter().for_each(|field| field.put(to));
}

/// A COPY that runs. Dropped before its end, it takes its connection along.
pub(super) struct Copy {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    buffer: BytesMut,
}

impl Copy {
    /// Begins a `COPY … FROM STDIN (FORMAT binary)`.
    pub(super) async fn begin(session: &Session, sql: &str) -> Result<Self> {
        let statement = session.prepare(sql).await?;
        let sink = Box::pin(session.copy(&statement).await?);
        let mut buffer = BytesMut::with_capacity(2 * PIECE);
        buffer.put_slice(HEADER);
        Ok(Self { sink, buffer })
    }

    /// Writes a row, its fields in the order of the statement's columns.
    pub(super) async fn push(&mut self, write: impl FnOnce(&mut BytesMut)) -> Result<()> {
        write(&mut self.buffer);
        if self.buffer.len() >= PIECE {
            self.sink.send(self.buffer.split().freeze()).await?;
        }
        Ok(())
    }

    /// All rows are there when this returns.
    pub(super) async fn end(mut self) -> Result<()> {
        self.buffer.put_i16(END);
        self.sink.send(self.buffer.split().freeze()).await?;
        self.sink.as_mut().finish().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use uuid::Uuid;

    use super::put_row;

    #[test]
    fn a_row_is_what_the_protocol_says() {
        let mut bytes = BytesMut::new();
        let id = Uuid::from_u128(0x0102);
        put_row(
            &[&1i16, &-2i64, &true, &id, &"é".to_owned(), &None::<i64>, &Some(3i64)],
            &mut bytes,
        );
        let mut expected = vec![0, 7];
        expected.extend([0, 0, 0, 2, 0, 1]);
        expected.extend([0, 0, 0, 8, 255, 255, 255, 255, 255, 255, 255, 254]);
        expected.extend([0, 0, 0, 1, 1]);
        expected.extend([0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        expected.extend([0, 0, 0, 2, 0xc3, 0xa9]);
        expected.extend([255, 255, 255, 255]);
        expected.extend([0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(bytes[..], expected[..]);
    }
}
