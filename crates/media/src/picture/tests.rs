//! Stories of pictures: what is left of them, how they are turned, which are refused.

use image::{Rgb, RgbImage, Rgba, RgbaImage};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

const LIMITS: PictureLimits = PictureLimits { pixels_max: 1_000_000 };

fn stripes(width: u32, height: u32) -> DynamicImage {
    // Red above, blue below.
    let colour = |_, y| if y < height / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) };
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, colour))
}

fn png(image: &DynamicImage) -> Vec<u8> {
    encode_png(image, None).unwrap()
}

/// An EXIF block that says how to turn, with a place on earth and a word to look for.
fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    tiff.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0, 0]);
    tiff.extend_from_slice(b"SECRET-PLACE");
    tiff
}

fn jpeg_with_exif(image: &DynamicImage, orientation: u8) -> Vec<u8> {
    let plain = encode_jpeg(image, 95, None).unwrap();
    let block = [b"Exif\0\0".as_slice(), &exif(orientation)].concat();
    let length = (block.len() as u16 + 2).to_be_bytes();
    [&plain[..2], &[0xff, 0xe1], &length, &block, &plain[2..]].concat()
}

fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = 0xffff_ffffu32;
    for byte in kind.iter().chain(data) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    [&(data.len() as u32).to_be_bytes(), kind.as_slice(), data, &(!crc).to_be_bytes()].concat()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn refusal(kind: Kind, bytes: &[u8]) -> String {
    match clean(kind, bytes, LIMITS) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_photograph_is_turned_and_cleaned() {
    let sent = jpeg_with_exif(&stripes(80, 40), 6);
    assert!(contains(&sent, b"SECRET-PLACE"));
    let sent = [sent.as_slice(), b"PK\x03\x04 an archive behind it"].concat();
    let picture = clean(Kind::Jpeg, &sent, LIMITS).unwrap();
    assert_eq!((picture.width, picture.height), (40, 80));
    assert!(!contains(&picture.bytes, b"SECRET-PLACE") && !contains(&picture.bytes, b"archive"));
    let shown = image::load_from_memory(&picture.bytes).unwrap().to_rgb8();
    // Turned clockwise: what was above is at the right.
    assert!(shown.get_pixel(35, 40).0[0] > 200 && shown.get_pixel(5, 40).0[2] > 200);
    assert!(!picture.thumbhash.is_empty());
}

#[test]
fn the_small_picture_keeps_the_shape() {
    let picture = clean(Kind::Png, &png(&stripes(1_000, 500)), LIMITS).unwrap();
    let small = image::load_from_memory(&picture.thumbnail).unwrap();
    assert_eq!(small.dimensions(), (320, 160));
    assert!(picture.thumbnail.starts_with(&[0xff, 0xd8]));
    let tiny = clean(Kind::Png, &png(&stripes(3, 2)), LIMITS).unwrap();
    assert_eq!(image::load_from_memory(&tiny.thumbnail).unwrap().dimensions(), (3, 2));
    let clear = DynamicImage::ImageRgba8(RgbaImage::from_pixel(9, 9, Rgba([1, 2, 3, 9])));
    let clear = clean(Kind::Png, &png(&clear), LIMITS).unwrap();
    assert!(clear.thumbnail.starts_with(b"\x89PNG"));
}

#[test]
fn a_png_keeps_what_draws_it() {
    let plain = png(&stripes(20, 10));
    let more =
        [png_chunk(b"tEXt", b"Comment\0SECRET-PLACE"), png_chunk(b"eXIf", &exif(1))].concat();
    let sent = [&plain[..33], &more, &plain[33..], b"<script>tail</script>"].concat();
    let picture = clean(Kind::Png, &sent, LIMITS).unwrap();
    assert_eq!(picture.bytes, plain);
    let turned = [&plain[..33], &png_chunk(b"eXIf", &exif(8)), &plain[33..]].concat();
    let picture = clean(Kind::Png, &turned, LIMITS).unwrap();
    assert_eq!((picture.width, picture.height), (10, 20));
    assert!(!contains(&picture.bytes, b"eXIf"));
}

#[test]
fn an_animation_keeps_its_frames() {
    let mut plain = Vec::new();
    {
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut plain);
        encoder.set_repeat(image::codecs::gif::Repeat::Infinite).unwrap();
        for shade in [10, 200] {
            let frame = RgbaImage::from_pixel(8, 8, Rgba([shade, 0, 0, 255]));
            encoder.encode_frame(image::Frame::new(frame)).unwrap();
        }
    }
    let comment = b"\x21\xfe\x0cSECRET-PLACE\0";
    let table = 13 + gif_table(plain[10]);
    let sent = [&plain[..table], comment, &plain[table..], b"PK\x03\x04"].concat();
    let picture = clean(Kind::Gif, &sent, LIMITS).unwrap();
    assert_eq!(picture.bytes, plain);
    assert_eq!((picture.width, picture.height), (8, 8));
}

const fn gif_table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

#[test]
fn a_webp_keeps_what_draws_it() {
    let mut plain = Vec::new();
    let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut plain);
    stripes(16, 12).write_with_encoder(encoder).unwrap();
    let exif = exif(1);
    let mut sent = plain.clone();
    sent.extend_from_slice(b"EXIF");
    sent.extend_from_slice(&(exif.len() as u32).to_le_bytes());
    sent.extend_from_slice(&exif);
    let size = (sent.len() as u32 - 8).to_le_bytes();
    sent[4..8].copy_from_slice(&size);
    sent.extend_from_slice(b"behind it");
    let picture = clean(Kind::Webp, &sent, LIMITS).unwrap();
    assert_eq!(picture.bytes, plain);
    assert_eq!((picture.width, picture.height), (16, 12));
}

#[test]
fn what_is_cut_off_or_damaged_is_refused() {
    let jpeg = encode_jpeg(&stripes(200, 100), 90, None).unwrap();
    for cut in [3, 20, 200, jpeg.len() / 2, jpeg.len() - 2] {
        assert!(refusal(Kind::Jpeg, &jpeg[..cut]).contains("cannot be read"), "{cut}");
    }
    let png = png(&stripes(200, 100));
    for cut in [8, 30, 60, png.len() / 2, png.len() - 1] {
        assert!(refusal(Kind::Png, &png[..cut]).contains("cannot be read"), "{cut}");
    }
    let mut bent = png.clone();
    bent[60] ^= 0xff;
    assert!(refusal(Kind::Png, &bent).contains("cannot be read"));
    assert!(refusal(Kind::Gif, b"GIF89a/*").contains("cannot be read"));
    assert!(refusal(Kind::Webp, b"RIFF\xff\xff\xff\x7fWEBPVP8 ").contains("cannot be read"));
}

#[test]
fn bombs_are_refused_before_they_are_decoded() {
    // 50,000 x 50,000 pixels in some bytes.
    let side = 50_000u32.to_be_bytes();
    let head = [side.as_slice(), &side, &[8, 6, 0, 0, 0]].concat();
    let bomb = [
        b"\x89PNG\r\n\x1a\n".as_slice(),
        &png_chunk(b"IHDR", &head),
        &png_chunk(b"IDAT", b"\x78\x9c\x63\0\0\0\x01\0\x01"),
        &png_chunk(b"IEND", b""),
    ]
    .concat();
    assert!(refusal(Kind::Png, &bomb).contains("50000 x 50000 pixels"));
    let large = encode_jpeg(&stripes(1_100, 1_000), 50, None).unwrap();
    assert!(refusal(Kind::Jpeg, &large).contains("pixels"));
    // A GIF of a large canvas with many tiny frames.
    let mut gif = b"GIF89a\xe8\x03\xe8\x03\0\0\0".to_vec();
    for _ in 0..17 {
        gif.extend_from_slice(b"\x2c\0\0\0\0\x01\0\x01\0\x80\0\0\0\xff\xff\xff\x02\x02\x44\x01\0");
    }
    gif.push(0x3b);
    assert!(refusal(Kind::Gif, &gif).contains("frames: 17"));
    // A progressive JPEG of endless scans.
    let mut scans = b"\xff\xd8".to_vec();
    for _ in 0..70 {
        scans.extend_from_slice(b"\xff\xda\0\x02");
    }
    assert!(refusal(Kind::Jpeg, &scans).contains("scans"));
}

/// One small picture of each kind.
fn sound() -> Vec<(Kind, Vec<u8>)> {
    let gray = DynamicImage::ImageLuma8(stripes(30, 20).to_luma8());
    let mut webp = Vec::new();
    stripes(16, 12)
        .write_with_encoder(image::codecs::webp::WebPEncoder::new_lossless(&mut webp))
        .unwrap();
    let mut gif = Vec::new();
    image::codecs::gif::GifEncoder::new(&mut gif)
        .encode_frame(image::Frame::new(stripes(9, 9).to_rgba8()))
        .unwrap();
    vec![
        (Kind::Jpeg, jpeg_with_exif(&gray, 3)),
        (Kind::Png, png(&stripes(30, 20))),
        (Kind::Webp, webp),
        (Kind::Gif, gif),
    ]
}

proptest! {
    /// Taken or refused, but it ends.
    #[test]
    fn fuzz_bent_pictures_never_panic(
        which in 0..4usize,
        bends in vec((any::<Index>(), any::<u8>()), 1..5),
        cut in 0..3usize,
    ) {
        let (kind, mut bent) = sound().swap_remove(which);
        for (at, byte) in bends {
            let at = at.index(bent.len());
            bent[at] = byte;
        }
        bent.truncate(bent.len() - cut);
        drop(clean(kind, &bent, LIMITS));
    }

    #[test]
    fn fuzz_anything_as_a_picture_never_panics(which in 0..4usize, tail in vec(any::<u8>(), 0..300)) {
        let heads: [(Kind, &[u8]); 4] = [
            (Kind::Jpeg, b"\xff\xd8\xff"),
            (Kind::Png, b"\x89PNG\r\n\x1a\n"),
            (Kind::Webp, b"RIFF\x20\x01\0\0WEBP"),
            (Kind::Gif, b"GIF89a"),
        ];
        let (kind, head) = heads[which];
        drop(clean(kind, &[head, &tail].concat(), LIMITS));
    }
}
