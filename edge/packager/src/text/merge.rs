//! One track out of the segments of a playlist.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::cue::{Document, Warnings};
use crate::error::{Error, Result};
use crate::limits;

/// Segments round their times on their own: the same cue may differ by this many milliseconds.
const TOLERANCE: u64 = 1;

/// How often a cue stands in the track, and in the segment that is being added.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    total: usize,
    segment: usize,
    in_segment: usize,
}

/// Joins documents whose cues are in presentation times. A cue that stands in several segments, because it is shown across
/// their boundary, is one cue; a cue that stands twice in one segment is two. Cues come out sorted by start.
///
/// # Errors
/// `Limit` when there are too many cues, or headers too large together.
pub fn merge(documents: impl IntoIterator<Item = Document>) -> Result<Document> {
    let mut merged = Document::default();
    let mut warnings = Warnings::default();
    let mut blocks = BTreeSet::new();
    // Texts by number, so that the key of a cue is small.
    let mut texts: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let mut seen: BTreeMap<(usize, u64, u64), Seen> = BTreeMap::new();
    for (segment, document) in documents.into_iter().enumerate() {
        for block in document.header.split("\n\n").filter(|block| !block.is_empty()) {
            if !blocks.contains(block) {
                merged.push_header(block, || format!("text segment {}", segment + 1))?;
                blocks.insert(block.to_owned());
            }
        }
        document.warnings.into_iter().for_each(|warning| warnings.push(|| warning));
        for cue in document.cues {
            let next = texts.len();
            let text = (cue.identifier.clone(), cue.settings.clone(), cue.payload.clone());
            let text = match texts.entry(text) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => *new.insert(next),
            };
            let key = similar(&seen, (text, cue.start, cue.end));
            let seen = seen.entry(key).or_default();
            if seen.segment != segment {
                *seen = Seen { segment, in_segment: 0, ..*seen };
            }
            seen.in_segment += 1;
            if seen.in_segment > seen.total {
                seen.total = seen.in_segment;
                if merged.cues.len() >= limits::MAX_TEXT_CUES {
                    return Err(Error::limit(format!("more than {} cues in one text track", limits::MAX_TEXT_CUES)));
                }
                merged.cues.push(cue);
            }
        }
    }
    merged.sort();
    merged.warnings = warnings.finish();
    Ok(merged)
}

/// The key of a cue with this text and nearly these times, when there is one.
fn similar(seen: &BTreeMap<(usize, u64, u64), Seen>, wanted: (usize, u64, u64)) -> (usize, u64, u64) {
    if seen.contains_key(&wanted) {
        return wanted;
    }
    let (text, start, end) = wanted;
    let near = |value: u64| value.saturating_sub(TOLERANCE)..=value.saturating_add(TOLERANCE);
    near(start)
        .flat_map(|start| near(end).map(move |end| (text, start, end)))
        .find(|key| seen.contains_key(key))
        .unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Cue;

    fn cue(start: u64, end: u64, payload: &str) -> Cue {
        Cue { start, end, payload: payload.into(), ..Cue::default() }
    }

    fn segment(cues: &[Cue]) -> Document {
        Document { cues: cues.to_vec(), ..Document::default() }
    }

    #[test]
    fn a_cue_across_a_boundary_is_one_cue() {
        let long = cue(5000, 13_000, "long");
        let rounded = cue(5001, 12_999, "long");
        let merged = merge([
            segment(&[cue(1000, 2000, "a"), long.clone()]),
            segment(&[rounded]),
            segment(&[cue(12_500, 13_000, "b"), long.clone()]),
        ]);
        assert_eq!(merged.unwrap().cues, [cue(1000, 2000, "a"), long, cue(12_500, 13_000, "b")]);
    }

    #[test]
    fn other_times_settings_and_texts_are_other_cues() {
        let top = Cue { settings: "line:0".into(), ..cue(0, 10, "a") };
        let named = Cue { identifier: "1".into(), ..cue(0, 10, "a") };
        let all = [cue(0, 10, "a"), cue(0, 10, "b"), cue(0, 20, "a"), top, named];
        assert_eq!(merge(all.clone().map(|cue| segment(&[cue]))).unwrap().cues, all);
    }

    #[test]
    fn twice_in_a_segment_is_twice() {
        let twice = segment(&[cue(0, 10, "a"), cue(0, 10, "a")]);
        assert_eq!(merge([twice.clone(), twice, segment(&[cue(0, 10, "a")])]).unwrap().cues.len(), 2);
    }

    #[test]
    fn headers_are_joined_block_by_block() {
        let with = |header: &str| Document { header: header.into(), warnings: vec!["w".into()], ..Document::default() };
        let merged = merge([with("STYLE\na"), with("STYLE\na\n\nREGION\nid:b"), with("")]).unwrap();
        assert_eq!(merged.header, "STYLE\na\n\nREGION\nid:b");
        assert_eq!(merged.warnings.len(), 3);
    }

    #[test]
    fn order_is_by_start_and_then_as_given() {
        let merged = merge([segment(&[cue(10, 20, "b"), cue(0, 30, "a"), cue(10, 15, "c")])]).unwrap();
        assert_eq!(merged.cues.iter().map(|c| c.payload.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
