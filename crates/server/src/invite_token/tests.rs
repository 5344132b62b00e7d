//! Tokens and names come back from their text, and nothing else is one.

use ostracon_domain::{ConversationId, UserId};

use super::{InviteToken, NewToken, name, read_name};

#[test]
fn a_token_comes_back_from_its_text() {
    let group = ConversationId::new_group(1_700_000_000_000, [9; 10]);
    let token = NewToken::new(group).ok().unwrap().at(7);
    let text = token.text();
    assert_eq!(text.len(), 44);
    let read = InviteToken::read(&text).unwrap();
    assert!(read == token && read.hash() == token.hash());
    let other = NewToken::new(group).ok().unwrap().at(7);
    assert_ne!(other.hash(), token.hash());
    for wrong in [&text[1..], "", &format!("{text}A"), &"*".repeat(44), &"A".repeat(44)] {
        assert!(InviteToken::read(wrong).is_none(), "{wrong}");
    }
    let (alice, bob) = (UserId::new(1).unwrap(), UserId::new(2).unwrap());
    let direct = NewToken::new(ConversationId::direct(alice, bob)).ok().unwrap().at(0);
    assert!(InviteToken::read(&direct.text()).is_none(), "only of groups");
}

#[test]
fn a_name_comes_back_from_its_text() {
    let named = name(99, &[0xab; 32]);
    assert_eq!(named, "99-abababab");
    assert_eq!(read_name(&named), Some((99, [0xab; 4])));
    for wrong in ["", "-", "1", "1-", "1-abababa", "1-abababab0", "300-abababab", "+1-abababab"] {
        assert_eq!(read_name(wrong), None, "{wrong}");
    }
}
