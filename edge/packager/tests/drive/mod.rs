//! Drives the core over arbitrary bytes and checks what must always hold. The fuzz targets and the replay of their finds
//! both call these.

#![allow(dead_code, reason = "each of its users drives another part")]

use core::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use packager::ErrorKind;
use packager::config::{
    Access, Asset, ContentKeys, HlsVersion, IndexObject, Iv, KeyUse, KeysOf, Kid, ManifestExtension, PackageType,
    PackagingConfiguration, Protection, Scheme, SealedKey, Signalling, SourceObject, StreamSelection, System,
    TextFormat, is_storage_path, keys_key,
};
use packager::index::Head;
use packager::ingest::hls::{Answer, HlsStep, PlaylistIndexer, Read};
use packager::ingest::{Description, IndexedAsset, Indexer, IngestStep, SourceFile};
use packager::job::{Documents, Job, Step};
use packager::m3u8::{Media, Multivariant};
use packager::make::{Maker, Progress, Recipe};
use packager::media::delivery::{self, Delivery};
use packager::media::protection::Keys;
use packager::media::segmenter;
use packager::response::{Part, Response};
use packager::route::{Resource, Route, SegmentFormat, TrackFile};
use packager::sealing::{ContentKey, NONCE_BYTES, SealingKey};
use packager::segment::fmp4::{self, Carrier};
use packager::segment::gather::Stored;
use packager::segment::recipe::Secret;

/// Bytes as a media file: boxes, sample tables, codecs, index; then everything that can be asked of the index.
pub fn file(data: &[u8]) {
    let Some(indexed) = ingest(&[data]) else { return };
    let head = Head::read(&indexed.index[..indexed.head_bytes as usize], indexed.index.len() as u64);
    let head = head.expect("what was written is read");
    for package_type in [PackageType::Cmaf, PackageType::Dash] {
        let mut documents = documents(package_type, 2, &indexed.index, indexed.head_bytes, &[data.len() as u64]);
        let scheme = match data.len() % 3 {
            0 => None,
            1 => Some(Scheme::Cenc),
            _ => Some(Scheme::Cbcs),
        };
        if let Some(scheme) = scheme {
            protect(&mut documents, plain(scheme));
        }
        let manifest = Resource::Manifest { name: "index".into(), extension: package_type.manifest_extension() };
        let text = respond(&documents, manifest, &indexed.index).expect("a manifest of what was ingested");
        let text = text_of(&text);
        let tag = tag_in(&text);
        let deliveries = delivery::deliveries(&head, &documents.configuration);
        let tracks = head.tracks.iter().zip(segmenter::ladder(&head, 2)).zip(deliveries);
        for ((track, segments), delivery) in tracks {
            let get = |file| {
                let resource = Resource::Tagged { tag, track: track.name, file };
                respond(&documents, resource, &indexed.index).expect("a file of what was ingested")
            };
            let Some(format) = delivery.format() else { continue };
            for number in 1..=segments.len().min(3) as u32 {
                let response = get(TrackFile::Segment { number, format });
                if delivery == Delivery::Cmaf && scheme.is_some() {
                    let read =
                        |_: &SourceObject, range: Range<u64>| data[range.start as usize..range.end as usize].to_vec();
                    let bytes = bytes_of(&response.parts, 500, read);
                    assert_eq!(bytes.len() as u64, response.len(), "the length is known before the bytes");
                } else if delivery == Delivery::Cmaf {
                    let length =
                        fmp4::length(Carrier { track, events: None, protection: None }, &segments[number as usize - 1]);
                    assert_eq!(response.len(), length, "the length is known before the bytes");
                }
                for part in &response.parts {
                    if let Part::Source { range, .. } = part {
                        assert!(
                            range.start <= range.end && range.end <= data.len() as u64,
                            "{range:?} is in the source"
                        );
                    }
                }
            }
            if format == SegmentFormat::Cmaf {
                get(TrackFile::Init(1));
            }
        }
    }
    // One of the ways for each file: there are thousands of them.
    let choice = data.iter().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let (separate, protection) = (choice / 3 % 2 == 1, HLS_PROTECTION[choice % 3]);
    let mut documents = documents(PackageType::Hls, 2, &indexed.index, indexed.head_bytes, &[data.len() as u64]);
    Arc::make_mut(&mut documents.configuration).audio_separation = separate;
    if let Some((scheme, iv)) = protection {
        protect_hls(&mut documents, scheme, u32::from(separate), &[(KeyUse::All, 3, iv)]);
    }
    let manifest = Resource::Manifest { name: "index".into(), extension: ManifestExtension::M3u8 };
    if respond(&documents, manifest, &indexed.index).is_err_and(|e| e.kind() == ErrorKind::Unsupported) {
        return;
    }
    for (resource, response) in crawl(&documents, &indexed.index, 5) {
        let read = |_: &SourceObject, range: Range<u64>| data[range.start as usize..range.end as usize].to_vec();
        let bytes = bytes_of(&response.parts, 500, read);
        assert_eq!(bytes.len() as u64, response.len(), "the length of {resource} is known before the bytes");
    }
}

/// What the playlists of an asset lead to, each once, in the order in which it is found, but not more than `most`.
pub fn crawl(documents: &Documents, index: &[u8], most: usize) -> Vec<(Resource, Response)> {
    let extension = documents.configuration.package_type.manifest_extension();
    let route = |path: &str| Route::parse(&format!("/vod/v1/g/a/c/{path}")).expect("a path of ours").resource;
    let mut waiting = vec![format!("index.{}", extension.as_str())];
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(path) = waiting.get(next).filter(|_| next < most).cloned() {
        next += 1;
        let resource = route(&path);
        let response = respond(documents, resource.clone(), index).unwrap_or_else(|e| panic!("{path}: {e}"));
        if path.ends_with(".m3u8") {
            let text = text_of(&response);
            let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            let text: String = text.split_inclusive('\n').filter(|line| !line.contains("-KEY:METHOD=")).collect();
            let quoted = text.split("URI=\"").skip(1).filter_map(|t| t.split('"').next());
            let lines = text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("gap."));
            for uri in lines.chain(quoted) {
                let path = format!("{folder}{uri}");
                if !waiting.contains(&path) {
                    waiting.push(path);
                }
            }
        }
        found.push((resource, response));
    }
    found
}

/// Bytes as an index: whatever it says, answers come or errors do.
pub fn index(data: &[u8]) {
    let head_bytes =
        data.get(8..12).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize).min(data.len());
    let Ok(head) = Head::read(&data[..head_bytes], data.len() as u64) else { return };
    assert!(
        Head::read(&head.write(), data.len() as u64 + head.write().len() as u64).is_ok(),
        "what is read can be written"
    );
    for (track, segments) in head.tracks.iter().zip(segmenter::ladder(&head, 6)) {
        for segment in segments.iter().take(8) {
            let blocks = track.blocks(segment.fragments.clone());
            let Some(blocks) = data.get(blocks.start as usize..blocks.end as usize) else { continue };
            let sources = [Arc::new(SourceObject { path: "0.mp4".into(), bytes: 1 << 40, etag: None })];
            let own = Stored { track, blocks, sources: &sources };
            let before = fmp4::Preceding::default();
            let source = fmp4::Source { track: own, events: None, protection: None, salt: "", before };
            if let Ok(parts) = fmp4::write(&source, segment) {
                let length = fmp4::length(Carrier { track, events: None, protection: None }, segment);
                assert_eq!(parts.iter().map(Part::len).sum::<u64>(), length);
            }
        }
    }
}

/// Text as a path: what is understood is written back the same.
pub fn route(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(route) = Route::parse(text) {
        assert_eq!(route.to_string(), text, "one resource, one URL");
    }
}

/// Bytes as a playlist of either kind: whatever is read lies below the storage root and within every limit.
pub fn playlist(data: &[u8]) {
    if let Ok(playlist) = Multivariant::read("a/b/main.m3u8", data) {
        let renditions = playlist.renditions.iter().filter_map(|r| r.path.as_ref());
        for path in playlist.variants.iter().map(|v| &v.path).chain(renditions) {
            assert!(is_storage_path(path), "{path:?}");
        }
    }
    if let Ok(playlist) = Media::read("a/b/media.m3u8", data) {
        assert!(!playlist.segments.is_empty());
        let maps = playlist.maps.iter().map(|m| (&m.path, &m.range));
        for (path, range) in playlist.segments.iter().map(|s| (&s.path, &s.range)).chain(maps) {
            assert!(is_storage_path(path), "{path:?}");
            assert!(range.as_ref().is_none_or(|r| r.start < r.end), "{range:?}");
        }
        assert!(playlist.segments.iter().all(|s| s.map.is_none_or(|m| m < playlist.maps.len())));
    }
}

/// A path, a newline, and an index that answers every fetch: no answer may panic, whatever the index holds.
pub fn job(data: &[u8]) {
    let Some(at) = data.iter().position(|b| *b == b'\n') else { return };
    let (path, index) = (&data[..at], &data[at + 1..]);
    let Some(Ok(mut route)) = std::str::from_utf8(path).ok().map(Route::parse) else { return };
    let head_bytes = index.get(8..12).map_or(0, |b| u64::from(u32::from_be_bytes([b[0], b[1], b[2], b[3]])));
    let head_bytes = head_bytes.min(index.len() as u64);
    let hls = HLS_PROTECTION.map(|protection| (PackageType::Hls, protection));
    for (package_type, protection) in hls.into_iter().chain([(PackageType::Cmaf, None), (PackageType::Dash, None)]) {
        let mut documents =
            documents(package_type, 1 + (index.len() % 30) as u32, index, head_bytes, &[1 << 40, 1 << 40]);
        if let Some((scheme, iv)) = protection {
            protect_hls(&mut documents, scheme, (index.len() % 3) as u32, &[(KeyUse::All, 3, iv)]);
        }
        if let Resource::Tagged { tag, .. } = &mut route.resource {
            // The right tag, so that the path leads somewhere.
            *tag = packager::job::tag(&documents);
        }
        let Ok(response) = respond(&documents, route.resource.clone(), index) else { continue };
        for part in &response.parts {
            if let Part::Made { recipe, range } = part {
                make_of_nothing(recipe, range);
            }
        }
    }
}

/// Makes a body whose media are zeros: nothing may panic, and what comes has the length that was promised.
fn make_of_nothing(recipe: &Arc<Recipe>, range: &Range<u64>) {
    const MOST: u64 = 1 << 20;
    let mut maker = Maker::new(recipe.clone(), range.clone());
    let mut left: Vec<u64> = maker.inputs().iter().map(|i| i.range.end - i.range.start).collect();
    let mut made = 0;
    loop {
        let mut out = Vec::new();
        let Ok(progress) = maker.step(&mut out) else { return };
        made += out.len() as u64;
        match progress {
            Progress::Done => break,
            _ if made > MOST => return,
            Progress::Ready => {}
            Progress::Need(input) => {
                let bytes = left[input].min(4096);
                assert!(bytes > 0, "an input is not asked for more than it has");
                left[input] -= bytes;
                maker.supply(input, vec![0; bytes as usize]).expect("it takes what it asked for");
            }
        }
    }
    assert_eq!(made, range.end - range.start, "a body is whole or an error");
}

/// Runs an indexer over files in memory; `None` when it refuses them.
pub fn ingest(files: &[&[u8]]) -> Option<IndexedAsset> {
    let sources = (0..).zip(files).map(|(n, data): (u32, _)| SourceFile {
        path: format!("{n}.mp4"),
        bytes: data.len() as u64,
        description: Description::default(),
    });
    let mut indexer = Indexer::new(sources.collect()).ok()?;
    // Every read is a step forward, so a file cannot ask for more of them than this.
    for _ in 0..1_000_000 {
        match indexer.step().ok()? {
            IngestStep::Read { source, range } => {
                assert!(range.start < range.end && range.end <= files[source].len() as u64, "{range:?} is in the file");
                let bytes = &files[source][range.start as usize..range.end as usize];
                indexer.supply(Bytes::copy_from_slice(bytes)).ok()?;
            }
            IngestStep::Done(indexed) => return Some(indexed),
        }
        assert!((0.0..=1.0).contains(&indexer.progress()));
    }
    panic!("the indexer does not come to an end");
}

/// Runs an indexer of a playlist over objects in memory, with `read` as the storage. Reads are answered in an order that
/// is not that of asking.
pub fn ingest_playlist(
    path: &str,
    read: impl Fn(&str) -> Option<(Bytes, Option<String>)>,
) -> packager::Result<IndexedAsset> {
    let mut indexer = PlaylistIndexer::new(path.into())?;
    let mut waiting: Vec<Read> = Vec::new();
    for _ in 0..1_000_000 {
        match indexer.step()? {
            HlsStep::Read(reads) => waiting.extend(reads),
            HlsStep::Done(indexed) => {
                assert!(waiting.is_empty(), "all reads were waited for");
                assert_eq!(indexer.progress().fraction, 1.0);
                return Ok(indexed);
            }
        }
        let read_next = waiting.pop().expect("something is asked for, or all is done");
        let answer = match read(&read_next.path) {
            None => Answer::NotFound,
            Some((_, etag)) if read_next.etag.is_some() && read_next.etag != etag => Answer::Changed,
            Some((object, etag)) => {
                assert!(read_next.bytes > 0, "{read_next:?}");
                let end = object.len().min((read_next.start + read_next.bytes) as usize);
                let bytes = object.slice((read_next.start as usize).min(end)..end);
                Answer::Object { bytes, object_bytes: object.len() as u64, etag }
            }
        };
        indexer.supply(read_next.id, answer)?;
        let progress = indexer.progress();
        assert!((0.0..=1.0).contains(&progress.fraction) && progress.segments_done <= progress.segments_total);
    }
    panic!("the indexer does not come to an end");
}

/// Asks for every CMAF segment of every track: what was indexed is there, each sample of the size that the index says.
pub fn all_segments(indexed: &IndexedAsset, seconds: u32, read: impl Fn(&SourceObject, Range<u64>) -> Vec<u8>) {
    let head = Head::read(&indexed.index[..indexed.head_bytes as usize], indexed.index.len() as u64);
    let head = head.expect("what was written is read");
    let documents = documents(PackageType::Dash, seconds, &indexed.index, indexed.head_bytes, &[]);
    let tag = packager::job::tag(&documents);
    for (track, segments) in head.tracks.iter().zip(segmenter::ladder(&head, seconds)) {
        if track.hidden {
            continue;
        }
        for number in 1..=segments.len() as u32 {
            let file = TrackFile::Segment { number, format: SegmentFormat::Cmaf };
            let resource = Resource::Tagged { tag, track: track.name, file };
            let response = respond(&documents, resource, &indexed.index).expect("a segment of what was ingested");
            let bytes = bytes_of(&response.parts, 7000, &read);
            assert_eq!(bytes.len() as u64, response.len(), "the length is known before the bytes");
        }
    }
}

/// Documents of an asset `a` in a group `g` with a configuration `c`.
pub fn documents(package_type: PackageType, seconds: u32, index: &[u8], head_bytes: u64, sources: &[u64]) -> Documents {
    let configuration = PackagingConfiguration {
        name: "c".into(),
        packaging_group: "g".into(),
        package_type,
        segment_duration_seconds: seconds,
        manifest_name: "index".into(),
        stream_selection: StreamSelection::default(),
        audio_separation: false,
        hls_version: HlsVersion::V4,
        text_format: TextFormat::Wvtt,
        access: Access::default(),
        protection: None,
    };
    let index = IndexObject { path: "a".into(), bytes: index.len() as u64, head_bytes, digest: "0".repeat(64) };
    let source = |(n, &bytes): (u32, &u64)| SourceObject { path: format!("{n}.mp4"), bytes, etag: None };
    let sources = (0..).zip(sources).map(source).collect();
    let asset = Asset { name: "a".into(), packaging_group: "g".into(), index, sources };
    Documents { configuration: Arc::new(configuration), asset: Arc::new(asset), keys: None }
}

/// The content key of [`protect`].
pub const KEY: [u8; 16] = *b"\x10\x32\x54\x76\x98\xba\xdc\xfe\x01\x23\x45\x67\x89\xab\xcd\xef";
/// Its id.
pub const KID: Kid = Kid([0xa1; 16]);
/// Its initialisation vector under schemes that have a constant one.
pub const IV: Iv = Iv([0x5a; 16]);

/// The key id that [`rotate`] adds.
pub const SECOND_KID: Kid = Kid([0xb2; 16]);

/// Protects what `documents` make under a scheme.
pub fn protect(documents: &mut Documents, protection: Protection) {
    set_keys(documents, protection, &[(KID, 0)]);
}

/// Lets a second key take over at a second of what [`protect`] protected; it has the same bytes, so that one reader reads
/// both.
pub fn rotate(documents: &mut Documents, second: u32) {
    let protection = documents.configuration.protection.clone().expect("a protection");
    set_keys(documents, protection, &[(KID, 0), (SECOND_KID, second)]);
}

fn set_keys(documents: &mut Documents, protection: Protection, kids: &[(Kid, u32)]) {
    let sealing = SealingKey::new([3; 32]);
    let place = keys_key("g", "a", "c");
    let method = if protection.scheme == Scheme::Cenc { "SAMPLE-AES-CTR" } else { "SAMPLE-AES" };
    let hls = format!("#EXT-X-KEY:METHOD={method},URI=\"key.bin\"");
    let key = |&(kid, from_second): &(Kid, u32)| SealedKey {
        kid,
        usage: KeyUse::All,
        from_second,
        iv: protection.scheme.has_constant_iv().then_some(IV),
        sealed: sealing.seal(&place, kid, &ContentKey::new(KEY), [9; NONCE_BYTES]).expect("sixteen bytes"),
        signalling: vec![Signalling { hls: Some(hls.clone()), ..Signalling::default() }],
    };
    let keys = ContentKeys {
        of: KeysOf::asset("g", "a", "c"),
        scheme: protection.scheme,
        keys: kids.iter().map(key).collect(),
        clear_video: false,
        clear_audio: false,
    };
    documents.keys = Some(Arc::new(Keys::open(&keys, &sealing).expect("what was sealed for here")));
    Arc::make_mut(&mut documents.configuration).protection = Some(protection);
}

/// A protection without more than a scheme.
pub fn plain(scheme: Scheme) -> Protection {
    let systems = if scheme.is_common() { vec![System::ClearKey] } else { Vec::new() };
    Protection { scheme, systems, clear_lead_segments: 0, pssh_in_moov: false, no_key_sample_groups: false }
}

/// A key of [`protect_hls`]: what it is for, its id and its bytes (all the same), and its initialisation vector.
pub type TestKey = (KeyUse, u8, Option<[u8; 16]>);

/// Protects what `documents` make by these keys.
pub fn protect_hls(documents: &mut Documents, scheme: Scheme, clear_lead_segments: u32, keys: &[TestKey]) {
    let (systems, pssh_in_moov, no_key_sample_groups) = (Vec::new(), false, false);
    let protection = Protection { scheme, systems, clear_lead_segments, pssh_in_moov, no_key_sample_groups };
    Arc::make_mut(&mut documents.configuration).protection = Some(protection);
    let sealing = SealingKey::new([7; 32]);
    let seal = |(usage, id, iv): &TestKey| {
        let (kid, secret) = (Kid([*id; 16]), ContentKey::new([*id; 16]));
        let sealed = sealing.seal("keys/g/a/c", kid, &secret, [*id; 24]).expect("16 bytes are sealed");
        let (usage, iv) = (*usage, iv.map(Iv));
        let method = if scheme == Scheme::Aes128 { "AES-128" } else { "SAMPLE-AES" };
        let attribute = iv.map_or(String::new(), |iv| format!(",IV=0x{iv}"));
        let hls = Some(format!("#EXT-X-KEY:METHOD={method},URI=\"key.bin\"{attribute}"));
        let signalling = vec![Signalling { hls, ..Signalling::default() }];
        SealedKey { kid, usage, from_second: 0, iv, sealed, signalling }
    };
    let document = ContentKeys {
        of: KeysOf::asset("g", "a", "c"),
        scheme,
        keys: keys.iter().map(seal).collect(),
        clear_video: false,
        clear_audio: false,
    };
    documents.keys = Some(Arc::new(Keys::open(&document, &sealing).expect("what was sealed is opened")));
}

/// A key of equal bytes, for what is below jobs.
pub fn secret(id: u8, iv: [u8; 16]) -> Secret {
    let mut documents = documents(PackageType::Hls, 6, &[], 0, &[]);
    protect_hls(&mut documents, Scheme::SampleAes, 0, &[(KeyUse::All, id, Some(iv))]);
    let keys = documents.keys.expect("they were set");
    Secret { key: keys.all()[0].clone(), iv: Iv(iv) }
}

/// The ways in which transport streams and packed audio are protected.
const HLS_PROTECTION: [Option<(Scheme, Option<[u8; 16]>)>; 3] =
    [None, Some((Scheme::Aes128, None)), Some((Scheme::SampleAes, Some([9; 16])))];

/// Runs a job against an index in memory.
pub fn respond(documents: &Documents, resource: Resource, index: &[u8]) -> packager::Result<Response> {
    let route = Route { packaging_group: "g".into(), asset: "a".into(), configuration: "c".into(), resource };
    let mut job = Job::new(route, documents.clone(), None)?;
    for _ in 0..4 {
        match job.step()? {
            Step::Fetch(fetches) => {
                assert!(!fetches.is_empty(), "a fetch asks for something");
                for fetch in fetches {
                    assert!(fetch.range.end <= index.len() as u64, "{:?} is in the index", fetch.range);
                    let bytes = &index[fetch.range.start as usize..fetch.range.end as usize];
                    job.supply(fetch.id, Bytes::copy_from_slice(bytes))?;
                }
            }
            Step::Done(response) => return Ok(response),
        }
    }
    panic!("the job does not come to an end");
}

/// The bytes of a body; `read` gives bytes of objects. What is made comes in pieces of `chunk` bytes.
pub fn bytes_of(parts: &[Part], chunk: usize, read: impl Fn(&SourceObject, Range<u64>) -> Vec<u8>) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        match part {
            Part::Bytes(bytes) => body.extend_from_slice(bytes),
            Part::Source { object, range } => body.extend(read(object, range.clone())),
            Part::Made { recipe, range } => {
                let mut maker = Maker::new(recipe.clone(), range.clone());
                let inputs: Vec<Vec<u8>> = maker.inputs().iter().map(|i| read(&i.object, i.range.clone())).collect();
                let mut given = vec![0; inputs.len()];
                let mut out = Vec::new();
                loop {
                    let progress = maker.step(&mut out).expect("the media are what was indexed");
                    body.append(&mut out);
                    match progress {
                        Progress::Ready => {}
                        Progress::Done => break,
                        Progress::Need(input) => {
                            let end = (given[input] + chunk).min(inputs[input].len());
                            assert!(given[input] < end, "an input is not asked for more than it has");
                            maker
                                .supply(input, inputs[input][given[input]..end].to_vec())
                                .expect("it takes what it asked for");
                            given[input] = end;
                        }
                    }
                }
            }
        }
    }
    body
}

/// The text of a response that is all bytes of ours.
pub fn text_of(response: &Response) -> String {
    let bytes = response.parts.iter().map(|part| match part {
        Part::Bytes(bytes) => bytes.to_vec(),
        Part::Source { .. } | Part::Made { .. } => panic!("a manifest has no media"),
    });
    String::from_utf8(bytes.flatten().collect()).expect("manifests are UTF-8")
}

/// The first tag in a manifest.
pub fn tag_in(text: &str) -> u64 {
    let parts = text.split(['"', '/', '\n']);
    let tag = parts.filter(|p| p.len() == 16).find_map(|p| u64::from_str_radix(p, 16).ok());
    tag.expect("a manifest names its tag")
}
