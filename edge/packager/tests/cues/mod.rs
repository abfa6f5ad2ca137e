//! What must hold of cues, wherever they come from: read by the fuzz target and by the tests.

#![allow(dead_code, reason = "each of its users needs another part")]

use packager::index::Head;
use packager::index::cues::{self, CueReader};
use packager::index::head::Storage;
use packager::ingest::{Description, Indexer, IngestStep, SourceFile};
use packager::segment::{webvtt, wvtt};
use packager::text::{self, Cue, CueRef, Document, Entry, Placement, Sample, SampleReader};
use packager::{Error, ErrorKind};

/// A box, where it starts, and what is in it.
pub struct Found<'a> {
    pub kind: [u8; 4],
    pub at: usize,
    pub content: &'a [u8],
}

/// The boxes of well-formed data.
pub fn boxes(data: &[u8]) -> Vec<Found<'_>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at + 8 <= data.len() {
        let size = u32_at(data, at) as usize;
        let kind = data[at + 4..at + 8].try_into().unwrap();
        found.push(Found { kind, at, content: &data[at + 8..at + size] });
        at += size;
    }
    found
}

pub fn child<'a>(data: &'a [u8], path: &[&[u8; 4]]) -> &'a [u8] {
    let Some((first, rest)) = path.split_first() else { return data };
    let found = boxes(data).into_iter().find(|found| found.kind == **first);
    child(found.unwrap_or_else(|| panic!("no {}", first.escape_ascii())).content, rest)
}

pub fn u32_at(data: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(data[at..at + 4].try_into().unwrap())
}

/// Start, duration and bytes of the samples of a segment as this crate writes it: one `moof`, durations and sizes in `trun`.
pub fn samples(segment: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let moof = boxes(segment).into_iter().find(|found| found.kind == *b"moof").expect("a moof");
    let tfdt = child(moof.content, &[b"traf", b"tfdt"]);
    let trun = child(moof.content, &[b"traf", b"trun"]);
    let mut at = u64::from_be_bytes(tfdt[4..12].try_into().unwrap());
    let mut position = moof.at + u32_at(trun, 8) as usize;
    let mut found = Vec::new();
    for sample in 0..u32_at(trun, 4) as usize {
        let (duration, size) = (u32_at(trun, 12 + 8 * sample), u32_at(trun, 16 + 8 * sample) as usize);
        found.push((at, u64::from(duration), &segment[position..position + size]));
        at += u64::from(duration);
        position += size;
    }
    found
}

/// Cues that a reader gave can stand in a file as they are.
pub fn check(document: &Document) {
    assert!(!document.header.contains("-->") && !document.header.starts_with('\n') && !document.header.ends_with('\n'));
    for cue in &document.cues {
        assert!(cue.start < cue.end, "{cue:?}");
        assert!(
            !cue.payload.contains("-->") && !cue.payload.contains("\n\n") && !cue.payload.contains('\r'),
            "{cue:?}"
        );
        assert!(!cue.payload.starts_with('\n') && !cue.payload.ends_with('\n'), "{cue:?}");
        for line in [&cue.identifier, &cue.settings] {
            assert!(!line.contains(['\n', '\r']) && !line.contains("-->"), "{cue:?}");
        }
    }
}

/// How cues are cut into segments.
pub struct Cut<'a> {
    /// Beginnings of fragments in milliseconds; the first is 0.
    pub cuts: &'a [u64],
    /// Fragments of a segment.
    pub fragments: usize,
    /// Timestamp of presentation time 0.
    pub mpegts: u64,
}

/// Takes cues through the index, into segments of both forms, and back. They are those of `document`, sorted.
///
/// # Errors
/// `Limit` when the index refuses them.
pub fn round_trip(document: &Document, cut: &Cut<'_>) -> Result<(), Error> {
    let blocks = cues::write(&document.cues, cut.cuts)?;
    assert_eq!(blocks.fragments.len(), cut.cuts.len());
    let end = document.cues.iter().map(|cue| cue.end).chain(cut.cuts.last().map(|last| last + 1)).max().unwrap_or(1);
    let mut offset = 0;
    let mut files = Vec::new();
    let mut reader = SampleReader::new(&Entry::Wvtt(text::wvtt::Entry::default()))?;
    for first in (0..cut.cuts.len()).step_by(cut.fragments) {
        let last = (first + cut.fragments).min(cut.cuts.len());
        let time = cut.cuts[first]..cut.cuts.get(last).copied().unwrap_or(end);
        let mut block_reader = CueReader::new();
        for fragment in &blocks.fragments[first..last] {
            let block = &blocks.bytes[offset..offset + fragment.bytes as usize];
            block_reader.read(block, offset as u64).expect("what was written is read");
            offset += block.len();
        }
        let cues = block_reader.finish();
        assert!(cues.is_sorted_by_key(|cue| cue.start));

        let file = webvtt::segment(&document.header, &cues, cut.mpegts);
        let read = text::webvtt::parse(&file).expect("what was written is read");
        assert_eq!(read.warnings, Vec::<String>::new(), "{}", String::from_utf8_lossy(&file));
        files.push(read.placed(Placement { origin: cut.mpegts, segment_start: time.start }));

        // Players keep 49 days in 32 bits; so do the samples.
        if time.is_empty() || u32::try_from(time.end - time.start).is_err() {
            return Ok(());
        }
        let made = match wvtt::segment(&wvtt::Segment { time: time.clone(), sequence: 1, cues: &cues }) {
            Ok(made) => made,
            Err(error) if error.kind() == ErrorKind::Limit => return Ok(()),
            Err(error) => panic!("{error}"),
        };
        let mut next = time.start;
        for (start, duration, data) in samples(&made) {
            assert_eq!(start, next, "there is no gap");
            assert!(duration > 0);
            next = start + duration;
            reader.push(Sample { data, start, end: next })?;
        }
        assert_eq!(next, time.end);
    }
    let merged = text::merge(files)?;
    same(&merged.cues, &document.cues);
    assert_eq!(merged.header, document.header);
    let assembled = reader.finish();
    assert_eq!(assembled.warnings, Vec::<String>::new());
    same(&assembled.cues, &document.cues);
    Ok(())
}

/// A better message than that of two long lists.
fn same(found: &[Cue], wanted: &[Cue]) {
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(found, wanted);
    }
    assert_eq!(found.len(), wanted.len());
}

/// Arbitrary bytes: the first says what the rest is.
pub fn any(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else { return };
    let document = match kind % 7 {
        0 => text::webvtt::parse(data),
        1 => text::srt::parse(data),
        2 => text::parse(data),
        3 => any_samples(*b"tx3g", data),
        4 => any_samples(*b"wvtt", data),
        6 => return any_file(data),
        _ => {
            let mut reader = CueReader::new();
            for block in data.split(|byte| *byte == 0xff) {
                let _ = reader.read(block, 0);
            }
            let cues = reader.finish();
            let header = "STYLE\n::cue {}";
            let document = text::webvtt::parse(&webvtt::segment(header, &cues, 0)).expect("what was written is read");
            let earlier = cues.iter().filter(|cue| cue.start > 1 << 53 || cue.end > 1 << 53).count();
            assert_eq!(document.cues.len(), cues.len() - earlier);
            let _ = wvtt::segment(&wvtt::Segment { time: 1..5000, sequence: 1, cues: &cues });
            return;
        }
    };
    let Ok(mut document) = document else { return };
    check(&document);
    document.sort();
    // Cues of one millisecond that follow each other cannot be told from one that was rounded in two ways.
    document.cues.retain(|cue| cue.end - cue.start > 1);
    document.header = String::new();
    document.warnings = Vec::new();
    document.timestamp_map = None;
    let step = 1 + u64::from(kind) * 7;
    let cuts = (0..40).map(|number| number * step).collect::<Vec<_>>();
    let _ = round_trip(&document, &Cut { cuts: &cuts, fragments: 1 + usize::from(kind) % 5, mpegts: 900_000 });
}

/// A file beside one with sound: its text tracks, or what is read as subtitles.
fn any_file(data: &[u8]) {
    const SOUND: &[u8] = include_bytes!("../../../../tests/media/small/ac3.mp4");
    let files = [("sound.mp4", SOUND), ("text", data)];
    let sources = files.map(|(path, data)| SourceFile {
        path: path.into(),
        bytes: data.len() as u64,
        description: Description::default(),
    });
    let Ok(mut indexer) = Indexer::new(sources.into()) else { return };
    let indexed = loop {
        match indexer.step() {
            Ok(IngestStep::Read { source, range }) => {
                let bytes = files[source].1[range.start as usize..range.end as usize].to_vec();
                if indexer.supply(bytes.into()).is_err() {
                    return;
                }
            }
            Ok(IngestStep::Done(indexed)) => break indexed,
            Err(_) => return,
        }
    };
    let head = Head::read(&indexed.index[..indexed.head_bytes as usize], indexed.index.len() as u64);
    for track in head.expect("what was written is read").tracks.iter().filter(|t| t.storage == Storage::Index) {
        let mut reader = CueReader::new();
        for fragment in &track.fragments {
            let block = &indexed.index[fragment.block_offset as usize..][..fragment.block_bytes as usize];
            reader.read(block, fragment.block_offset).expect("what was written is read");
        }
        let cues = reader.finish().iter().map(CueRef::to_cue).collect();
        check(&Document { cues, ..Document::default() });
    }
}

/// A sample entry and samples, each after a byte with its length.
fn any_samples(kind: [u8; 4], data: &[u8]) -> Result<Document, Error> {
    let mut rest = data;
    let mut chunk = || {
        let (&length, after) = rest.split_first()?;
        let (chunk, after) = after.split_at_checked(usize::from(length).min(after.len()))?;
        rest = after;
        Some(chunk)
    };
    let entry = chunk().map_or_else(|| Err(Error::bad_source("no entry")), |data| Entry::read(kind, data))?;
    assert!(entry.codecs(None).is_ascii());
    let _ = Entry::read(*b"stpp", data).map(|entry| assert!(entry.codecs(Some(data)).starts_with("stpp.ttml.im")));
    let mut reader = SampleReader::new(&entry)?;
    let mut start = 0;
    while let Some(data) = chunk() {
        let end = start + 1 + (data.len() as u64) * 3 % 50;
        reader.push(Sample { data, start, end })?;
        start = end;
    }
    Ok(reader.finish())
}
