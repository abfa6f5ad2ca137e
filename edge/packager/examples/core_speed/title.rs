//! A title: its documents, its index, and where its bytes are.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use packager::Prepared;
use packager::config::{
    Access, Asset, ContentKeys, HlsVersion, IndexObject, Iv, KeyUse, KeysOf, Kid, PackageType, PackagingConfiguration,
    Protection, Scheme, SealedKey, Signalling, SourceObject, StreamSelection, System, TextFormat, keys_key,
};
use packager::index::Head;
use packager::ingest::hls::{Answer, HlsStep, PlaylistIndexer};
use packager::ingest::{Description, IndexedAsset, Indexer, IngestStep, SourceFile};
use packager::job::{Documents, Job, Step};
use packager::make::{Maker, Progress};
use packager::media::protection::Keys;
use packager::response::{Part, Response};
use packager::route::Route;
use packager::sealing::{ContentKey, NONCE_BYTES, SealingKey};
use sha2::{Digest, Sha256};

use crate::Result;

/// What a title's output is cut into.
const SEGMENT_SECONDS: u32 = 6;

/// A title that was indexed.
pub struct Title {
    asset: Arc<Asset>,
    /// Its sidecar index.
    pub index: Bytes,
}

impl Title {
    /// The title that `index` wrote to `folder`.
    pub fn open(folder: &str, name: &str) -> Result<Self> {
        let path = |extension| Path::new(folder).join(format!("{name}.{extension}"));
        let asset = serde_json::from_slice(&fs::read(path("json"))?)?;
        Ok(Self { asset: Arc::new(asset), index: fs::read(path("index"))?.into() })
    }

    /// The head of its index.
    #[allow(dead_code, reason = "for the benches of single loops")]
    pub fn head(&self) -> Result<Head> {
        let head = self.index.get(..self.asset.index.head_bytes as usize).ok_or("a head longer than the index")?;
        Ok(Head::read(head, self.index.len() as u64)?)
    }

    /// What was learnt of the files.
    fn new(name: &str, indexed: IndexedAsset, sources: Vec<SourceObject>) -> Self {
        let index = IndexObject {
            path: format!("{name}.index"),
            bytes: indexed.index.len() as u64,
            head_bytes: indexed.head_bytes,
            digest: hex::encode(Sha256::digest(&indexed.index)),
        };
        let asset = Asset { name: "a".into(), packaging_group: "g".into(), index, sources };
        Self { asset: Arc::new(asset), index: indexed.index.into() }
    }

    /// Learns files, or a playlist and what it names.
    pub fn learn(folder: &str, name: &str, files: &[&str]) -> Result<Self> {
        let path = |name: &str| Path::new(folder).join(name);
        if let [playlist] = files
            && playlist.ends_with(".m3u8")
        {
            return Ok(Self::new(name, learn_playlist(folder, playlist)?, Vec::new()));
        }
        let bytes = |file: &&str| Ok((file.to_string(), fs::metadata(path(file))?.len()));
        let sizes: Vec<(String, u64)> = files.iter().map(bytes).collect::<Result<_>>()?;
        let source = |(path, bytes): &(String, u64)| SourceFile {
            path: path.clone(),
            bytes: *bytes,
            description: Description::default(),
        };
        let mut indexer = Indexer::new(sizes.iter().map(source).collect())?;
        let indexed = loop {
            match indexer.step()? {
                IngestStep::Read { source, range } => indexer.supply(read(&path(files[source]), range)?.into())?,
                IngestStep::Done(indexed) => break indexed,
            }
        };
        let object = |(path, bytes)| SourceObject { path, bytes, etag: None };
        Ok(Self::new(name, indexed, sizes.into_iter().map(object).collect()))
    }

    /// Its documents under a configuration, with a key if that protects.
    pub fn documents(&self, package_type: PackageType, scheme: Option<Scheme>) -> Result<Documents> {
        let protection = scheme.map(|scheme| Protection {
            scheme,
            systems: if scheme.is_common() { vec![System::ClearKey] } else { Vec::new() },
            clear_lead_segments: 0,
            pssh_in_moov: false,
            no_key_sample_groups: false,
        });
        let configuration = PackagingConfiguration {
            name: "c".into(),
            packaging_group: "g".into(),
            package_type,
            segment_duration_seconds: SEGMENT_SECONDS,
            manifest_name: "index".into(),
            stream_selection: StreamSelection::default(),
            audio_separation: false,
            hls_version: HlsVersion::V4,
            text_format: TextFormat::Wvtt,
            access: Access::default(),
            protection,
        };
        let keys = scheme.map(keys).transpose()?;
        Ok(Documents { configuration: Arc::new(configuration), asset: self.asset.clone(), keys })
    }

    /// The answer to a path below the configuration.
    pub fn get(&self, path: &str, documents: &Documents, prepared: &mut Option<Arc<Prepared>>) -> Result<Response> {
        let route = Route::parse(&format!("/vod/v1/g/a/c/{path}"))?;
        self.respond(route, documents, prepared)
    }

    /// The answer to a route.
    pub fn respond(
        &self,
        route: Route,
        documents: &Documents,
        prepared: &mut Option<Arc<Prepared>>,
    ) -> Result<Response> {
        let mut job = Job::new(route, documents.clone(), prepared.clone())?;
        loop {
            match job.step()? {
                Step::Fetch(fetches) => {
                    for fetch in fetches {
                        job.supply(fetch.id, self.index.slice(fetch.range.start as usize..fetch.range.end as usize))?;
                    }
                }
                Step::Done(response) => {
                    *prepared = job.prepared();
                    return Ok(response);
                }
            }
        }
    }

    /// Routes of all segments of an HLS output, and its init segments.
    pub fn segments(&self, documents: &Documents) -> Result<Vec<Route>> {
        let mut prepared = None;
        let text = |path: &str, prepared: &mut _| -> Result<String> {
            let response = self.get(path, documents, prepared)?;
            let bytes = response.parts.iter().filter_map(|part| match part {
                Part::Bytes(bytes) => Some(bytes.to_vec()),
                Part::Source { .. } | Part::Made { .. } => None,
            });
            Ok(String::from_utf8(bytes.flatten().collect())?)
        };
        let multivariant = text("index.m3u8", &mut prepared)?;
        let mut playlists: Vec<&str> = multivariant.lines().filter(|line| !line.starts_with('#')).collect();
        let media = multivariant.lines().filter(|line| line.starts_with("#EXT-X-MEDIA:"));
        playlists.extend(media.filter_map(|line| line.split("URI=\"").nth(1)?.split('"').next()));
        playlists.sort_unstable();
        playlists.dedup();
        let mut routes = Vec::new();
        for playlist in playlists {
            let folder = playlist.rsplit_once('/').map_or("", |(folder, _)| folder);
            let text = text(playlist, &mut prepared)?;
            let maps = text.lines().filter_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")?.split('"').next());
            for uri in maps.chain(text.lines().filter(|line| !line.starts_with('#') && !line.is_empty())) {
                routes.push(Route::parse(&format!("/vod/v1/g/a/c/{folder}/{uri}"))?);
            }
        }
        Ok(routes)
    }

    /// Where its media is: the names of all objects.
    pub fn objects(&self, documents: &Documents) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut prepared = None;
        for route in self.segments(documents)? {
            for part in self.respond(route, documents, &mut prepared)?.parts {
                match part {
                    Part::Source { object, .. } => found.push(object.path.clone()),
                    Part::Made { recipe, range } => {
                        let maker = Maker::new(recipe, range);
                        found.extend(maker.inputs().iter().map(|input| input.object.path.clone()));
                    }
                    Part::Bytes(_) => {}
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

/// Bytes of media by path.
pub trait Storage {
    /// Hands the bytes of a range to `take`.
    fn read(&self, path: &str, range: Range<u64>, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>;
}

/// Everything in memory.
pub struct Memory(pub HashMap<String, Bytes>);

impl Memory {
    /// These objects of a folder.
    pub fn load(folder: &str, objects: &[String]) -> Result<Self> {
        let load = |path: &String| Ok((path.clone(), fs::read(Path::new(folder).join(path))?.into()));
        Ok(Self(objects.iter().map(load).collect::<Result<_>>()?))
    }
}

impl Storage for Memory {
    fn read(&self, path: &str, range: Range<u64>, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let object = self.0.get(path).ok_or_else(|| format!("{path} is not there"))?;
        take(object.get(range.start as usize..range.end as usize).ok_or("a range outside of the object")?)
    }
}

/// Files below a folder.
pub struct Disk<'a>(pub &'a str);

impl Storage for Disk<'_> {
    fn read(&self, path: &str, range: Range<u64>, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        take(&read(&Path::new(self.0).join(path), range)?)
    }
}

/// The body of a response, in place of what is in `out`.
pub fn body(response: &Response, storage: &impl Storage, out: &mut Vec<u8>) -> Result<()> {
    out.clear();
    for part in &response.parts {
        match part {
            Part::Bytes(bytes) => out.extend_from_slice(bytes),
            Part::Source { object, range } => storage.read(&object.path, range.clone(), &mut |bytes| {
                out.extend_from_slice(bytes);
                Ok(())
            })?,
            Part::Made { recipe, range } => {
                let mut maker = Maker::new(recipe.clone(), range.clone());
                // It is given out in pieces, of which the body is put together here.
                let mut made = Vec::new();
                let mut arriving = Vec::new();
                loop {
                    let progress = maker.step(&mut made)?;
                    out.append(&mut made);
                    match progress {
                        Progress::Ready => {}
                        Progress::Done => break,
                        Progress::Need(input) => {
                            let wanted = maker.inputs()[input].clone();
                            storage.read(&wanted.object.path, wanted.range, &mut |bytes| {
                                arriving.extend_from_slice(bytes);
                                arriving = maker.supply(input, core::mem::take(&mut arriving))?;
                                Ok(())
                            })?;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// Writes a title's index and asset document.
pub fn index(folder: &str, name: &str, files: &[&str]) -> Result<()> {
    let title = Title::learn(folder, name, files)?;
    let path = |extension| Path::new(folder).join(format!("{name}.{extension}"));
    fs::write(path("index"), &title.index)?;
    fs::write(path("json"), serde_json::to_vec(&*title.asset)?)?;
    Ok(())
}

fn keys(scheme: Scheme) -> Result<Arc<Keys>> {
    let (sealing, kid) = (SealingKey::new([1; 32]), Kid([2; 16]));
    let sealed = sealing.seal(&keys_key("g", "a", "c"), kid, &ContentKey::new([3; 16]), [4; NONCE_BYTES])?;
    let (method, iv) = match scheme {
        Scheme::Aes128 => ("AES-128", None),
        Scheme::Cenc => ("SAMPLE-AES-CTR", None),
        Scheme::Cbcs | Scheme::SampleAes => ("SAMPLE-AES", Some(Iv([5; 16]))),
    };
    let hls = Some(format!("#EXT-X-KEY:METHOD={method},URI=\"key.bin\""));
    let signalling = vec![Signalling { hls, ..Signalling::default() }];
    let document = ContentKeys {
        of: KeysOf::asset("g", "a", "c"),
        scheme,
        keys: vec![SealedKey { kid, usage: KeyUse::All, from_second: 0, iv, sealed, signalling }],
        clear_video: false,
        clear_audio: false,
    };
    Ok(Arc::new(Keys::open(&document, &sealing)?))
}

fn learn_playlist(folder: &str, playlist: &str) -> Result<IndexedAsset> {
    let mut indexer = PlaylistIndexer::new(playlist.to_owned())?;
    loop {
        match indexer.step()? {
            HlsStep::Read(reads) => {
                for wanted in reads {
                    let path = Path::new(folder).join(&wanted.path);
                    let object_bytes = fs::metadata(&path)?.len();
                    let end = object_bytes.min(wanted.start + wanted.bytes);
                    let bytes = read(&path, wanted.start.min(end)..end)?;
                    indexer.supply(wanted.id, Answer::Object { bytes: bytes.into(), object_bytes, etag: None })?;
                }
            }
            HlsStep::Done(indexed) => return Ok(indexed),
        }
    }
}

fn read(path: &Path, range: Range<u64>) -> Result<Vec<u8>> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut bytes = vec![0; (range.end - range.start) as usize];
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(range.start))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
