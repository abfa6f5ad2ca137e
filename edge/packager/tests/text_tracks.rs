//! Text of files, from the files through an index into every form of output and back.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod cues;
mod drive;
#[path = "text_tracks/file.rs"]
mod file;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cues::{boxes, child, u32_at};
use file::Track;
use packager::config::{ManifestExtension, PackageType, SourceObject, TextFormat};
use packager::index::Head;
use packager::index::head::{Media, Storage};
use packager::ingest::{Description, IndexedAsset, Indexer, IngestStep, SourceFile};
use packager::media::segmenter;
use packager::response::Response;
use packager::route::{Resource, SegmentFormat, TrackFile, TrackName};
use packager::text::{self, Cue, Document, Entry, Placement, Sample, SampleReader};

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A title in memory.
struct Title {
    files: Vec<Vec<u8>>,
    indexed: IndexedAsset,
    head: Head,
}

fn ingest(files: &[(&[u8], Description)]) -> packager::Result<IndexedAsset> {
    let sources = (0..).zip(files).map(|(n, (bytes, description)): (usize, _)| SourceFile {
        path: format!("{n}.mp4"),
        bytes: bytes.len() as u64,
        description: description.clone(),
    });
    let mut indexer = Indexer::new(sources.collect())?;
    for _ in 0..10_000 {
        match indexer.step()? {
            IngestStep::Read { source, range } => {
                assert!(!range.is_empty() && range.end <= files[source].0.len() as u64, "{range:?} is in the file");
                let bytes = files[source].0[range.start as usize..range.end as usize].to_vec();
                indexer.supply(bytes.into())?;
                assert!((0.0..=1.0).contains(&indexer.progress()));
            }
            IngestStep::Done(indexed) => return Ok(indexed),
        }
    }
    panic!("the indexer does not come to an end");
}

impl Title {
    fn new(files: Vec<Vec<u8>>) -> Self {
        Self::described(files.into_iter().map(|f| (f, Description::default())).collect())
    }

    fn described(files: Vec<(Vec<u8>, Description)>) -> Self {
        let described: Vec<_> = files.iter().map(|(f, d)| (f.as_slice(), d.clone())).collect();
        let indexed = ingest(&described).unwrap_or_else(|e| panic!("{e}"));
        let head = &indexed.index[..indexed.head_bytes as usize];
        let head = Head::read(head, indexed.index.len() as u64).expect("the index is read");
        Self { files: files.into_iter().map(|(f, _)| f).collect(), indexed, head }
    }

    fn documents(&self, package_type: PackageType) -> packager::job::Documents {
        let sizes: Vec<u64> = self.files.iter().map(|f| f.len() as u64).collect();
        drive::documents(package_type, 6, &self.indexed.index, self.indexed.head_bytes, &sizes)
    }

    fn bytes(&self, response: &Response) -> Vec<u8> {
        let read = |object: &SourceObject, range: core::ops::Range<u64>| {
            let number: usize = object.path.trim_end_matches(".mp4").parse().expect("a file of the test");
            self.files[number][range.start as usize..range.end as usize].to_vec()
        };
        let bytes = drive::bytes_of(&response.parts, 100, read);
        assert_eq!(bytes.len() as u64, response.len(), "the length is known before the bytes");
        bytes
    }

    /// A file of a track.
    fn get(&self, documents: &packager::job::Documents, track: TrackName, file: TrackFile) -> Vec<u8> {
        let resource = Resource::Tagged { tag: packager::job::tag(documents), track, file };
        let response = drive::respond(documents, resource, &self.indexed.index);
        self.bytes(&response.unwrap_or_else(|e| panic!("{track} {file:?}: {e}")))
    }

    fn segments(&self, documents: &packager::job::Documents, at: usize, format: SegmentFormat) -> Vec<Vec<u8>> {
        let count = segmenter::ladder(&self.head, 6)[at].len() as u32;
        let name = self.head.tracks[at].name;
        (1..=count).map(|number| self.get(documents, name, TrackFile::Segment { number, format })).collect()
    }

    fn manifest(&self, documents: &packager::job::Documents) -> String {
        let extension = documents.configuration.package_type.manifest_extension();
        let resource = Resource::Manifest { name: "index".into(), extension };
        drive::text_of(&drive::respond(documents, resource, &self.indexed.index).expect("a manifest"))
    }

    /// The cues of a text track in the form that a package type gives them.
    fn cues(&self, package_type: PackageType, at: usize) -> Vec<Cue> {
        let documents = self.documents(package_type);
        if package_type == PackageType::Dash {
            let mut reader = SampleReader::new(&Entry::Wvtt(text::wvtt::Entry::default())).unwrap();
            for segment in self.segments(&documents, at, SegmentFormat::Cmaf) {
                for (start, duration, data) in cues::samples(&segment) {
                    reader.push(Sample { data, start, end: start + duration }).unwrap();
                }
            }
            return reader.finish().cues;
        }
        let origin = if package_type == PackageType::Hls { 900_000 } else { 0 };
        let segments = self.segments(&documents, at, SegmentFormat::Webvtt);
        let placed = segments.iter().map(|segment| {
            let document = text::webvtt::parse(segment).expect("WebVTT");
            assert_eq!(document.timestamp_map.as_ref().map(|m| (m.mpegts, m.local_ms)), Some((origin, 0)));
            document.placed(Placement { origin, segment_start: 0 })
        });
        text::merge(placed.collect::<Vec<Document>>()).unwrap().cues
    }
}

/// Start, end and text.
fn plain(cues: &[Cue]) -> Vec<(u64, u64, &str)> {
    cues.iter().map(|c| (c.start, c.end, c.payload.as_str())).collect()
}

const EVERY: [PackageType; 3] = [PackageType::Cmaf, PackageType::Dash, PackageType::Hls];

/// The picture file of 16 s, with all of its media presented from this media time on.
fn video_from(media_time: u32) -> Vec<u8> {
    let mut video = fixture("ladder/video_180p.mp4");
    let elst = video.windows(4).position(|w| w == b"elst").expect("an edit list") + 4;
    assert_eq!((u32_at(&video, elst + 4), u32_at(&video, elst + 12)), (1, 3600), "one edit, a frame of delay");
    video[elst + 8..elst + 12].fill(0);
    video[elst + 12..elst + 16].copy_from_slice(&media_time.to_be_bytes());
    video
}

#[test]
fn cues_come_out_of_every_package_type() {
    let names = [
        "ladder/video_180p.mp4",
        "ladder/audio_eng.mp4",
        "text/wvtt.mp4",
        "text/stpp.mp4",
        "text/eng.vtt",
        "text/fra.srt",
    ];
    let title = Title::new(names.map(fixture).into());
    let named: Vec<String> = title.head.tracks.iter().map(|t| t.name.to_string()).collect();
    assert_eq!(named, ["v0", "a0", "t0", "t1", "t2", "t3"]);
    assert_eq!(title.indexed.duration_ms, 16_000);
    for (at, source) in [(2, "text/eng.vtt"), (4, "text/eng.vtt"), (5, "text/fra.srt")] {
        let mut wanted = text::parse(&fixture(source)).unwrap().cues;
        wanted.retain(|cue| cue.start < 16_000);
        assert!(wanted.len() > 2);
        for package_type in EVERY {
            assert_eq!(
                plain(&title.cues(package_type, at)),
                plain(&wanted),
                "{source} as track {at} of {package_type:?}"
            );
        }
        let mut documents = title.documents(PackageType::Dash);
        Arc::make_mut(&mut documents.configuration).text_format = TextFormat::Webvtt;
        let file = title.get(&documents, title.head.tracks[at].name, TrackFile::Text);
        assert_eq!(plain(&text::parse(&file).unwrap().cues), plain(&wanted), "{source} as one file");
    }
}

#[test]
fn ttml_passes_through() {
    let title = Title::new(["ladder/video_180p.mp4", "text/stpp.mp4"].map(fixture).into());
    let stpp = &title.head.tracks[1];
    assert_eq!((stpp.name.to_string().as_str(), stpp.codec.as_str()), ("t0", "stpp.ttml.im1t"));
    assert_eq!((&stpp.storage, stpp.edit_media_time, stpp.transport), (&Storage::File(1), 0, false));
    assert_eq!(stpp.end / u64::from(stpp.timescale), 16, "text does not lengthen a title");

    // What is in the source, fragment by fragment, up to the end of the pictures.
    let source = &title.files[1];
    let documents: Vec<&[u8]> = boxes(source).into_iter().filter(|b| b.kind == *b"mdat").map(|b| b.content).collect();
    for package_type in [PackageType::Cmaf, PackageType::Dash] {
        let wanted = title.documents(package_type);
        let init = title.get(&wanted, stpp.name, TrackFile::Init(1));
        let mdia = child(&init, &[b"moov", b"trak", b"mdia"]);
        assert_eq!(&child(mdia, &[b"hdlr"])[8..12], b"subt");
        assert_eq!(child(mdia, &[b"minf", b"sthd"]), [0; 4]);
        assert!(child(mdia, &[b"minf", b"stbl", b"stsd",])[8..].starts_with(&stpp.sample_entries[0]));
        let segments = title.segments(&wanted, 1, SegmentFormat::Cmaf);
        assert_eq!(segments.len(), 3);
        let mut at = 0;
        let mut media = Vec::new();
        for segment in &segments {
            for moof in boxes(segment).into_iter().filter(|b| b.kind == *b"moof") {
                let tfdt = child(moof.content, &[b"traf", b"tfdt"]);
                let start = u64::from_be_bytes(tfdt[4..12].try_into().unwrap());
                assert!(start >= at && start % u64::from(stpp.timescale) == 0, "{start}");
                at = start;
            }
            let mdats = boxes(segment).into_iter().filter(|b| b.kind == *b"mdat");
            media.extend(mdats.flat_map(|b| b.content.to_vec()));
        }
        assert_eq!(media, documents.concat());
        let manifest = title.manifest(&wanted);
        match package_type {
            PackageType::Dash => {
                assert!(
                    manifest.contains("codecs=\"stpp.ttml.im1t\"") && manifest.contains("mimeType=\"application/mp4\""),
                    "{manifest}"
                );
            }
            _ => {
                assert!(manifest.contains("TYPE=SUBTITLES") && manifest.contains(",stpp.ttml.im1t\""), "{manifest}");
                let playlist = String::from_utf8(title.get(&wanted, stpp.name, TrackFile::Playlist)).unwrap();
                assert_eq!(playlist.matches("#EXTINF:").count(), 3, "{playlist}");
                assert!(playlist.contains("#EXT-X-MAP"), "{playlist}");
            }
        }
    }
    assert!(!title.manifest(&title.documents(PackageType::Hls)).contains("SUBTITLES"));
}

#[test]
fn times_are_those_of_the_edit_list() {
    let cues = [(500, ""), (1000, "a"), (250, ""), (2000, "b\nc"), (750, "")];
    let wanted = |shift: i64| {
        let at = |time: u64| time.saturating_add_signed(shift);
        vec![(at(500), at(1500), "a"), (at(1750), at(3750), "b\nc")]
    };
    type Made = fn(u32, &[(u32, &str)]) -> Track;
    let kinds: [Made; 2] = [Track::wvtt, |timescale, cues| Track::tx3g(timescale, 0, cues)];
    for made in kinds {
        // As they are; a delay; a stretch skipped; both; with pictures that are presented 40 ms late in their file.
        let cases = [
            (vec![], 3600, 0),
            (vec![(2000, -1), (4500, 0)], 3600, 2000),
            (vec![(4250, 250)], 3600, -250),
            (vec![(1000, -1), (4250, 250)], 3600, 750),
            (vec![], 0, -40),
        ];
        for (edits, media_time, shift) in cases {
            let text = Track { edits: edits.clone(), ..made(1000, &cues) };
            let title = Title::new(vec![video_from(media_time), file::file(&[text])]);
            assert_eq!(title.indexed.warnings, [] as [String; 0]);
            for package_type in EVERY {
                assert_eq!(
                    plain(&title.cues(package_type, 1)),
                    wanted(shift),
                    "{edits:?} {media_time} {package_type:?}"
                );
            }
        }
    }
    // A sample that the edit list begins in, and one that it ends in.
    let text = Track { edits: vec![(2000, 1000)], ..Track::wvtt(1000, &cues) };
    let title = Title::new(vec![video_from(3600), file::file(&[text])]);
    assert_eq!(plain(&title.cues(PackageType::Cmaf, 1)), [(0, 500, "a"), (750, 2000, "b\nc")]);
    // A side file counts from the start of the title.
    let title = Title::new(vec![video_from(0), fixture("text/eng.vtt")]);
    assert_eq!(plain(&title.cues(PackageType::Cmaf, 1))[0], (500, 1900, "One"));
}

#[test]
fn ttml_has_no_priming_and_ends_with_the_title() {
    let documents = [(5000, "<tt>1</tt>"), (5000, "<tt>2</tt>"), (50_000, "<tt>3</tt>"), (1000, "<tt>4</tt>")];
    let title = Title::new(vec![video_from(0), file::file(&[Track::stpp(1000, &documents)])]);
    let stpp = &title.head.tracks[1];
    let times: Vec<u64> = stpp.fragments.iter().filter(|f| f.samples > 0).map(|f| f.decode_time).collect();
    assert_eq!((times, stpp.end, stpp.edit_media_time), (vec![0, 4960, 9960], 16_000, 0));
    assert!(title.indexed.warnings.iter().any(|w| w.contains("40 ms earlier")), "{:?}", title.indexed.warnings);
    assert_eq!(title.indexed.duration_ms, 16_000);
    // Segments of long samples begin where the samples do.
    let starts: Vec<(u64, u64)> = segmenter::ladder(&title.head, 2)[1].iter().map(|s| (s.start, s.end)).collect();
    assert_eq!(starts, [(0, 4960), (4960, 9960), (9960, 16_000)]);

    let late = Track { edits: vec![(20_000, -1), (5000, 0)], ..Track::stpp(1000, &documents) };
    let title = Title::new(vec![video_from(3600), file::file(&[late])]);
    assert!(title.indexed.warnings.iter().any(|w| w.contains("after all other tracks have ended")));
    let title = Title::new(vec![
        fixture("small/h264_aac.mp4"),
        file::file(&[Track::wvtt(1000, &[(4000, ""), (1000, "late")])]),
    ]);
    assert!(title.cues(PackageType::Dash, 2).is_empty());
}

#[test]
fn chapters_are_no_subtitles() {
    let text = Track { chapters: Some(2), ..Track::tx3g(1000, 0, &[(1000, "said")]) };
    let chapters = Track::tx3g(1000, 0, &[(1000, "Chapter 1")]);
    let title = Title::new(vec![fixture("small/ac3.mp4"), file::file(&[text, chapters])]);
    assert_eq!(title.indexed.tracks.len(), 2);
    assert_eq!(plain(&title.cues(PackageType::Hls, 1)), [(0, 1000, "said")]);
    let [warning] = title.indexed.warnings.as_slice() else { panic!("{:?}", title.indexed.warnings) };
    assert!(warning.contains("1.mp4: track 2 was left out") && warning.contains("chapters"), "{warning}");

    // Text of QuickTime is another format.
    let mut text = Track::tx3g(1000, 0, &[(1000, "x")]);
    text.entry[4..8].copy_from_slice(b"text");
    let title = Title::new(vec![fixture("small/ac3.mp4"), file::file(&[text])]);
    assert_eq!(title.indexed.tracks.len(), 1);
    assert!(title.indexed.warnings[0].contains("the type text is not handled"), "{:?}", title.indexed.warnings);
}

#[test]
fn what_is_said_of_a_file_with_sound_is_said_of_the_sound() {
    let said = Description {
        language: Some("en".into()),
        label: Some("Words".into()),
        role: Some("main".into()),
        default: true,
        forced: false,
    };
    let title = Title::described(vec![(fixture("text/tx3g.mp4"), said.clone())]);
    let text = title.head.tracks.iter().find(|t| matches!(t.media, Media::Text(_))).expect("its text");
    assert_eq!((text.default, text.label.as_deref(), text.role.as_deref()), (false, Some("French"), Some("subtitle")));

    let all_forced = Track::tx3g(1000, 0xc000_0000, &[(1000, "x")]);
    let title = Title::described(vec![
        (fixture("small/ac3.mp4"), Description::default()),
        (file::file(&[all_forced]), Description { role: None, ..said }),
        (file::file(&[Track::stpp(1000, &[(1000, "<tt/>")])]), Description { forced: true, ..Description::default() }),
    ]);
    let [_, cues, stpp] = title.head.tracks.as_slice() else { panic!("{:?}", title.indexed.tracks) };
    let forced = |t: &packager::index::Track| matches!(&t.media, Media::Text(text) if text.forced);
    assert!(forced(cues) && forced(stpp));
    assert_eq!((cues.default, cues.label.as_deref(), cues.language.as_deref()), (true, Some("Words"), Some("en")));
    assert_eq!((stpp.default, stpp.label.as_deref(), stpp.language.as_deref()), (false, Some("German"), Some("de")));
    let manifest = title.manifest(&title.documents(PackageType::Cmaf));
    assert_eq!(manifest.matches("FORCED=YES").count(), 2, "{manifest}");
}

#[test]
fn a_title_of_text_alone_is_refused() {
    let vtt = fixture("text/eng.vtt");
    let stpp = fixture("text/stpp.mp4");
    let wvtt = fixture("text/wvtt.mp4");
    for files in [vec![&vtt], vec![&stpp], vec![&wvtt, &vtt]] {
        let files: Vec<_> = files.into_iter().map(|f| (f.as_slice(), Description::default())).collect();
        let error = ingest(&files).unwrap_err();
        assert!(error.message().contains("no track of sound or picture"), "{error}");
    }
    // Side files are known by their content, and refused for what they are.
    let sound = fixture("small/ac3.mp4");
    for (text, reason) in [
        (&b"#EXTM3U\n#EXT-X-VERSION:3\n"[..], "\"#EXTM3U\""),
        (b"<?xml version=\"1.0\"?><tt xmlns=\"http://www.w3.org/ns/ttml\"/>", "TTML"),
        (b"Not found", "\"Not found\""),
    ] {
        let files = [(sound.as_slice(), Description::default()), (text, Description::default())];
        let error = ingest(&files).unwrap_err();
        assert!(error.message().starts_with("1.mp4: ") && error.message().contains(reason), "{error}");
    }
    let mapped = b"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\n00:01.000 --> 00:02.000\nx\n";
    let title = Title::new(vec![sound, mapped.to_vec()]);
    assert_eq!(plain(&title.cues(PackageType::Hls, 1)), [(1000, 2000, "x")]);
    assert!(title.indexed.warnings[0].contains("X-TIMESTAMP-MAP"), "{:?}", title.indexed.warnings);
}

#[test]
fn a_broken_text_track_costs_only_itself() {
    let mut text = file::file(&[Track::wvtt(1000, &[(1000, "a"), (1000, "b")])]);
    let stsz = text.windows(4).position(|w| w == b"stsz").unwrap();
    text[stsz + 16..stsz + 20].copy_from_slice(&0x0100_0000u32.to_be_bytes());
    let title = Title::new(vec![fixture("small/ac3.mp4"), text]);
    assert_eq!(title.indexed.tracks.len(), 1);
    assert!(title.indexed.warnings[0].contains("track 1 was left out: "), "{:?}", title.indexed.warnings);

    // Any byte may be wrong: there is a title of sound, or a reason.
    let sound = fixture("small/ac3.mp4");
    let tracks = [
        Track { edits: vec![(100, -1), (1000, 50)], ..Track::wvtt(1000, &[(1000, "a"), (500, ""), (1000, "b")]) },
        Track { chapters: Some(3), ..Track::tx3g(600, 0x8000_0000, &[(600, "x"), (300, "")]) },
        Track::stpp(1000, &[(1000, "<tt/>"), (1000, "<tt/>")]),
    ];
    let good = file::file(&tracks);
    for at in 0..good.len() {
        for value in [0x00, 0x7f, 0xff, good[at] ^ 0x01] {
            let mut bad = good.clone();
            bad[at] = value;
            let files = [(sound.as_slice(), Description::default()), (bad.as_slice(), Description::default())];
            match ingest(&files) {
                Ok(indexed) => {
                    let sizes = files.map(|(f, _)| f.len() as u64);
                    let documents = drive::documents(PackageType::Cmaf, 2, &indexed.index, indexed.head_bytes, &sizes);
                    drive::crawl(&documents, &indexed.index, 12);
                    let documents = drive::documents(PackageType::Dash, 2, &indexed.index, indexed.head_bytes, &sizes);
                    let manifest = Resource::Manifest { name: "index".into(), extension: ManifestExtension::Mpd };
                    drive::respond(&documents, manifest, &indexed.index).expect("a manifest");
                }
                Err(error) => assert!(error.message().starts_with("1.mp4: "), "{error}"),
            }
        }
    }
}

/// Files of others, where they are.
#[test]
fn files_of_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media");
    let read = |name: &str| fs::read(root.join(name)).ok();
    if let Some(file) = read("generated/progressive/three_audio_tx3g_chapters.mp4") {
        let title = Title::new(vec![file]);
        let texts: Vec<usize> =
            (0..title.head.tracks.len()).filter(|n| matches!(title.head.tracks[*n].media, Media::Text(_))).collect();
        let [text] = texts.as_slice() else { panic!("{:?}", title.indexed.tracks) };
        println!("{:?} {:?}", title.indexed.warnings, plain(&title.cues(PackageType::Dash, *text)));
        assert!(title.indexed.warnings.iter().any(|w| w.contains("chapters")), "{:?}", title.indexed.warnings);
        assert_eq!(title.cues(PackageType::Dash, *text), title.cues(PackageType::Hls, *text));
    }
    for name in [
        "dash/androidx+media/dash/ttml-in-mp4/sample.text.mp4",
        "dash/androidx+media/dash/webvtt-in-mp4/sample.text.mp4",
        "progressive/androidx+media/mp4/sample_with_chapters.mp4",
        "subs/Eyevinn+mp4ff/cmd/mp4ff-subslister/testdata/stpp_combined.mp4",
        "smooth/Eyevinn+mp4ff/cmd/mp4ff-subslister/testdata/sample_short.ismt",
    ] {
        let Some(file) = read(name) else { continue };
        let sound = fixture("ladder/audio_eng.mp4");
        let indexed = ingest(&[(&sound, Description::default()), (&file, Description::default())]);
        match indexed {
            Ok(indexed) => println!(
                "{name}: {:?} {:?}",
                indexed.tracks.iter().map(|t| (&t.name, &t.codec, t.samples)).collect::<Vec<_>>(),
                indexed.warnings
            ),
            Err(error) => {
                println!("{name}: {error}");
                assert_ne!(error.kind(), packager::ErrorKind::Internal, "{error}");
            }
        }
    }
}
