//! Stories of headers: files made by hand, and files that lie.

use std::io::Write as _;

use proptest::{collection::vec, prelude::*};

use super::*;

fn of(kind: Kind, bytes: &[u8]) -> Facts {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    facts(kind, Source::new(&file, bytes.len() as u64))
}

fn plays(ms: u64) -> Facts {
    Facts { duration_ms: Some(ms), ..Facts::default() }
}

fn atom(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes(), name.as_slice(), content].concat()
}

fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    let length = ((1 << 56) | content.len() as u64).to_be_bytes();
    [id, &length, content].concat()
}

fn wav() -> Vec<u8> {
    let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0\x01\0".to_vec();
    bytes.extend_from_slice(&8_000u32.to_le_bytes());
    bytes.extend_from_slice(&16_000u32.to_le_bytes());
    bytes.extend_from_slice(&[2, 0, 16, 0]);
    bytes.extend_from_slice(b"data\x80\x3e\0\0");
    bytes.resize(bytes.len() + 16_000, 0);
    bytes
}

fn mp4() -> Vec<u8> {
    let mut head = vec![0; 12];
    head.extend_from_slice(&600u32.to_be_bytes());
    head.extend_from_slice(&1_500u32.to_be_bytes());
    let mut track = vec![0; 40];
    for number in [0u32, 0x1_0000, 0, 0xffff_0000, 0, 0, 0, 0, 0x4000_0000] {
        track.extend_from_slice(&number.to_be_bytes());
    }
    track.extend_from_slice(&(1_920u32 << 16).to_be_bytes());
    track.extend_from_slice(&(1_080u32 << 16).to_be_bytes());
    let trak = atom(b"trak", &atom(b"tkhd", &track));
    let moov = atom(b"moov", &[atom(b"mvhd", &head), trak].concat());
    [atom(b"ftyp", b"isom"), atom(b"mdat", &[0; 100]), moov].concat()
}

fn webm() -> Vec<u8> {
    let info = [
        element(b"\x2a\xd7\xb1", &1_000_000u32.to_be_bytes()),
        element(b"\x44\x89", &2_500f64.to_be_bytes()),
    ]
    .concat();
    let video = [element(b"\xb0", &[5, 0]), element(b"\xba", &[2, 208])].concat();
    let tracks = element(b"\xae", &element(b"\xe0", &video));
    let segment = [element(b"\x15\x49\xa9\x66", &info), element(b"\x16\x54\xae\x6b", &tracks)];
    [element(b"\x1a\x45\xdf\xa3", b"webm"), element(b"\x18\x53\x80\x67", &segment.concat())]
        .concat()
}

fn opus() -> Vec<u8> {
    let page = |place: u64, content: &[u8]| {
        let mut page = b"OggS\0\0".to_vec();
        page.extend_from_slice(&place.to_le_bytes());
        page.extend_from_slice(&[9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, content.len() as u8]);
        page.extend_from_slice(content);
        page
    };
    let head = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0";
    [page(0, head), page(48_000 * 3 + 312, &[1; 200]), page(u64::MAX, &[2; 9])].concat()
}

fn flac() -> Vec<u8> {
    let mut bytes = b"fLaC\0\0\0\x22".to_vec();
    bytes.extend_from_slice(&[0; 10]);
    bytes.extend_from_slice(&(44_100u64 << 44 | 1 << 41 | 15 << 36 | 88_200).to_be_bytes());
    bytes.resize(bytes.len() + 16, 0);
    bytes
}

fn mp3(info: bool) -> Vec<u8> {
    let mut bytes = b"ID3\x03\0\0\0\0\0\x0a0123456789\xff\xfb\x90\x00".to_vec();
    bytes.resize(bytes.len() + 32, 0);
    if info {
        bytes.extend_from_slice(b"Xing\0\0\0\x01");
        bytes.extend_from_slice(&1_000u32.to_be_bytes());
    }
    bytes.resize(20 + 16_000, 0);
    bytes
}

#[test]
fn durations_are_read_from_headers() {
    assert_eq!(of(Kind::Wav, &wav()), plays(1_000));
    assert_eq!(of(Kind::Flac, &flac()), plays(2_000));
    assert_eq!(of(Kind::Ogg, &opus()), plays(3_000));
    assert_eq!(of(Kind::Mp3, &mp3(true)), plays(26_122));
    assert_eq!(of(Kind::Mp3, &mp3(false)), plays(1_000));
    // Turned by a quarter.
    let video = Facts { duration_ms: Some(2_500), width: Some(1_080), height: Some(1_920) };
    assert_eq!(of(Kind::Mp4, &mp4()), video);
    let video = Facts { duration_ms: Some(2_500), width: Some(1_280), height: Some(720) };
    assert_eq!(of(Kind::Webm, &webm()), video);
}

fn one_of_each() -> Vec<(Kind, Vec<u8>)> {
    vec![
        (Kind::Wav, wav()),
        (Kind::Flac, flac()),
        (Kind::Ogg, opus()),
        (Kind::Mp3, mp3(true)),
        (Kind::Mp4, mp4()),
        (Kind::Webm, webm()),
    ]
}

#[test]
fn headers_that_are_cut_off_say_nothing() {
    for (kind, bytes) in one_of_each() {
        for cut in 0..bytes.len().min(600) {
            of(kind, &bytes[..cut]);
        }
    }
}

proptest! {
    #[test]
    fn fuzz_bent_headers_never_panic(
        which in 0..6usize,
        bends in vec((0..400usize, any::<u8>()), 1..6),
    ) {
        let (kind, mut bent) = one_of_each().swap_remove(which);
        for (at, byte) in bends {
            let at = at % bent.len();
            bent[at] = byte;
        }
        let facts = of(kind, &bent);
        assert!(facts.duration_ms.is_none_or(|ms| ms <= DURATION_MS_MAX));
    }
}
