//! What is signed, as a push service checks it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use serde_json::{Value, json};

use super::VapidKey;

const NOW: i64 = 1_800_000_000_000;

/// What a push service reads of an `Authorization`: its claims, when the signature is right.
fn checked(authorization: &str) -> Option<Value> {
    let rest = authorization.strip_prefix("vapid t=")?;
    let (token, key) = rest.split_once(", k=")?;
    let key = VerifyingKey::from_sec1_bytes(&URL_SAFE_NO_PAD.decode(key).ok()?).ok()?;
    let (signed, signature) = token.rsplit_once('.')?;
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    key.verify(signed.as_bytes(), &signature).ok()?;
    let (head, claims) = signed.split_once('.')?;
    assert_eq!(URL_SAFE_NO_PAD.decode(head).ok()?, br#"{"typ":"JWT","alg":"ES256"}"#);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

#[test]
fn a_push_service_can_check_who_sends() {
    let key = VapidKey::from_secret([7; 32]);
    let claims = checked(&key.authorization("https://push.example", "mailto:a@b.example", NOW));
    let expected = json!({"aud": "https://push.example", "exp": NOW / 1_000 + 43_200, "sub": "mailto:a@b.example"});
    assert_eq!(claims, Some(expected));
    let claims = checked(&key.authorization("https://push.example", "", NOW)).unwrap();
    assert!(claims.get("sub").is_none());
    let forged = key.authorization("https://push.example", "", NOW).replacen("t=e", "t=f", 1);
    assert_eq!(checked(&forged), None);
}

#[test]
fn the_same_secret_is_the_same_key() {
    let key = VapidKey::from_secret([7; 32]);
    assert_eq!(key.public(), VapidKey::from_secret([7; 32]).public());
    assert_ne!(key.public(), VapidKey::from_secret([8; 32]).public());
    assert_eq!(URL_SAFE_NO_PAD.decode(key.public()).unwrap().len(), 65);
    // No number of the curve, so another one is taken.
    assert_eq!(URL_SAFE_NO_PAD.decode(VapidKey::from_secret([0; 32]).public()).unwrap().len(), 65);
    VapidKey::from_secret([255; 32]);
}

#[test]
fn the_secret_is_not_printed() {
    let printed = format!("{:?}", VapidKey::from_secret([7; 32]));
    assert!(
        printed.starts_with("VapidKey { public: \"B") && printed.ends_with(", .. }"),
        "{printed}"
    );
}
