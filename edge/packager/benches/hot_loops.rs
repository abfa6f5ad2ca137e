//! The loops that most of a request's time goes to, each by itself: `cargo bench -p packager`.

#![allow(clippy::disallowed_methods, reason = "what measures has files and a clock")]
#![allow(missing_docs, reason = "criterion makes functions of its own")]

#[allow(dead_code, reason = "shared with the example that measures whole titles")]
#[path = "../examples/core_speed/title.rs"]
mod title;

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use packager::aes::{Ctr, Key, Pattern, cbc_chains};
use packager::codec::{Config, Handler, SampleEntry, Scanner, Subsample};
use packager::config::{PackageType, Scheme, SourceObject};
use packager::index::block::Block;
use packager::index::{Head, Track};
use packager::media::segmenter;
use packager::segment::fmp4;
use packager::segment::gather::Stored;
use title::{Memory, Title, body};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const MEDIA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/media/ladder");
const FILES: [&str; 2] = ["video_720p.mp4", "audio_eng.mp4"];
/// Sizes of samples under common encryption.
const AES_BYTES: [usize; 3] = [400, 10_000, 100_000];

fn main_track(head: &Head) -> &Track {
    head.tracks.iter().find(|track| track.is_video()).expect("video")
}

/// The title, its head, and the blocks of its video.
fn opened() -> (Title, Head) {
    let title = Title::learn(MEDIA, "bench", &FILES).expect("the bundled sample");
    let head = title.head().expect("a head");
    (title, head)
}

fn index(criterion: &mut Criterion) {
    let (title, head) = opened();
    let track = main_track(&head);
    let samples: u64 = track.fragments.iter().map(|fragment| u64::from(fragment.samples)).sum();
    let blocks = track.blocks(0..track.fragments.len());
    let blocks = &title.index[blocks.start as usize..blocks.end as usize];
    let base = track.fragments.first().map_or(0, |fragment| fragment.block_offset);
    let mut group = criterion.benchmark_group("index");
    group.throughput(Throughput::Elements(samples));
    let mut block = Block::default();
    group.bench_function("blocks of video, samples", |bencher| {
        bencher.iter(|| {
            for fragment in &track.fragments {
                let data = &blocks[(fragment.block_offset - base) as usize..];
                black_box(block.read(track, fragment, data).expect("a block"));
            }
        });
    });
    let sources: Vec<_> =
        FILES.iter().map(|path| Arc::new(SourceObject { path: (*path).into(), bytes: 1 << 40, etag: None })).collect();
    let segments = segmenter::ladder(&head, 6).into_iter().zip(&head.tracks).find(|(_, track)| track.is_video());
    let segment = segments.expect("video").0.into_iter().next().expect("a segment");
    let range = track.blocks(segment.fragments.clone());
    let own = Stored { track, blocks: &title.index[range.start as usize..range.end as usize], sources: &sources };
    let source =
        fmp4::Source { track: own, events: None, protection: None, salt: "", before: fmp4::Preceding::default() };
    let written = track.fragments.get(segment.fragments.clone()).unwrap_or_default();
    group.throughput(Throughput::Elements(written.iter().map(|fragment| u64::from(fragment.samples)).sum()));
    group.bench_function("moof of a segment, samples", |bencher| {
        bencher.iter(|| black_box(fmp4::write(&source, &segment).expect("a segment")));
    });
    group.finish();
}

fn segments(criterion: &mut Criterion) {
    let (title, _) = opened();
    let storage = Memory::load(MEDIA, &FILES.map(str::to_owned)).expect("the bundled sample");
    let mut group = criterion.benchmark_group("segment");
    for (name, package_type, scheme) in [
        ("transport stream", PackageType::Hls, None),
        ("transport stream, sample-aes", PackageType::Hls, Some(Scheme::SampleAes)),
        ("CMAF, cbcs", PackageType::Cmaf, Some(Scheme::Cbcs)),
        ("CMAF, cenc", PackageType::Cmaf, Some(Scheme::Cenc)),
    ] {
        let documents = title.documents(package_type, scheme).expect("documents");
        let routes = title.segments(&documents).expect("segments");
        let route = routes.iter().find(|route| route.to_string().contains("/v0/1.")).expect("a first segment").clone();
        let (mut prepared, mut out) = (None, Vec::new());
        let response = title.respond(route, &documents, &mut prepared).expect("a segment");
        body(&response, &storage, &mut out).expect("a body");
        group.throughput(Throughput::Bytes(out.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| body(black_box(&response), &storage, &mut out)));
    }
    group.finish();
}

fn slice_headers(criterion: &mut Criterion) {
    let (title, head) = opened();
    let track = main_track(&head);
    let file = std::fs::read(format!("{MEDIA}/{}", FILES[0])).expect("the bundled sample");
    let blocks = track.blocks(0..track.fragments.len());
    let mut samples: Vec<Range<usize>> = Vec::new();
    let mut block = Block::default();
    for fragment in &track.fragments {
        let start = fragment.block_offset as usize;
        block.read(track, fragment, &title.index[start..blocks.end as usize]).expect("a block");
        let mut sizes = block.samples.iter().map(|sample| sample.size as usize);
        for extent in &block.extents {
            let mut at = extent.range.start as usize;
            for size in sizes.by_ref().take(extent.samples as usize) {
                samples.push(at..at + size);
                at += size;
            }
        }
    }
    let entry = track.sample_entries.first().expect("a sample entry");
    let fourcc = entry[4..8].try_into().expect("four bytes");
    let config = Config::parse(&SampleEntry { fourcc, handler: Handler::Video, data: &entry[8..] }).expect("H.264");
    let mut scanner = Scanner::new(&config);
    let mut out: Vec<Subsample> = Vec::new();
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(samples.len() as u64));
    group.bench_function("slice headers of H.264, samples", |bencher| {
        bencher.iter(|| {
            for sample in &samples {
                out.clear();
                scanner.scan(&file[sample.clone()], &mut out).expect("a sample");
            }
        });
    });
    assert_eq!(scanner.broken(), 0, "the sample is sound");
    group.finish();
}

fn aes(criterion: &mut Criterion) {
    let key = Key::new(&[0x42; 16]);
    let mut data = vec![7; 1_000_000];
    let mut group = criterion.benchmark_group("aes");
    group.throughput(Throughput::Bytes(data.len() as u64));
    for bytes in AES_BYTES {
        group.bench_function(format!("counter mode, samples of {bytes} bytes"), |bencher| {
            bencher.iter(|| {
                for (sample, iv) in data.chunks_mut(bytes).zip(0..) {
                    Ctr::new(iv).apply(&key, sample);
                }
            });
        });
        let chains: Vec<Range<usize>> = (0..data.len() / bytes).map(|n| n * bytes..(n + 1) * bytes).collect();
        group.bench_function(format!("one block of ten, samples of {bytes} bytes"), |bencher| {
            bencher.iter(|| cbc_chains(&key, &[7; 16], Pattern::ONE_OF_TEN, &mut data, &chains));
        });
    }
    group.finish();
}

fn manifests(criterion: &mut Criterion) {
    let (title, _) = opened();
    let cmaf = title.documents(PackageType::Cmaf, None).expect("documents");
    let dash = title.documents(PackageType::Dash, None).expect("documents");
    let segment = title.segments(&cmaf).expect("segments").iter().map(ToString::to_string).find(|u| u.contains("/v0/"));
    let folder = segment.as_deref().and_then(|url| url.rsplit_once('/')).map_or("", |(folder, _)| folder).to_owned();
    let playlist = format!("{}/playlist.m3u8", folder.trim_start_matches("/vod/v1/g/a/c/"));
    let mut group = criterion.benchmark_group("manifest");
    for (name, path, documents) in
        [("multivariant", "index.m3u8", &cmaf), ("playlist", playlist.as_str(), &cmaf), ("MPD", "index.mpd", &dash)]
    {
        let mut prepared = None;
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(title.get(path, documents, &mut prepared).expect("a manifest")));
        });
    }
    group.finish();
}

criterion_group!(hot_loops, index, segments, slice_headers, aes, manifests);
criterion_main!(hot_loops);
