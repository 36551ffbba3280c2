//! Pictures, sound and files: what of them is text, and what has to be reported or refused.

use crate::ParseError;
use crate::exchange::{PartKind, Reason};
use crate::form::{is_base64, is_opaque};
use crate::json::Value;
use crate::walk::Walk;
use portcullis_text::Content;

/// The address of a picture: inline data, or where it lies.
///
/// Inline data that is no picture is a file, however the part is called: a model may read it.
pub(crate) fn image_url(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    let Some(url) = value.as_str() else {
        return walk.everything(value);
    };
    match media_type(&url) {
        Some(kind) if kind.starts_with("image/") => {
            walk.gap_by_rule(Reason::Image, "an image")?;
            match kind.contains("xml") {
                true => walk.everything(value),
                false => inline_data(walk, value),
            }
        }
        Some(_) => {
            walk.gap_by_rule(Reason::File, "inline data that is no image")?;
            inline_data(walk, value)
        }
        None => {
            walk.gap_by_rule(Reason::Image, "an image")?;
            walk.everything(value)
        }
    }
}

/// Inline sound.
pub(crate) fn audio(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    if !value.is_string() {
        return walk.everything(value);
    }
    walk.gap_by_rule(Reason::Audio, "audio")?;
    inline_data(walk, value)
}

/// The media type of a `data:` address in lower case; `Some("")` where it names none.
fn media_type(url: &str) -> Option<String> {
    let start = url.trim_start();
    let scheme = start.get(..5)?;
    if !scheme.eq_ignore_ascii_case("data:") {
        return None;
    }
    let head = start[5..].split(',').next().unwrap_or_default();
    let kind = head.split(';').next().unwrap_or_default();
    Some(kind.trim().to_ascii_lowercase())
}

/// Base64 of something that was reported already; anything else is text.
pub(crate) fn base64(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    match value.as_str() {
        Some(text) if is_base64(&text) => Ok(()),
        _ => walk.everything(value),
    }
}

/// The same with or without `data:…;base64,` before it.
pub(crate) fn inline_data(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    let text = value.as_str().unwrap_or_default();
    let kind = media_type(&text);
    let (head, data) = match text.split_once(";base64,").filter(|_| kind.is_some()) {
        Some(split) => split,
        None => ("", &*text),
    };
    if !value.is_string() || !is_base64(data) {
        return walk.everything(value);
    }
    let kind = kind.unwrap_or_default();
    if head.is_empty() || (head.len() == "data:".len() + kind.len() && is_media_type(&kind)) {
        return Ok(());
    }
    // What stands before the data can say anything. A key is text that cannot be replaced.
    walk.push(PartKind::Key, value, Content::from(head))
}

/// Whether a media type is one that is in use: others can say anything.
fn is_media_type(kind: &str) -> bool {
    const SUBTYPES: [&str; 34] = [
        "aac",
        "apng",
        "avif",
        "basic",
        "bmp",
        "csv",
        "flac",
        "gif",
        "heic",
        "heif",
        "icon",
        "jpeg",
        "jpg",
        "json",
        "l16",
        "m4a",
        "mp3",
        "mp4",
        "mpeg",
        "mpga",
        "octet-stream",
        "ogg",
        "opus",
        "pcm",
        "pcm16",
        "pdf",
        "plain",
        "png",
        "tiff",
        "vnd.wave",
        "wav",
        "wave",
        "webm",
        "webp",
    ];
    let subtype = kind.split_once('/').map_or("", |(_, subtype)| subtype);
    SUBTYPES.contains(&subtype.strip_prefix("x-").unwrap_or(subtype))
}

/// A signature: it proves who wrote the text beside it and says nothing itself.
pub(crate) fn signature(walk: &mut Walk, value: Value<'_>) -> Result<(), ParseError> {
    match value.as_str() {
        Some(text) if is_opaque(&text) => Ok(()),
        _ => walk.everything(value),
    }
}
