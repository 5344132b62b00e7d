//! Stories of first bytes.

use super::*;

#[test]
fn types_are_told_by_their_first_bytes() {
    let mp4 = |brand: &str| [b"\0\0\0\x18ftyp", brand.as_bytes(), b"\0\0\0\0"].concat();
    for (bytes, mime) in [
        (b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec(), "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n".to_vec(), "image/png"),
        (b"GIF89a".to_vec(), "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ".to_vec(), "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ".to_vec(), "audio/wav"),
        (b"ID3\x03".to_vec(), "audio/mpeg"),
        (b"\xff\xfb\x90\x00".to_vec(), "audio/mpeg"),
        (b"fLaC".to_vec(), "audio/flac"),
        (b"OggS".to_vec(), "audio/ogg"),
        (mp4("isom"), "video/mp4"),
        (mp4("M4A "), "audio/mp4"),
        (mp4("qt  "), "video/quicktime"),
        (mp4("heic"), "image/heic"),
        (mp4("avif"), "image/avif"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm".to_vec(), "video/webm"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska".to_vec(), "video/x-matroska"),
        (b"%PDF-1.7".to_vec(), "application/pdf"),
        (b"PK\x03\x04".to_vec(), "application/zip"),
        (b"MZ\x90\0".to_vec(), "application/octet-stream"),
        (b"\x7fELF".to_vec(), "application/octet-stream"),
        ("Привет, мир\n".as_bytes().to_vec(), "text/plain"),
        (b"<?xml version='1.0'?><svg xmlns='x'/>".to_vec(), "image/svg+xml"),
        (b"\xef\xbb\xbf  <SVG onload=x>".to_vec(), "image/svg+xml"),
        (b"just words <script>alert(1)</script>".to_vec(), "text/html"),
        (b"\x80\x81<html>".to_vec(), "text/html"),
        (b"a\0b".to_vec(), "application/octet-stream"),
    ] {
        assert_eq!(sniff(&bytes).mime(), mime, "{bytes:?}");
    }
}

#[test]
fn a_cut_character_is_still_text() {
    let long = "я".repeat(HEAD);
    assert_eq!(sniff(&long.as_bytes()[..HEAD - 1]), Kind::Text);
}

#[test]
fn drawings_that_do_more_are_found() {
    for svg in [
        "<svg><script>alert(1)</script></svg>",
        "<svg><svg:script/></svg>",
        "<svg onload = 'x'>",
        "<svg/onload=x>",
        "<svg><a href='java\tscript:alert(1)'>",
        "<svg><foreignObject/></svg>",
        "<!DOCTYPE svg [<!ENTITY x 'y'>]><svg/>",
        "<svg a=\"b\"onclick=\"x\">",
    ] {
        assert!(is_svg_active(svg), "{svg}");
    }
    for svg in [
        "<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0'/></svg>",
        "<!DOCTYPE svg><svg><text>on = off</text><title>Button on</title></svg>",
    ] {
        assert!(!is_svg_active(svg), "{svg}");
    }
}

#[test]
fn what_may_be_shown_in_place_is_listed() {
    for mime in ["image/jpeg", "video/mp4", "audio/ogg", "text/plain"] {
        assert!(Kind::is_inline(mime) && !Kind::is_active(mime), "{mime}");
    }
    for mime in ["image/svg+xml", "text/html", "application/pdf", "application/zip", "image/heic"] {
        assert!(!Kind::is_inline(mime), "{mime}");
    }
}
