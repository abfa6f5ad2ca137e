//! Checks of fields. Each answers 422 with the field and what to do.

use packager::{config, limits};

use super::{MAX_BITRATE, MAX_CONTENT_ID_BYTES, MAX_DESCRIPTION_BYTES, MAX_LANGUAGE_BYTES, MAX_URL_BYTES};
use crate::error::{ApiError, ApiResult};

/// Values of `urn:mpeg:dash:role:2011` (ISO/IEC 23009-1, 5.8.5.5).
pub const ROLES: [&str; 15] = [
    "caption",
    "subtitle",
    "main",
    "alternate",
    "supplementary",
    "commentary",
    "dub",
    "description",
    "sign",
    "metadata",
    "enhanced-audio-intelligibility",
    "emergency",
    "forced-subtitle",
    "easyreader",
    "karaoke",
];

/// A name that stands in URLs.
pub fn name(field: &str, value: &str) -> ApiResult<()> {
    if config::is_name(value) {
        return Ok(());
    }
    let detail =
        format!("use 1 to {} characters of A-Z a-z 0-9 _ -; this has {}", limits::MAX_NAME_BYTES, described(value));
    Err(ApiError::invalid(field, detail))
}

/// What is wrong with a name, without repeating it when it is long.
fn described(value: &str) -> String {
    match value.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))) {
        Some(c) => format!("the character {c:?}"),
        None => format!("{} characters", value.len()),
    }
}

/// Path of a stored object.
pub fn storage_path(field: &str, value: &str) -> ApiResult<()> {
    if config::is_storage_path(value) {
        return Ok(());
    }
    let detail = format!(
        "use a path below the media storage of at most {} bytes: no leading or trailing slash, no empty, `.` or `..` \
         part, no control character, backslash, `?`, `#` or scheme",
        limits::MAX_PATH_BYTES
    );
    Err(ApiError::invalid(field, detail))
}

/// A text for people of at most `limit` bytes.
fn text(field: &str, value: &str, limit: usize) -> ApiResult<()> {
    if (1..=limit).contains(&value.len()) && !value.chars().any(char::is_control) {
        return Ok(());
    }
    Err(ApiError::invalid(field, format!("use 1 to {limit} bytes without control characters")))
}

/// Name of a track in a player's menu.
pub fn label(field: &str, value: &str) -> ApiResult<()> {
    text(field, value, limits::MAX_LABEL_BYTES)
}

/// Id of the content at key servers.
pub fn content_id(field: &str, value: &str) -> ApiResult<()> {
    text(field, value, MAX_CONTENT_ID_BYTES)
}

/// A language tag that is well-formed enough to be one (BCP 47, RFC 5646, 2.1).
pub fn language(field: &str, value: &str) -> ApiResult<()> {
    let mut parts = value.split('-');
    let first = parts.next().unwrap_or("");
    let primary = (2..=8).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic());
    let private = matches!(first, "x" | "X") && value.len() > 2;
    let rest = parts.all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()));
    if value.len() <= MAX_LANGUAGE_BYTES && (primary || private) && rest {
        return Ok(());
    }
    Err(ApiError::invalid(field, "use a BCP 47 language tag, e.g. `en`, `pt-BR` or `zh-Hant`"))
}

/// A DASH role.
pub fn role(field: &str, value: &str) -> ApiResult<()> {
    if ROLES.contains(&value) {
        return Ok(());
    }
    Err(ApiError::invalid(field, format!("use one of the DASH roles: {}", ROLES.join(", "))))
}

/// Target duration of a segment.
pub fn segment_duration(field: &str, value: i64) -> ApiResult<()> {
    let (low, high) = (*limits::SEGMENT_SECONDS.start(), *limits::SEGMENT_SECONDS.end());
    if (i64::from(low)..=i64::from(high)).contains(&value) {
        return Ok(());
    }
    Err(ApiError::invalid(field, format!("use {low} to {high} seconds")))
}

/// A number in a range.
pub fn within(field: &str, value: i64, range: std::ops::RangeInclusive<i64>) -> ApiResult<()> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(ApiError::invalid(field, format!("use {} to {}", range.start(), range.end())))
}

/// What people wrote about something.
pub fn description(field: &str, value: Option<&str>) -> ApiResult<()> {
    value.map_or(Ok(()), |value| text(field, value, MAX_DESCRIPTION_BYTES))
}

/// Which generation of playlists.
pub fn hls_version(field: &str, value: i64) -> ApiResult<()> {
    match value {
        3 | 4 => Ok(()),
        _ => Err(ApiError::invalid(field, "use 3 or 4")),
    }
}

/// Lowest and highest video bit rate, with the pointer of their parent.
pub fn bitrates(parent: &str, min: Option<u64>, max: Option<u64>) -> ApiResult<()> {
    for (field, value) in [("min_video_bitrate", min), ("max_video_bitrate", max)] {
        if value.is_some_and(|v| v > MAX_BITRATE) {
            return Err(ApiError::invalid(
                format!("{parent}/{field}"),
                format!("use at most {MAX_BITRATE} bits a second"),
            ));
        }
    }
    match (min, max) {
        (Some(min), Some(max)) if min > max => {
            let detail = format!("{min} is above max_video_bitrate {max}, which would leave out every rendition");
            Err(ApiError::invalid(format!("{parent}/min_video_bitrate"), detail))
        }
        _ => Ok(()),
    }
}

/// Base URL of an edge; answered without the slash at its end.
pub fn base_url(field: &str, value: &str) -> ApiResult<String> {
    let wrong = |what: &str| ApiError::invalid(field, format!("{what}; use e.g. https://edge1.example.com"));
    if value.len() > MAX_URL_BYTES {
        return Err(wrong(&format!("a URL may have at most {MAX_URL_BYTES} bytes")));
    }
    let Ok(uri) = value.parse::<http::Uri>() else { return Err(wrong("this is not a URL")) };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("this is not an absolute URL"));
    };
    if !matches!(scheme, "http" | "https") {
        return Err(wrong("the scheme must be http or https"));
    }
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(wrong("name a host, without user or password"));
    }
    if uri.query().is_some() || value.contains('#') {
        return Err(wrong("a base URL has no query and no fragment"));
    }
    Ok(value.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_plausible_tags() {
        for good in ["en", "eng", "pt-BR", "zh-Hant-TW", "sl-rozaj-biske-1994", "x-klingon", "de-1996"] {
            assert!(language("l", good).is_ok(), "{good}");
        }
        for bad in ["", "e", "en_US", "en-", "-en", "toolonglanguage", "en-toolongsubtag", "e1", "ü", "x", "x-"] {
            assert!(language("l", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn base_urls_are_absolute_and_bare() {
        assert_eq!(base_url("u", "http://127.0.0.1:3000/").unwrap(), "http://127.0.0.1:3000");
        assert_eq!(base_url("u", "https://cdn.example.com/edge").unwrap(), "https://cdn.example.com/edge");
        for bad in ["", "edge", "/edge", "ftp://a", "http://u:p@a", "http://a?b", "http://a#b", "http://", "http:///x"]
        {
            assert!(base_url("u", bad).is_err(), "{bad}");
        }
    }
}
