//! URIs of a playlist (RFC 3986), turned into paths below the storage root.

use crate::config::is_storage_path;

/// The storage path that `uri` means in the playlist at `playlist`; query and fragment are dropped, as objects have none.
///
/// # Errors
/// A reason, when the URI is absolute with a scheme or a host, leaves the storage, or names no object.
pub(super) fn resolve(playlist: &str, uri: &str) -> Result<String, String> {
    let reference = uri.split(['?', '#']).next().unwrap_or_default();
    let first = reference.split('/').next().unwrap_or_default();
    if reference.starts_with("//") || first.contains(':') {
        return Err(format!("{uri:?} leads out of the storage; only paths inside it can be read"));
    }
    let (rooted, relative) = match reference.strip_prefix('/') {
        Some(relative) => (true, relative),
        None => (false, reference),
    };
    let mut parts: Vec<String> = Vec::new();
    if !rooted && let Some((folder, _)) = playlist.rsplit_once('/') {
        parts.extend(folder.split('/').map(str::to_owned));
    }
    for part in relative.split('/') {
        let part = decode(part).ok_or_else(|| format!("{uri:?} has percent signs that are no encoded UTF-8"))?;
        match part.as_str() {
            "." => {}
            ".." => {
                parts.pop().ok_or_else(|| format!("{uri:?} leads out of the storage; it has too many ../"))?;
            }
            part if part.contains('/') => return Err(format!("{uri:?} hides a slash in a name")),
            _ => parts.push(part),
        }
    }
    let path = parts.join("/");
    if is_storage_path(&path) { Ok(path) } else { Err(format!("{uri:?} names no object in the storage")) }
}

/// Percent-decodes.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push((high << 4 | low) as u8);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        for (uri, path) in [
            ("v/1.ts", "shows/a/v/1.ts"),
            ("../b/1.ts", "shows/b/1.ts"),
            ("./1.ts?token=x#y", "shows/a/1.ts"),
            ("/top/1.ts", "top/1.ts"),
            ("seg%20%C3%BC.ts", "shows/a/seg ü.ts"),
            ("../../1.ts", "1.ts"),
        ] {
            assert_eq!(resolve("shows/a/main.m3u8", uri).as_deref(), Ok(path), "{uri}");
        }
        assert_eq!(resolve("main.m3u8", "1.ts").as_deref(), Ok("1.ts"));
        for uri in [
            "https://example.com/1.ts",
            "//example.com/1.ts",
            "data:,x",
            "../../../1.ts",
            "%2e%2e/../../1.ts",
            "a%2f..%2f..%2fb",
            "a%5cb",
            "a%00b",
            "a%zz",
            "%ff",
            "a//b",
            "a/",
            "?x",
            "",
            "/",
        ] {
            assert!(resolve("shows/a/main.m3u8", uri).is_err(), "{uri}");
        }
    }
}
