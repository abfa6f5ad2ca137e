//! Two programs of others, ffmpeg and shaka-packager, decrypt our CMAF tracks to the samples and frames that the clear ones
//! have, for every codec under cenc and cbcs, and to nothing like them with another key; and what shaka-packager protects
//! of the same clear tracks is what we protect (`decrypt/agreement.rs` says where it is not, and why).
//!
//! That clear tracks have the frames of their sources is tested in `decode.rs`; that ffmpeg decrypts HLS in transport
//! streams, AES-128 and SAMPLE-AES, for every codec that those carry, in `ts_encrypted.rs` of the packager.

#[path = "decrypt/agreement.rs"]
mod agreement;
#[path = "../../edge/packager/tests/drive/mod.rs"]
mod drive;
#[path = "decrypt/maps.rs"]
mod maps;
#[path = "decrypt/outside.rs"]
mod outside;
#[path = "decrypt/sources.rs"]
mod sources;
#[path = "decrypt/title.rs"]
mod title;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use agreement::Both;
use e2e::{media, tools};
use maps::File;
use outside::{Found, Take};
use packager::config::Scheme;
use title::{Title, Track};

const SCHEMES: [Scheme; 2] = [Scheme::Cenc, Scheme::Cbcs];
/// Not the one of the tracks.
const WRONG_KEY: [u8; 16] = [0x77; 16];
/// Samples with more bytes than this are encrypted in more than one go.
const BATCH_BYTES: usize = 256 << 10;
/// Samples that cbcs leaves as they are have no run of so many bytes.
const BLOCK: usize = 16;

/// What every codec string that must be there begins with; those of HE-AAC come with further media.
const CODECS: [&str; 9] = ["avc1", "hvc1", "av01", "vp09", "mp4a.40.2", "ac-3", "ec-3", "Opus", "fLaC"];
const FURTHER_CODECS: [&str; 2] = ["mp4a.40.5", "mp4a.40.29"];

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    codec: String,
    scheme: &'static str,
    source: String,
    track: String,
    ffmpeg: String,
    shaka: String,
    map: String,
}

#[test]
fn others_decrypt_every_codec_and_protect_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let sources = sources::all(folder.path());
    let queue = Mutex::new(sources.iter().enumerate());
    let table = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("the queue").next();
                    let Some((index, (name, source))) = next else { break };
                    let folder = folder.path().join(index.to_string());
                    std::fs::create_dir(&folder).expect("a folder");
                    let rows = rows(name, &Title::ingest(source), &folder);
                    std::fs::remove_dir_all(&folder).expect("the folder");
                    table.lock().expect("the table").extend(rows);
                }
            });
        }
    });
    let mut table = table.into_inner().expect("the table");
    table.sort();
    report(&table);
    let further = if media::extra().is_some() { &FURTHER_CODECS[..] } else { &[] };
    for codec in CODECS.iter().chain(further) {
        for scheme in SCHEMES {
            let there =
                |row: &Row| row.codec.eq_ignore_ascii_case(codec) || row.codec.starts_with(&format!("{codec}."));
            assert!(table.iter().any(|row| there(row) && row.scheme == scheme.as_str()), "{codec} {}", scheme.as_str());
        }
    }
    let same = |text: &str| text.starts_with("same");
    let odd: Vec<&Row> =
        table.iter().filter(|row| ![&row.ffmpeg, &row.shaka, &row.map].into_iter().all(|text| same(text))).collect();
    assert!(odd.is_empty(), "{odd:#?}");
}

fn report(table: &[Row]) {
    let mut text = "codec\tscheme\tsource\ttrack\tffmpeg\tshaka-packager\twhat shaka-packager protects\n".to_owned();
    for Row { codec, scheme, source, track, ffmpeg, shaka, map } in table {
        let _ = writeln!(text, "{codec}\t{scheme}\t{source}\t{track}\t{ffmpeg}\t{shaka}\t{map}");
    }
    std::fs::write(tools::results().join("decrypt.tsv"), text).expect("the table");
}

/// Everything about the tracks of a title.
fn rows(source: &str, title: &Title, folder: &Path) -> Vec<Row> {
    let mut protected = BTreeMap::new();
    for scheme in SCHEMES {
        protected.insert(scheme.as_str(), title.tracks(Some(scheme)));
    }
    let clear = title.tracks(None);
    assert!(!clear.is_empty(), "{source} has tracks");
    if source == sources::LARGE {
        let largest = File::read(&clear[0].bytes).samples.iter().map(|sample| sample.data.len()).max();
        assert!(largest.is_some_and(|bytes| bytes > 2 * BATCH_BYTES), "{source}: {largest:?} bytes");
    }
    let mut rows = Vec::new();
    for (place, track) in clear.iter().enumerate() {
        let checked = Checked::new(track, folder);
        let ours = |scheme: Scheme| &protected[scheme.as_str()][place];
        let read = |scheme| File::read(&ours(scheme).bytes);
        let both = Both { cenc: read(Scheme::Cenc), cbcs: read(Scheme::Cbcs) };
        let theirs = checked.encrypted_by_shaka();
        for scheme in SCHEMES {
            let file = write(folder, &format!("{}-{}", track.name, scheme.as_str()), &ours(scheme).bytes);
            let ours = if scheme == Scheme::Cenc { &both.cenc } else { &both.cbcs };
            let said = |result: Result<String, String>| result.unwrap_or_else(|error| format!("DIFFERS: {error}"));
            rows.push(Row {
                codec: track.codec.clone(),
                scheme: scheme.as_str(),
                source: source.to_owned(),
                track: track.name.to_string(),
                ffmpeg: said(checked.ffmpeg(&file, scheme, ours)),
                shaka: said(checked.shaka(&file, scheme, ours)),
                map: said(theirs.as_ref().map_err(String::clone).and_then(|theirs| {
                    let elsewhere = agreement::compare(scheme, &both, theirs)?;
                    let all = ours.samples.len();
                    Ok(if elsewhere == 0 {
                        "same".to_owned()
                    } else {
                        format!("same, rest behind: {elsewhere} of {all}")
                    })
                })),
            });
        }
    }
    rows
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(format!("{name}.mp4"));
    std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

/// A clear track, what ffmpeg gets from it, and its samples.
struct Checked {
    file: PathBuf,
    found: Result<Found, String>,
    samples: Vec<Vec<u8>>,
}

impl Checked {
    fn new(track: &Track, folder: &Path) -> Self {
        let file = write(folder, &format!("{}-clear", track.name), &track.bytes);
        let found = outside::ffmpeg(&file, None, Take::Both).and_then(without_complaint);
        let samples = File::read(&track.bytes).samples.into_iter().map(|sample| sample.data).collect();
        Self { file, found, samples }
    }

    /// The packets and frames that ffmpeg decrypts are those of the clear track; of another key they are not, in every
    /// sample of which a block is encrypted.
    fn ffmpeg(&self, file: &Path, scheme: Scheme, ours: &File) -> Result<String, String> {
        let wanted = self.found.as_ref().map_err(|error| format!("the clear track: {error}"))?;
        if wanted.packets.len() != self.samples.len() || wanted.frames.is_empty() {
            return Err(format!("the clear track: {} packets, {} frames", wanted.packets.len(), wanted.frames.len()));
        }
        let found = outside::ffmpeg(file, Some(&drive::KEY), Take::Both).and_then(without_complaint)?;
        equal("packets", &found.packets, &wanted.packets)?;
        equal("frames", &found.frames, &wanted.frames)?;
        let wrong = outside::ffmpeg(file, Some(&WRONG_KEY), Take::Packets)?.packets;
        if wrong.len() == wanted.packets.len() {
            check_wrong(scheme, ours, wrong.iter().zip(&wanted.packets).map(|(a, b)| a == b).collect())?;
        } else if let Some(there) =
            wrong.iter().position(|(_, wrong)| wanted.packets.iter().any(|(_, hash)| hash == wrong))
        {
            // Its parser of E-AC-3 gathers frames anew.
            return Err(format!("packet {there} is decrypted with another key"));
        }
        Ok("same".to_owned())
    }

    /// The same of shaka-packager: its samples read by ourselves, and its frames decoded by ffmpeg.
    fn shaka(&self, file: &Path, scheme: Scheme, ours: &File) -> Result<String, String> {
        let wanted = self.found.as_ref().map_err(|error| format!("the clear track: {error}"))?;
        let samples = |file: &Path| -> Vec<Vec<u8>> {
            let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            File::read(&bytes).samples.into_iter().map(|sample| sample.data).collect()
        };
        let decrypted = outside::decrypt(file, &drive::KEY)?;
        equal("samples", &samples(&decrypted), &self.samples)?;
        let found = outside::ffmpeg(&decrypted, None, Take::Both).and_then(without_complaint)?;
        equal("frames", &found.frames, &wanted.frames)?;
        let wrong = samples(&outside::decrypt(file, &WRONG_KEY)?);
        check_wrong(scheme, ours, wrong.iter().zip(&self.samples).map(|(a, b)| a == b).collect())?;
        Ok("same".to_owned())
    }

    fn encrypted_by_shaka(&self) -> Result<Both, String> {
        let read = |scheme| {
            let file = outside::encrypt(&self.file, scheme)?;
            let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            Ok::<_, String>(File::read(&bytes))
        };
        Ok(Both { cenc: read(Scheme::Cenc)?, cbcs: read(Scheme::Cbcs)? })
    }
}

fn without_complaint(found: Found) -> Result<Found, String> {
    match &found.complaint {
        Some(complaint) => Err(complaint.clone()),
        None => Ok(found),
    }
}

fn equal<T: PartialEq>(what: &str, found: &[T], wanted: &[T]) -> Result<(), String> {
    if found.len() != wanted.len() {
        return Err(format!("{} {what} for {}", found.len(), wanted.len()));
    }
    match found.iter().zip(wanted).position(|(found, wanted)| found != wanted) {
        Some(first) => Err(format!("{what} from {first} on, of {}", wanted.len())),
        None => Ok(()),
    }
}

/// Whether the samples that another key left as they are in the clear are those in which nothing is encrypted.
fn check_wrong(scheme: Scheme, ours: &File, untouched: Vec<bool>) -> Result<(), String> {
    let least = if scheme == Scheme::Cenc { 1 } else { BLOCK };
    let clear: Vec<bool> =
        ours.samples.iter().map(|sample| sample.runs().iter().all(|run| run.len() < least)).collect();
    if clear.iter().all(|clear| *clear) {
        return Err("nothing is encrypted".to_owned());
    }
    equal("samples under another key", &untouched, &clear)
}
