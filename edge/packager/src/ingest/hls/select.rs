//! Which media playlists of a multivariant playlist are read, and what it says about them.

use crate::error::{Error, Result};
use crate::limits;
use crate::m3u8::{Media, Multivariant, Rendition, RenditionKind};

/// A media playlist to be read, once however often it is named.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Storage path.
    pub path: String,
    /// Where the multivariant playlist first names it.
    pub line: usize,
    /// The first variant that is it, if any.
    pub variant: Option<usize>,
    /// The rendition of audio or subtitles that is it, if any.
    pub rendition: Option<usize>,
}

impl Wanted {
    /// What EXT-X-MEDIA says of it.
    pub fn rendition<'a>(&self, multivariant: &'a Multivariant) -> Option<&'a Rendition> {
        self.rendition.and_then(|n| multivariant.renditions.get(n))
    }

    /// Whether it holds subtitles.
    pub fn is_text(&self, multivariant: &Multivariant) -> bool {
        self.rendition(multivariant).is_some_and(|r| r.kind == RenditionKind::Subtitles)
    }
}

/// The media playlists in the order of variants, then renditions. Redundant variants, and variants that differ in their
/// groups only, name the same one.
///
/// # Errors
/// `Limit` with too many.
pub fn wanted(multivariant: &Multivariant) -> Result<Vec<Wanted>> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for (number, variant) in multivariant.variants.iter().enumerate() {
        if wanted.iter().all(|w| w.path != variant.path) {
            let (path, line) = (variant.path.clone(), variant.line);
            wanted.push(Wanted { path, line, variant: Some(number), rendition: None });
        }
    }
    for (number, rendition) in multivariant.renditions.iter().enumerate() {
        let Some(path) = &rendition.path else { continue };
        if !matches!(rendition.kind, RenditionKind::Audio | RenditionKind::Subtitles) {
            continue;
        }
        match wanted.iter_mut().find(|w| w.path == *path) {
            Some(known) => known.rendition = known.rendition.or(Some(number)),
            None => {
                wanted.push(Wanted { path: path.clone(), line: rendition.line, variant: None, rendition: Some(number) })
            }
        }
    }
    if wanted.len() > limits::MAX_TRACKS {
        return Err(Error::limit(format!(
            "{}: {} media playlists are more than {}",
            multivariant.path,
            wanted.len(),
            limits::MAX_TRACKS
        )));
    }
    Ok(wanted)
}

/// Alternate video is left out: players are offered one picture.
pub fn warnings(multivariant: &Multivariant) -> Vec<String> {
    let video = multivariant.renditions.iter().filter(|r| r.kind == RenditionKind::Video && r.path.is_some());
    video
        .map(|r| format!("{}: line {}: the alternate video {:?} was left out", multivariant.path, r.line, r.name))
        .collect()
}

/// Renditions of one title last equally long: the longest may pass the shortest by half a target duration, or by a second.
/// Where a playlist counts whole seconds, it may pass it by less than a whole one: then every segment is rounded, and those of
/// sound elsewhere than those of pictures. Either way a missing segment is noticed. Subtitles may end whenever they like.
///
/// # Errors
/// `BadSource` with both playlists and durations; `Limit` with too many segments.
pub fn check(multivariant: &Multivariant, wanted: &[Wanted], media: &[Media]) -> Result<()> {
    let segments = media.iter().map(|m| m.segments.len()).sum::<usize>();
    if segments > limits::MAX_ASSET_SEGMENTS {
        return Err(Error::limit(format!(
            "{}: {segments} segments in all playlists are more than {}",
            multivariant.path,
            limits::MAX_ASSET_SEGMENTS
        )));
    }
    let lasting = || wanted.iter().zip(media).filter(|(w, _)| !w.is_text(multivariant)).map(|(_, m)| m);
    let shortest = lasting().min_by_key(|m| m.duration());
    let longest = lasting().max_by_key(|m| m.duration());
    let (Some(shortest), Some(longest)) = (shortest, longest) else { return Ok(()) };
    let target = lasting().map(|m| m.target_duration).max().unwrap_or(0).saturating_mul(1_000_000);
    let allowed =
        if shortest.whole_seconds() || longest.whole_seconds() { target.saturating_sub(1) } else { target / 2 };
    if longest.duration() - shortest.duration() > allowed.max(1_000_000) {
        let seconds = |m: &Media| m.duration() as f64 / 1e6;
        return Err(Error::bad_source(format!(
            "{}: the renditions disagree in their duration: {} lasts {:.3} s, {} lasts {:.3} s",
            multivariant.path,
            shortest.path,
            seconds(shortest),
            longest.path,
            seconds(longest)
        )));
    }
    Ok(())
}
