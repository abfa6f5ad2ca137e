//! Packages files on disk into a folder of playlists, MPD and segments: the whole core without a server.
//!
//! ```text
//! cargo run --example package -- OUT SECONDS FILE...
//! cargo run --example package -- OUT SECONDS PLAYLIST.m3u8
//! cargo run --example package -- --protect SCHEME:KID:KEY[:IV] OUT SECONDS ...
//! ```
//!
//! With `--protect` only the package types of the scheme are made: CMAF and DASH for `cenc` and `cbcs`, HLS for `aes-128` and
//! `sample-aes`. Key id, key and initialisation vector are 32 hexadecimal digits each.

#![allow(clippy::disallowed_methods, reason = "what drives the core has files and a clock")]

use std::error::Error;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use packager::config::{
    Access, Asset, ContentKeys, HlsVersion, IndexObject, Iv, KeyUse, KeysOf, PackageType, PackagingConfiguration,
    Protection, Scheme, SealedKey, Signalling, SourceObject, StreamSelection, System, TextFormat, keys_key,
};
use packager::ingest::hls::{Answer, HlsStep, PlaylistIndexer};
use packager::ingest::{Description, IndexedAsset, Indexer, IngestStep, SourceFile};
use packager::job::{Documents, Job, Step};
use packager::make::{Maker, Progress};
use packager::media::protection::Keys;
use packager::response::Part;
use packager::route::Route;
use packager::sealing::{ContentKey, NONCE_BYTES, SealingKey};
use sha2::{Digest, Sha256};

/// Where playlists say that the key is: beside them.
const KEY_FILE: &str = "key.bin";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    let usage = "usage: package [--protect SCHEME:KID:KEY[:IV]] OUT SECONDS FILE... | PLAYLIST.m3u8";
    let protect = arguments.next_if(|a| a == "--protect").map(|_| arguments.next().ok_or(usage)).transpose()?;
    let out = arguments.next().ok_or(usage)?;
    let seconds = arguments.next().ok_or(usage)?.parse()?;
    let files: Vec<String> = arguments.collect();
    let playlist = files.first().filter(|f| f.ends_with(".m3u8"));

    let started = std::time::Instant::now();
    let mut media_bytes = 0;
    let (indexed, files) = match playlist {
        Some(path) => (index_playlist(path, &mut media_bytes)?, Vec::new()),
        None => (index_files(&files, &mut media_bytes)?, files.clone()),
    };
    let samples: u64 = indexed.tracks.iter().map(|t| t.samples).sum();
    println!(
        "indexed {} bytes in {:?}: index {} bytes ({:.2} a sample, head {} bytes, {:.3} % of the media), {} ms",
        media_bytes,
        started.elapsed(),
        indexed.index.len(),
        indexed.index.len() as f64 / samples.max(1) as f64,
        indexed.head_bytes,
        100.0 * indexed.index.len() as f64 / media_bytes as f64,
        indexed.duration_ms
    );
    fs::create_dir_all(&out)?;
    fs::write(Path::new(&out).join("index.epidx"), &indexed.index)?;
    indexed.tracks.iter().for_each(|t| println!("{}", serde_json::to_string(t).unwrap_or_default()));
    indexed.warnings.iter().for_each(|w| println!("warning: {w}"));

    for package_type in [PackageType::Hls, PackageType::Cmaf, PackageType::Dash] {
        let protection = protect.as_deref().map(|p| protection(p, package_type)).transpose()?;
        if protection.as_ref().is_some_and(|(p, _)| p.scheme.is_common() == (package_type == PackageType::Hls)) {
            continue;
        }
        let (protection, keys) = protection.unzip();
        let configuration = PackagingConfiguration {
            name: package_type.as_str().to_lowercase(),
            packaging_group: "g".into(),
            package_type,
            segment_duration_seconds: seconds,
            manifest_name: "index".into(),
            stream_selection: StreamSelection::default(),
            audio_separation: false,
            hls_version: HlsVersion::V4,
            text_format: TextFormat::Wvtt,
            access: Access::default(),
            protection,
        };
        let asset = Asset {
            name: "a".into(),
            packaging_group: "g".into(),
            index: IndexObject {
                path: "a.idx".into(),
                bytes: indexed.index.len() as u64,
                head_bytes: indexed.head_bytes,
                digest: Sha256::digest(&indexed.index).iter().map(|b| format!("{b:02x}")).collect(),
            },
            sources: files
                .iter()
                .map(|f| Ok(SourceObject { path: f.clone(), bytes: fs::metadata(f)?.len(), etag: None }))
                .collect::<std::io::Result<_>>()?,
        };
        let documents = Documents { configuration: Arc::new(configuration), asset: Arc::new(asset), keys };
        let base = format!("/vod/v1/g/a/{}/", documents.configuration.name);
        let mut wanted = vec![format!("{base}index.{}", package_type.manifest_extension().as_str())];
        let mut made = 0;
        while let Some(url) = wanted.pop() {
            let body = match get(&url, &documents, &indexed.index) {
                // Not every codec has a place in transport streams.
                Err(why) if made == 0 => {
                    println!("{url}: {why}");
                    break;
                }
                body => body?,
            };
            made += 1;
            let path = Path::new(&out).join(url.trim_start_matches('/'));
            fs::create_dir_all(path.parent().ok_or("a path without a folder")?)?;
            fs::write(&path, &body)?;
            let folder = url.rsplit_once('/').map_or("", |(folder, _)| folder);
            if url.ends_with(".m3u8") {
                let text = String::from_utf8(body)?;
                if let Some(protect) = protect.as_deref().filter(|_| text.contains("#EXT-X-KEY:")) {
                    let key = protect.split(':').nth(2).unwrap_or_default().to_owned();
                    fs::write(path.with_file_name(KEY_FILE), Iv::try_from(key)?.0)?;
                }
                let text = text.replace(&format!("URI=\"{KEY_FILE}\""), "");
                let uris = text.lines().filter(|l| !l.starts_with('#') && *l != "gap.m4s").map(str::to_owned);
                let quoted = text.split("URI=\"").skip(1).filter_map(|t| t.split('"').next()).map(str::to_owned);
                let found = uris.chain(quoted).map(|uri| format!("{folder}/{uri}"));
                let found: Vec<String> = found.filter(|u| !wanted.contains(u)).collect();
                wanted.extend(found);
            } else if url.ends_with(".mpd") {
                let text = String::from_utf8(body)?;
                let tag = text
                    .split("initialization=\"")
                    .nth(1)
                    .and_then(|t| t.split('/').next())
                    .unwrap_or_default()
                    .to_owned();
                for track in indexed.tracks.iter().map(|t| &t.name) {
                    let init = format!("{folder}/{tag}/{track}/init.mp4");
                    if get(&init, &documents, &indexed.index).is_err() {
                        // Tracks that are only multiplexed with others, and text that is no segments.
                        continue;
                    }
                    wanted.push(init);
                    for number in 1.. {
                        let url = format!("{folder}/{tag}/{track}/{number}.m4s");
                        if get(&url, &documents, &indexed.index).is_err() {
                            break;
                        }
                        wanted.push(url);
                    }
                }
            }
        }
        println!("{base}index.{}: {made} files", package_type.manifest_extension().as_str());
    }
    Ok(())
}

/// A protection with one key for everything, and that key.
fn protection(text: &str, package_type: PackageType) -> Result<(Protection, Arc<Keys>), Box<dyn Error>> {
    let mut parts = text.split(':');
    let mut part = |name: &str| parts.next().ok_or(format!("--protect: no {name}"));
    let scheme: Scheme = serde_json::from_value(part("scheme")?.into())?;
    let kid = part("key id")?.parse()?;
    let key: Iv = part("key")?.to_owned().try_into()?;
    let iv = part("iv").ok().map(|iv| Iv::try_from(iv.to_owned())).transpose()?;
    let iv = iv.filter(|_| scheme != Scheme::Cenc);
    let sealing = SealingKey::new([0; 32]);
    let configuration = package_type.as_str().to_lowercase();
    let sealed = sealing.seal(&keys_key("g", "a", &configuration), kid, &ContentKey::new(key.0), [0; NONCE_BYTES])?;
    let method = match scheme {
        Scheme::Aes128 => "AES-128",
        Scheme::Cenc => "SAMPLE-AES-CTR",
        Scheme::Cbcs | Scheme::SampleAes => "SAMPLE-AES",
    };
    let hls = Some(format!("#EXT-X-KEY:METHOD={method},URI=\"{KEY_FILE}\""));
    let signalling = vec![Signalling { hls, ..Signalling::default() }];
    let keys = ContentKeys {
        of: KeysOf::asset("g", "a", &configuration),
        scheme,
        keys: vec![SealedKey { kid, usage: KeyUse::All, from_second: 0, iv, sealed, signalling }],
        clear_video: false,
        clear_audio: false,
    };
    let systems = if scheme.is_common() { vec![System::ClearKey] } else { Vec::new() };
    let protection =
        Protection { scheme, systems, clear_lead_segments: 0, pssh_in_moov: false, no_key_sample_groups: false };
    Ok((protection, Arc::new(Keys::open(&keys, &sealing)?)))
}

fn index_files(files: &[String], total: &mut u64) -> Result<IndexedAsset, Box<dyn Error>> {
    let mut sources = Vec::new();
    for path in files {
        let bytes = fs::metadata(path)?.len();
        *total += bytes;
        sources.push(SourceFile { path: path.clone(), bytes, description: Description::default() });
    }
    let mut indexer = Indexer::new(sources)?;
    loop {
        match indexer.step()? {
            IngestStep::Read { source, range } => indexer.supply(read(&files[source], range)?.into())?,
            IngestStep::Done(indexed) => return Ok(indexed),
        }
    }
}

/// The storage is the current folder.
fn index_playlist(path: &str, total: &mut u64) -> Result<IndexedAsset, Box<dyn Error>> {
    let mut indexer = PlaylistIndexer::new(path.to_owned())?;
    loop {
        match indexer.step()? {
            HlsStep::Read(reads) => {
                for wanted in reads {
                    let answer = match fs::metadata(&wanted.path) {
                        Err(_) => Answer::NotFound,
                        Ok(object) => {
                            let end = object.len().min(wanted.start + wanted.bytes);
                            let bytes = read(&wanted.path, wanted.start.min(end)..end)?;
                            *total += bytes.len() as u64;
                            Answer::Object { bytes: bytes.into(), object_bytes: object.len(), etag: None }
                        }
                    };
                    indexer.supply(wanted.id, answer)?;
                }
            }
            HlsStep::Done(indexed) => return Ok(indexed),
        }
    }
}

fn read(path: &str, range: Range<u64>) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    fs::File::open(path)?.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

fn get(url: &str, documents: &Documents, index: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut job = Job::new(Route::parse(url)?, documents.clone(), None)?;
    let response = loop {
        match job.step()? {
            Step::Fetch(fetches) => {
                for fetch in fetches {
                    let bytes = &index[fetch.range.start as usize..fetch.range.end as usize];
                    job.supply(fetch.id, bytes.to_vec().into())?;
                }
            }
            Step::Done(response) => break response,
        }
    };
    let mut body = Vec::new();
    for part in &response.parts {
        match part {
            Part::Bytes(bytes) => body.extend_from_slice(bytes),
            Part::Source { object, range } => body.extend(read(&object.path, range.clone())?),
            Part::Made { recipe, range } => {
                let mut maker = Maker::new(recipe.clone(), range.clone());
                let mut made = Vec::new();
                loop {
                    let progress = maker.step(&mut made)?;
                    body.append(&mut made);
                    match progress {
                        Progress::Ready => {}
                        Progress::Done => break,
                        Progress::Need(input) => {
                            let wanted = maker.inputs()[input].clone();
                            maker.supply(input, read(&wanted.object.path, wanted.range)?)?;
                        }
                    }
                }
            }
        }
    }
    Ok(body)
}
