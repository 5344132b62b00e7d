//! Pictures: decoded under limits, turned as they are meant to be seen, cleaned of everything that does not draw, made small.
//!
//! A JPEG is encoded again. PNG, GIF and WebP are built again from the parts that draw them, unless they have to be turned.

mod gif;
mod jpeg;
mod png;
mod webp;

use std::io::Cursor;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{
    AnimationDecoder as _, DynamicImage, GenericImageView as _, ImageDecoder, ImageError, Limits,
    codecs::{
        gif::GifDecoder,
        jpeg::{JpegDecoder, JpegEncoder},
        png::{CompressionType, FilterType, PngDecoder, PngEncoder},
        webp::WebPDecoder,
    },
    metadata::Orientation,
};

use crate::{Kind, MediaError};

/// Quality of a JPEG that is encoded again.
const QUALITY: u8 = 90;
/// Quality of a small picture.
const THUMBNAIL_QUALITY: u8 = 80;
/// Longer side of a small picture, pixels.
const THUMBNAIL_SIDE: u32 = 320;
/// Longer side of what a placeholder is made from, pixels.
const PLACEHOLDER_SIDE: u32 = 100;
/// All frames of an animation together may have so many times the pixels of one picture.
const ANIMATION_FACTOR: u64 = 16;
/// Bytes of memory for each pixel that may be there.
const BYTES_PER_PIXEL: u64 = 8;
/// Bytes of memory for a decoder itself.
const DECODER_BYTES: u64 = 64 << 20;
/// A colour profile that is larger is left behind.
const PROFILE_BYTES_MAX: usize = 16 << 10;

/// Bounds of pictures.
#[derive(Debug, Clone, Copy)]
pub struct PictureLimits {
    /// Pixels of one picture, width times height.
    pub pixels_max: u64,
}

/// A clean picture.
pub(crate) struct Picture {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) thumbnail: Vec<u8>,
    pub(crate) thumbhash: String,
}

/// A picture that was decoded.
struct Decoded {
    image: DynamicImage,
    profile: Option<Vec<u8>>,
    was_turned: bool,
}

/// Cleans a picture of one of the four kinds that are looked into.
pub(crate) fn clean(
    kind: Kind,
    bytes: &[u8],
    limits: PictureLimits,
) -> Result<Picture, MediaError> {
    let input = || Cursor::new(bytes);
    let (rebuilt, frames, decoded) = match kind {
        Kind::Jpeg => {
            jpeg::check(bytes)?;
            (Vec::new(), 1, decode(JpegDecoder::new(input()).map_err(unreadable)?, limits)?)
        }
        Kind::Png => {
            let (rebuilt, frames) = png::rebuild(bytes)?;
            let decoder =
                PngDecoder::with_limits(input(), limits.of_decoder()).map_err(unreadable)?;
            (rebuilt, frames, decode(decoder, limits)?)
        }
        Kind::Gif => {
            let (rebuilt, frames) = gif::rebuild(bytes)?;
            (rebuilt, frames, decode_gif(bytes, limits)?)
        }
        Kind::Webp => {
            let (rebuilt, frames) = webp::rebuild(bytes)?;
            (rebuilt, frames, decode(WebPDecoder::new(input()).map_err(unreadable)?, limits)?)
        }
        _ => return Err(MediaError::Unsupported("This is no picture that can be read.")),
    };
    let Decoded { image, profile, was_turned } = decoded;
    let (width, height) = image.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels.saturating_mul(frames) > limits.pixels_max.saturating_mul(ANIMATION_FACTOR) {
        return Err(MediaError::TooManyPixels(format!(
            "The picture has too many frames: {frames}."
        )));
    }
    let (kind, bytes) = match kind {
        Kind::Jpeg => (kind, encode_jpeg(&image, QUALITY, profile)?),
        _ if was_turned => (Kind::Png, encode_png(&image, profile)?),
        _ => (kind, rebuilt),
    };
    let small =
        image.thumbnail(THUMBNAIL_SIDE.min(width.max(1)), THUMBNAIL_SIDE.min(height.max(1)));
    drop(image);
    let thumbhash = placeholder(&small);
    let thumbnail = if is_clear(&thumbhash) {
        encode_png(&DynamicImage::ImageRgba8(small.to_rgba8()), None)?
    } else {
        encode_jpeg(&DynamicImage::ImageRgb8(small.to_rgb8()), THUMBNAIL_QUALITY, None)?
    };
    let thumbhash = STANDARD.encode(thumbhash);
    Ok(Picture { kind, bytes, width, height, thumbnail, thumbhash })
}

/// The type of a small picture, which its placeholder tells: a PNG if something shines through it, else a JPEG.
#[must_use]
pub fn thumbnail_mime(thumbhash: &str) -> &'static str {
    let hash = STANDARD.decode(thumbhash).unwrap_or_default();
    if is_clear(&hash) { "image/png" } else { "image/jpeg" }
}

/// The highest bit of the third byte.
fn is_clear(thumbhash: &[u8]) -> bool {
    thumbhash.get(2).is_some_and(|byte| byte & 0x80 != 0)
}

impl PictureLimits {
    fn of_decoder(self) -> Limits {
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(self.pixels_max.saturating_mul(BYTES_PER_PIXEL) + DECODER_BYTES);
        limits
    }

    fn check(self, (width, height): (u32, u32)) -> Result<(), MediaError> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.pixels_max {
            let most = self.pixels_max;
            return Err(MediaError::TooManyPixels(format!(
                "The picture has {width} x {height} pixels; {most} are the most."
            )));
        }
        if pixels == 0 {
            return Err(MediaError::Unsupported("The picture has no pixels."));
        }
        Ok(())
    }
}

fn decode(mut decoder: impl ImageDecoder, limits: PictureLimits) -> Result<Decoded, MediaError> {
    limits.check(decoder.dimensions())?;
    decoder.set_limits(limits.of_decoder()).map_err(unreadable)?;
    // Damaged metadata is no reason to refuse a picture: it goes anyway.
    let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten();
    let profile = profile.filter(|profile| profile.len() <= PROFILE_BYTES_MAX);
    let mut image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    image.apply_orientation(turned);
    Ok(Decoded { image, profile, was_turned: turned != Orientation::NoTransforms })
}

/// The first frame, on its canvas.
fn decode_gif(bytes: &[u8], limits: PictureLimits) -> Result<Decoded, MediaError> {
    let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(unreadable)?;
    limits.check(decoder.dimensions())?;
    decoder.set_limits(limits.of_decoder()).map_err(unreadable)?;
    let first = decoder.into_frames().next();
    let broken = MediaError::Unsupported("The picture has no frames.");
    let image = DynamicImage::ImageRgba8(first.ok_or(broken)?.map_err(unreadable)?.into_buffer());
    Ok(Decoded { image, profile: None, was_turned: false })
}

fn encode_jpeg(
    image: &DynamicImage,
    quality: u8,
    profile: Option<Vec<u8>>,
) -> Result<Vec<u8>, MediaError> {
    let mut out = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut out, quality);
    set_profile(&mut encoder, profile);
    let written = match image {
        DynamicImage::ImageLuma8(_) | DynamicImage::ImageRgb8(_) => {
            image.write_with_encoder(encoder)
        }
        DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA8(_) => {
            DynamicImage::ImageLuma8(image.to_luma8()).write_with_encoder(encoder)
        }
        _ => DynamicImage::ImageRgb8(image.to_rgb8()).write_with_encoder(encoder),
    };
    written.map_err(unreadable)?;
    Ok(out)
}

fn encode_png(image: &DynamicImage, profile: Option<Vec<u8>>) -> Result<Vec<u8>, MediaError> {
    let mut out = Vec::new();
    let mut encoder =
        PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Adaptive);
    set_profile(&mut encoder, profile);
    image.write_with_encoder(encoder).map_err(unreadable)?;
    Ok(out)
}

fn set_profile(encoder: &mut impl image::ImageEncoder, profile: Option<Vec<u8>>) {
    if let Some(profile) = profile {
        // Where a format has no place for it, the picture is good without.
        let _ = encoder.set_icc_profile(profile);
    }
}

fn placeholder(small: &DynamicImage) -> Vec<u8> {
    let tiny = small.thumbnail(PLACEHOLDER_SIDE, PLACEHOLDER_SIDE).to_rgba8();
    let (width, height) = tiny.dimensions();
    thumbhash::rgba_to_thumb_hash(width as usize, height as usize, tiny.as_raw())
}

fn unreadable(error: ImageError) -> MediaError {
    match error {
        ImageError::Limits(_) => {
            MediaError::TooManyPixels("The picture needs more memory than it may have.".to_owned())
        }
        _ => MediaError::Unsupported("The picture cannot be read: it is damaged or cut off."),
    }
}

#[cfg(test)]
mod tests;
