//! Subtitles beside media files and inside them.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

use std::fs;
use std::path::Path;

use packager::index::Head;
use packager::index::cues::CueReader;
use packager::index::head::{Media, Storage, TextFormat};
use packager::ingest::{Description, IndexedAsset, Indexer, IngestStep, SourceFile};
use packager::text::Cue;

fn ingest(sources: &[(&str, Description)]) -> packager::Result<IndexedAsset> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media");
    let read = |(name, _): &(&str, Description)| fs::read(root.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let files: Vec<Vec<u8>> = sources.iter().map(read).collect();
    let sources = sources.iter().zip(&files).map(|((path, description), bytes)| SourceFile {
        path: (*path).into(),
        bytes: bytes.len() as u64,
        description: description.clone(),
    });
    let mut indexer = Indexer::new(sources.collect())?;
    loop {
        match indexer.step()? {
            IngestStep::Read { source, range } => {
                let bytes = files[source][range.start as usize..range.end as usize].to_vec();
                indexer.supply(bytes.into())?;
            }
            IngestStep::Done(indexed) => return Ok(indexed),
        }
    }
}

fn head_of(indexed: &IndexedAsset) -> Head {
    Head::read(&indexed.index[..indexed.head_bytes as usize], indexed.index.len() as u64).expect("the index is read")
}

/// All cues of a text track.
fn cues(indexed: &IndexedAsset, track: usize) -> Vec<Cue> {
    let head = head_of(indexed);
    let mut reader = CueReader::new();
    for fragment in &head.tracks[track].fragments {
        let data = &indexed.index[fragment.block_offset as usize..][..fragment.block_bytes as usize];
        reader.read(data, fragment.block_offset).unwrap();
    }
    reader.finish().iter().map(|c| c.to_cue()).collect()
}

#[test]
fn files_beside_the_media() {
    let french = Description { language: Some("fra".into()), forced: true, ..Description::default() };
    let english = Description {
        language: Some("en".into()),
        default: true,
        label: Some("Words".into()),
        ..Description::default()
    };
    let indexed = ingest(&[
        ("ladder/video_180p.mp4", Description::default()),
        ("text/eng.vtt", english),
        ("text/fra.srt", french),
    ])
    .unwrap();
    assert_eq!(indexed.warnings, [] as [String; 0]);
    let head = head_of(&indexed);
    let [video, english, french] = head.tracks.as_slice() else { panic!("{:?}", indexed.tracks) };
    assert!(video.is_video() && english.storage == Storage::Index && french.storage == Storage::Index);
    assert_eq!((english.name.to_string(), french.name.to_string()), ("t0".into(), "t1".into()));
    assert_eq!(
        (english.language.as_deref(), english.label.as_deref(), english.default),
        (Some("en"), Some("Words"), true)
    );
    assert_eq!(
        (french.language.as_deref(), french.label.as_deref(), french.default),
        (Some("fr"), Some("French"), false)
    );
    let forced = |t: &packager::index::Track| matches!(&t.media, Media::Text(text) if text.forced);
    assert!(!forced(english) && forced(french));
    assert_eq!((english.role.as_deref(), french.role.as_deref()), (Some("subtitle"), Some("forced-subtitle")));
    assert!(
        matches!(&english.media, Media::Text(t) if matches!(&t.format, TextFormat::Webvtt { header } if header.contains("STYLE")))
    );
    assert_eq!(indexed.duration_ms, 16_000);
    assert!(cues(&indexed, 1).len() > 3 && cues(&indexed, 2).len() > 2);
    let error = ingest(&[("text/eng.vtt", Description::default())]).unwrap_err();
    assert!(error.message().contains("no track of sound or picture"), "{error}");
}

#[test]
fn tracks_inside_the_media() {
    let video = ("ladder/video_180p.mp4", Description::default());
    let indexed =
        ingest(&[video.clone(), ("text/wvtt.mp4", Description::default()), ("text/stpp.mp4", Description::default())]);
    let indexed = indexed.unwrap();
    assert_eq!(indexed.warnings, [] as [String; 0]);
    let head = head_of(&indexed);
    let [_, wvtt, stpp] = head.tracks.as_slice() else { panic!("{:?}", indexed.tracks) };
    assert_eq!((wvtt.codec.as_str(), &wvtt.storage), ("wvtt", &Storage::Index));
    let beside = ingest(&[video, ("text/eng.vtt", Description::default())]).unwrap();
    let plain = |cues: Vec<Cue>| cues.into_iter().map(|c| (c.start, c.end, c.payload)).collect::<Vec<_>>();
    assert_eq!(plain(cues(&indexed, 1)), plain(cues(&beside, 1)));
    assert!(stpp.codec.starts_with("stpp") && stpp.storage == Storage::File(2), "{}", stpp.codec);
    assert_eq!(stpp.sample_entries.len(), 1);
    assert!(stpp.fragments.iter().any(|f| f.samples > 0));

    let indexed = ingest(&[("text/tx3g.mp4", Description::default())]).unwrap();
    assert_eq!(indexed.warnings, [] as [String; 0]);
    let head = head_of(&indexed);
    let number = head.tracks.iter().position(|t| matches!(t.media, Media::Text(_))).expect("its text");
    assert_eq!(head.tracks[number].storage, Storage::Index);
    let cues = cues(&indexed, number);
    assert!(!cues.is_empty() && cues.iter().all(|c| c.end <= 4100), "{cues:?}");
}
