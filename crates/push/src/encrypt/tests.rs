//! Encryption, against the example of the standard.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{DeviceKeys, EncryptError, Once, PLAIN_BYTES_MAX, encrypt};

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
}

fn device() -> DeviceKeys {
    DeviceKeys {
        p256dh: bytes(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        ),
        auth: bytes("BTBZMqHH6r4Tts7J_aSIgg"),
    }
}

fn once() -> Once {
    Once {
        key: bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
        salt: bytes("DGv6ra1nlYgDCS1FRnbzlw"),
    }
}

/// RFC 8291, section 5 and appendix A.
#[test]
fn the_example_of_the_standard_comes_out() {
    let plain = b"When I grow up, I want to be a watermelon";
    let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz\
                    AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
    let body = encrypt(plain, &device(), &once()).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(body), expected);
}

#[test]
fn what_cannot_be_encrypted_is_refused() {
    let no_point = DeviceKeys { p256dh: [4; 65], ..device() };
    assert!(!no_point.are_good() && device().are_good());
    assert_eq!(encrypt(b"x", &no_point, &once()), Err(EncryptError::DeviceKey));
    let no_key = Once { key: [0; 32], ..once() };
    assert_eq!(encrypt(b"x", &device(), &no_key), Err(EncryptError::OnceKey));
    let long = vec![b'x'; PLAIN_BYTES_MAX + 1];
    assert_eq!(encrypt(&long, &device(), &once()), Err(EncryptError::TooLong));
    assert!(encrypt(&long[1..], &device(), &once()).unwrap().len() <= 4_096);
}
