//! Entry points for fuzzing: any bytes at all must come back without a panic, in time and memory
//! proportional to their length.

use crate::{
    Encoding, ErrorObject, Position,
    cursor::{ChatListCursor, Cursor, MembersCursor, SyncCursor},
    frame::{ClientFrame, FrameError, ServerFrame},
    query::Query,
    rest::{MessagesQuery, SyncQuery},
};

/// Reads the bytes as a client frame and a server frame in both encodings.
pub fn fuzz_decode(data: &[u8]) {
    for encoding in Encoding::ALL {
        let Ok(text) = encoding.text(data) else {
            continue;
        };
        match ClientFrame::decode(&text) {
            Ok(ClientFrame { id: Some(id), .. })
            | Err(FrameError::Refused { id: Some(id), .. }) => {
                let mut echo = Vec::new();
                crate::frame::encode::frame_into(
                    &mut echo,
                    encoding,
                    Some(&id),
                    &ErrorObject::new(crate::ErrorCode::Invalid, ""),
                );
                debug_assert!(encoding.text(&echo).is_ok(), "an echoed id must stay readable");
            }
            _ => {}
        }
        let _ = ServerFrame::decode(&text);
    }
}

/// Reads the bytes as every kind of cursor, position and query; what is read must be written back
/// as it was.
pub fn fuzz_cursor(data: &[u8]) {
    fn back<C: Cursor>(text: &str) {
        if let Ok(cursor) = C::decode(text) {
            assert_eq!(cursor.encode(), text, "one cursor, one spelling");
        }
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    back::<SyncCursor>(text);
    back::<ChatListCursor>(text);
    back::<MembersCursor>(text);
    let _ = Position::parse("before", text);
    let _ = MessagesQuery::read(Query::new(text));
    let _ = SyncQuery::read(Query::new(text));
}
