//! Cues through the index into segments and back, the files of the media folder, and the opinion of mp4-atom.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod cues;

use std::fs;
use std::path::{Path, PathBuf};

use cues::{Cut, check, child, round_trip};
use packager::segment::wvtt;
use packager::text::{self, Cue, CueRef, Document, Entry, Forced};

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media/text").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Files beside the repository, when they are there.
fn shared() -> Vec<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media");
    let mut todo = vec![std::env::var_os("EDGEPACK_MEDIA").map_or_else(beside, PathBuf::from)];
    let mut found = Vec::new();
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { todo.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// A generator whose numbers are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

fn random_document(numbers: &mut Numbers) -> Document {
    let header = numbers.one(&["", "STYLE\n::cue {}", "STYLE\na\n\nREGION\nid:x\nlines:3"]).to_owned();
    let mut document = Document { header, ..Document::default() };
    for _ in 0..numbers.below(60) {
        let start = numbers.below(40_000);
        let longest = if numbers.below(10) == 0 { 60_000 } else { 4000 };
        let end = start + 2 + numbers.below(longest);
        let identifier = numbers.one(&["", "", "1", "NOTE", "STYLE", "an id"]).to_owned();
        let settings = numbers.one(&["", "", "line:0", "line:50% align:start region:x"]).to_owned();
        let mut payload = String::new();
        for _ in 0..numbers.below(4) {
            let pieces = ["a", "<b>é</b>", "\n", " ", "♪", "&amp; -- >", "<00:00:01.500>x", "STYLE", "\u{1f642}"];
            payload.push_str(numbers.one(&pieces));
        }
        let payload = payload.trim_matches('\n').replace("\n\n", "\n");
        document.cues.push(Cue { start, end, identifier, settings, payload });
        if numbers.below(10) == 0 {
            document.cues.extend(document.cues.last().cloned());
        }
    }
    document.sort();
    check(&document);
    document
}

#[test]
fn random_cues_come_back_from_every_form() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for _ in 0..400 {
        let document = random_document(&mut numbers);
        let mut cuts = vec![0];
        while cuts.len() < 30 {
            cuts.push(cuts.last().unwrap() + 1 + numbers.below(5000));
        }
        let fragments = 1 + numbers.below(7) as usize;
        let mpegts = [0, 900_000, 126_000, (1 << 33) - 5][numbers.below(4) as usize];
        round_trip(&document, &Cut { cuts: &cuts, fragments, mpegts }).expect("they are below the limits");
    }
}

#[test]
fn a_title_of_27_hours_passes_the_wrap_of_its_timestamps() {
    let cue = |start: u64, end: u64| Cue { start, end, payload: start.to_string(), ..Cue::default() };
    let cues = (0..27 * 60).map(|minute| cue(minute * 60_000 + 100, minute * 60_000 + 3000)).collect();
    let cuts = (0..27 * 600).map(|k| k * 6000).collect::<Vec<u64>>();
    let document = Document { cues, ..Document::default() };
    round_trip(&document, &Cut { cuts: &cuts, fragments: 1, mpegts: 900_000 }).expect("they are below the limits");
}

#[test]
fn own_files_are_read() {
    let times = |name| {
        let document = text::parse(&fixture(name)).unwrap();
        check(&document);
        (document.cues.iter().map(|c| (c.start, c.end)).collect::<Vec<_>>(), document)
    };
    let (eng, document) = times("eng.vtt");
    assert_eq!(eng[..3], [(500, 1900), (2000, 4000), (5000, 7000)]);
    assert_eq!(document.cues[2].settings, "line:10% align:start");
    assert_eq!(document.header, "STYLE\n::cue {\n  color: yellow;\n}");
    assert_eq!(document.warnings, Vec::<String>::new());
    let (fra, document) = times("fra.srt");
    assert_eq!(fra.len(), document.cues.len());
    assert_eq!(document.warnings, Vec::<String>::new());
}

/// Every sample entry of a text track in a file.
fn entries(file: &[u8]) -> Vec<(text::Entry, [u8; 4])> {
    let moov = child(file, &[b"moov"]);
    let mut found = Vec::new();
    for trak in cues::boxes(moov).into_iter().filter(|found| found.kind == *b"trak") {
        let handler: [u8; 4] = child(trak.content, &[b"mdia", b"hdlr"])[8..12].try_into().unwrap();
        if matches!(&handler, b"text" | b"subt" | b"sbtl") {
            let stsd = child(trak.content, &[b"mdia", b"minf", b"stbl", b"stsd"]);
            for entry in cues::boxes(&stsd[8..]) {
                found.push((Entry::read(entry.kind, entry.content).unwrap(), handler));
            }
        }
    }
    found
}

#[test]
fn sample_entries_are_read() {
    let [(Entry::Wvtt(entry), handler)] = &entries(&fixture("wvtt.mp4"))[..] else { panic!("one wvtt track") };
    assert_eq!((entry.header.as_str(), handler), ("", b"text"));
    let stpp = entries(&fixture("stpp.mp4"));
    let [(entry @ Entry::Stpp(stpp), handler)] = &stpp[..] else { panic!("one stpp track") };
    assert!(stpp.namespace.contains("http://www.w3.org/ns/ttml"), "{stpp:?}");
    assert_eq!((entry.codecs(None).as_str(), handler), ("stpp.ttml.im1t", b"subt"));
    let tx3g = entries(&fixture("tx3g.mp4"));
    assert!(matches!(&tx3g[..], [(Entry::Tx3g(_), handler)] if matches!(handler, b"sbtl" | b"text")), "{tx3g:?}");
    assert_eq!(tx3g[0].0.forced(), Forced::None);
}

/// Sizes and times of the samples in `wvtt.mp4`, which shaka-packager made of `eng.vtt`.
fn shaka_samples() -> Vec<(u64, u64, Vec<u8>)> {
    let file = fixture("wvtt.mp4");
    let mut found = Vec::new();
    for moof in cues::boxes(&file).into_iter().filter(|found| found.kind == *b"moof") {
        let tfhd = child(moof.content, &[b"traf", b"tfhd"]);
        let tfdt = child(moof.content, &[b"traf", b"tfdt"]);
        let trun = child(moof.content, &[b"traf", b"trun"]);
        let mut start = match tfdt[0] {
            0 => u64::from(cues::u32_at(tfdt, 4)),
            _ => u64::from_be_bytes(tfdt[4..12].try_into().unwrap()),
        };
        let tfhd_flags = cues::u32_at(tfhd, 0) & 0xff_ffff;
        let flags = cues::u32_at(trun, 0) & 0xff_ffff;
        assert_eq!(flags & !0xe00, 0x101, "data offset and durations");
        // base-data-offset and sample-description-index come before the default duration and size
        let defaults = 8 + 8 * (tfhd_flags & 1) as usize + 4 * (tfhd_flags >> 1 & 1) as usize;
        let default_size = || cues::u32_at(tfhd, defaults + 4 * (tfhd_flags >> 3 & 1) as usize) as usize;
        let stride = 4 + 4 * (flags & 0xe00).count_ones() as usize;
        let mut position = moof.at + cues::u32_at(trun, 8) as usize;
        for sample in 0..cues::u32_at(trun, 4) as usize {
            let at = 12 + stride * sample;
            let duration = u64::from(cues::u32_at(trun, at));
            let size = if flags & 0x200 != 0 { cues::u32_at(trun, at + 4) as usize } else { default_size() };
            found.push((start, start + duration, file[position..position + size].to_vec()));
            start += duration;
            position += size;
        }
    }
    found
}

#[test]
fn cues_and_samples_are_those_of_shaka_packager() {
    let theirs = shaka_samples();
    let mut reader = text::SampleReader::new(&Entry::Wvtt(text::wvtt::Entry::default())).unwrap();
    for (start, end, data) in &theirs {
        reader.push(text::Sample { data, start: *start, end: *end }).unwrap();
    }
    let mut cues = reader.finish().cues;
    // They write this default out.
    cues.iter_mut().filter(|cue| cue.settings == "align:center").for_each(|cue| cue.settings.clear());
    let source = text::parse(&fixture("eng.vtt")).unwrap().cues;
    assert_eq!(cues, source);

    let refs = source.iter().zip(0..).map(|(cue, ordinal)| cue.at(ordinal)).collect::<Vec<CueRef<'_>>>();
    let ours = [0..6000, 6000..12_000, 12_000..18_000]
        .map(|time| wvtt::segment(&wvtt::Segment { time, sequence: 1, cues: &refs }).unwrap());
    assert_eq!(
        ours.iter().flat_map(|segment| cues::samples(segment)).map(|s| (s.0, s.0 + s.1)).collect::<Vec<_>>(),
        theirs.iter().map(|s| (s.0, s.1)).collect::<Vec<_>>()
    );
}

#[test]
fn mp4_atom_reads_a_segment() {
    use mp4_atom::{Any, Decode};
    let cue = CueRef { ordinal: 3, start: 500, end: 2500, payload: "a", settings: "line:0", ..CueRef::default() };
    let segment = wvtt::segment(&wvtt::Segment { time: 1000..7000, sequence: 9, cues: &[cue] }).unwrap();
    let mut rest = &segment[..];
    let mut kinds = Vec::new();
    while !rest.is_empty() {
        match Any::decode(&mut rest).expect("a box that mp4-atom reads") {
            Any::Styp(_) => kinds.push("styp"),
            Any::Moof(moof) => {
                kinds.push("moof");
                assert_eq!(moof.mfhd.sequence_number, 9);
                let traf = &moof.traf[0];
                assert_eq!(traf.tfdt.as_ref().unwrap().base_media_decode_time, 1000);
                let entries = traf.trun[0].samples.iter().map(|e| (e.duration.unwrap(), e.size.unwrap()));
                assert_eq!(entries.collect::<Vec<_>>(), [(1500, 43), (4500, 8)]);
            }
            Any::Mdat(mdat) => {
                kinds.push("mdat");
                assert_eq!(mdat.data.len(), 51);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kinds, ["styp", "moof", "mdat"]);
}

#[test]
fn real_files_are_read_or_refused_with_a_reason() {
    let names = ["vtt", "srt", "ttml", "xml", "stl", "scc", "dfxp", "webvtt"];
    for path in shared() {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let in_subs = path.components().any(|c| c.as_os_str() == "subs");
        if !(names.contains(&extension) || in_subs && extension.is_empty()) {
            continue;
        }
        let data = fs::read(&path).unwrap();
        match text::parse(&data) {
            Ok(mut document) => {
                check(&document);
                document.sort();
                document.cues.retain(|cue| cue.end - cue.start > 1);
                document.warnings.clear();
                let cuts = (0..100).map(|k| k * 2000).collect::<Vec<u64>>();
                round_trip(&document, &Cut { cuts: &cuts, fragments: 3, mpegts: 900_000 }).unwrap();
                println!("{}: {} cues", path.display(), document.cues.len());
            }
            Err(error) => {
                assert!(error.message().len() > 20, "{error}");
                println!("{}: {error}", path.display());
            }
        }
    }
}

#[test]
fn any_byte_may_be_wrong() {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for (kind, name) in [(0, "eng.vtt"), (1, "fra.srt"), (2, "eng.vtt")] {
        seeds.push([&[kind], fixture(name).as_slice()].concat());
    }
    let with_lengths = |kind: u8, entry: &[u8], samples: &[Vec<u8>]| {
        let mut seed = vec![kind, entry.len() as u8];
        seed.extend_from_slice(entry);
        samples.iter().for_each(|sample| seed.extend([&[sample.len() as u8], sample.as_slice()].concat()));
        seed
    };
    let entry = wvtt::sample_entry(wvtt::Description { header: "STYLE\na", label: "t0" });
    let samples = shaka_samples().into_iter().map(|s| s.2).collect::<Vec<_>>();
    seeds.push(with_lengths(4, &entry[8..], &samples));
    let styled = b"\0\x03abc\0\0\0\x16styl\0\x01\0\0\0\x02\0\x01\x07\x18\xff\xff\xff\xff".to_vec();
    seeds.push(with_lengths(3, &[0; 46], &[styled.clone(), b"\0\0".to_vec(), styled]));
    let parsed = text::parse(&fixture("eng.vtt")).unwrap();
    seeds.push([&[5], packager::index::cues::write(&parsed.cues, &[0, 2000]).unwrap().bytes.as_slice()].concat());
    for seed in seeds {
        cues::any(&seed);
        for at in 0..seed.len() {
            cues::any(&seed[..at]);
            for value in [0, b'\n', b'-', b':', 0x7f, 0xff, seed[at] ^ 1] {
                let mut bad = seed.clone();
                bad[at] = value;
                cues::any(&bad);
            }
        }
    }
}
