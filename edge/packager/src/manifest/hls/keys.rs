//! Where the keys of segments are: EXT-X-KEY (RFC 8216bis, 4.4.4.4) and EXT-X-SESSION-KEY (4.4.6.5).

use std::sync::Arc;

use crate::drm::line::NO_KEY;
use crate::error::{Error, Result};
use crate::media::presentation::Rendition;
use crate::media::protection::Key;

/// The lines of a key for media playlists.
fn lines(key: &Key) -> Result<String> {
    let own: Vec<&str> = key.signalling.iter().filter_map(|s| s.hls.as_deref()).collect();
    if own.is_empty() {
        return Err(Error::upstream(format!(
            "nothing is known that tells players of HLS where the key {} is",
            key.kid
        )));
    }
    Ok(own.join("\n") + "\n")
}

/// The changes of keys along the segments of a rendition.
pub(super) struct KeyTags {
    /// From which segment on, counted from 0, which lines hold.
    changes: Vec<(usize, String)>,
    next: usize,
}

impl KeyTags {
    /// The changes, none without protection.
    ///
    /// # Errors
    /// `Upstream` when a key has nothing to say in HLS.
    pub fn new(rendition: &Rendition) -> Result<Self> {
        let Some(protection) = &rendition.protection else { return Ok(Self { changes: Vec::new(), next: 0 }) };
        let change = |(segment, key): (usize, Option<&Arc<Key>>)| {
            Ok((segment, key.map_or_else(|| Ok(format!("{NO_KEY}\n")), |key| lines(key))?))
        };
        let changes = protection.changes(rendition.segments.len()).into_iter().map(change).collect::<Result<_>>()?;
        Ok(Self { changes, next: 0 })
    }

    /// Goes to a segment, none that is before the last one, and writes what holds from it on if it is not what held.
    pub fn enter(&mut self, out: &mut String, segment: usize) {
        let ahead = self.changes.get(self.next..).unwrap_or_default();
        let passed = ahead.iter().take_while(|(from, _)| *from <= segment).count();
        if let Some((_, lines)) = passed.checked_sub(1).and_then(|last| ahead.get(last)) {
            out.push_str(lines);
        }
        self.next += passed;
    }

    /// The lowest version that knows all attributes: 2 for IV, 5 for KEYFORMAT (8).
    pub fn version(&self) -> u32 {
        self.changes.iter().map(|(_, lines)| version(lines)).max().unwrap_or(1)
    }
}

fn version(lines: &str) -> u32 {
    match lines {
        _ if lines.contains(",KEYFORMAT=") || lines.contains(",KEYFORMATVERSIONS=") => 5,
        _ if lines.contains(",IV=") => 2,
        _ => 1,
    }
}

/// EXT-X-SESSION-KEY lines for the keys that play begins with, each once, and the version that they need.
pub(super) fn session_keys<'a>(renditions: impl Iterator<Item = &'a Rendition>) -> Result<(String, u32)> {
    let mut out = String::new();
    let mut seen: Vec<&'a str> = Vec::new();
    for protection in renditions.filter_map(|r| r.protection.as_ref()) {
        for line in protection.main()?.signalling.iter().filter_map(|s| s.hls_session.as_deref()) {
            if !seen.contains(&line) {
                seen.push(line);
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    let version = version(&out);
    Ok((out, version))
}
