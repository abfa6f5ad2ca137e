//! What protected titles say in their manifests, against golden files and the schema of MPDs.
//!
//! After a change on purpose, bump `FORMAT_VERSION` and run `UPDATE_GOLDEN=1 cargo test -p packager --test protected`.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test may read files and run programs")]

mod drive;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use packager::config::{
    ContentKeys, HlsVersion, Iv, KeyUse, KeysOf, Kid, PackageType, Protection, Scheme, SealedKey, System,
};
use packager::drm::{Subject, Urls, signal};
use packager::ingest::IndexedAsset;
use packager::job::{Documents, tag};
use packager::media::protection::Keys;
use packager::route::{Resource, Route, TrackFile};
use packager::sealing::{ContentKey, NONCE_BYTES, SealingKey};

const LADDER: [&str; 4] =
    ["ladder/video_180p.mp4", "ladder/video_360p.mp4", "ladder/video_720p.mp4", "ladder/audio_eng.mp4"];

/// Most pixels of SD.
const SD: u64 = 589_824;

struct Title {
    indexed: IndexedAsset,
    sizes: Vec<u64>,
}

impl Title {
    fn new() -> Self {
        let file = |name: &&str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media").join(name);
            fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        let files: Vec<Vec<u8>> = LADDER.iter().map(file).collect();
        let slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let indexed = drive::ingest(&slices).expect("the fixtures are ingested");
        Self { indexed, sizes: files.iter().map(|f| f.len() as u64).collect() }
    }

    fn documents(&self, output: &Output) -> Documents {
        let Self { indexed, sizes } = self;
        let mut documents = drive::documents(output.package_type, 2, &indexed.index, indexed.head_bytes, sizes);
        let configuration = Arc::make_mut(&mut documents.configuration);
        configuration.hls_version = output.hls_version;
        configuration.audio_separation =
            output.package_type == PackageType::Hls && output.hls_version == HlsVersion::V4;
        configuration.protection = Some(Protection {
            scheme: output.scheme,
            systems: output.systems.clone(),
            clear_lead_segments: output.clear_lead,
            pssh_in_moov: false,
            no_key_sample_groups: false,
        });
        let keys = output.keys();
        documents.keys = Some(Arc::new(Keys::open(&keys, &sealing()).expect("the keys are opened")));
        documents
    }

    fn text(&self, documents: &Documents, resource: Resource) -> String {
        let answer = drive::respond(documents, resource.clone(), &self.indexed.index);
        drive::text_of(&answer.unwrap_or_else(|e| panic!("{resource}: {e}")))
    }

    fn manifest(&self, documents: &Documents) -> String {
        let extension = documents.configuration.package_type.manifest_extension();
        self.text(documents, Resource::Manifest { name: "index".into(), extension })
    }

    fn playlist(&self, documents: &Documents, track: &str, file: TrackFile) -> String {
        let path = format!("/vod/v1/g/a/c/{:016x}/{track}/{file}", tag(documents));
        self.text(documents, Route::parse(&path).unwrap_or_else(|e| panic!("{path}: {e}")).resource)
    }
}

fn sealing() -> SealingKey {
    SealingKey::new([7; 32])
}

struct Output {
    package_type: PackageType,
    hls_version: HlsVersion,
    scheme: Scheme,
    systems: Vec<System>,
    clear_lead: u32,
    /// Last byte of the key id, what it is for, from when on.
    keys: Vec<(u8, KeyUse, u32)>,
    iv: bool,
}

impl Output {
    fn new(package_type: PackageType, scheme: Scheme, systems: &[System]) -> Self {
        let keys = vec![(1, KeyUse::All, 0)];
        let hls_version = HlsVersion::V4;
        let iv = scheme.has_constant_iv();
        Self { package_type, hls_version, scheme, systems: systems.to_vec(), clear_lead: 0, keys, iv }
    }

    fn keys(&self) -> ContentKeys {
        let urls = Urls {
            key: Some("https://keys.example/key".into()),
            clear_key: Some("https://keys.example/licence".into()),
            playready: Some("https://keys.example/rights?a=1&b=2".into()),
            ..Urls::default()
        };
        let sealed = |&(number, usage, from_second): &(u8, KeyUse, u32)| {
            let kid = Kid((0x1111_1111_0000_4000_8000_0000_0000_0000 | u128::from(number)).to_be_bytes());
            let key = ContentKey::new([number; 16]);
            let iv = self.iv.then_some(Iv([0xa0 | number; 16]));
            let urls = Urls { key: urls.key.as_ref().map(|url| format!("{url}/{number}")), ..urls.clone() };
            let subject = Subject {
                kid,
                iv,
                key: Some(&key),
                scheme: self.scheme,
                package_type: self.package_type,
                systems: &self.systems,
                urls: &urls,
                content_id: "",
            };
            let signalling = signal(&subject).expect("signalling");
            let sealed = sealing().seal("keys/g/a/c", kid, &key, [number; NONCE_BYTES]).expect("a sealed key");
            SealedKey { kid, usage, from_second, iv, sealed, signalling }
        };
        ContentKeys {
            of: KeysOf::asset("g", "a", "c"),
            scheme: self.scheme,
            keys: self.keys.iter().map(sealed).collect(),
            clear_video: false,
            clear_audio: false,
        }
    }
}

fn audio() -> KeyUse {
    KeyUse::Audio { min_channels: None, max_channels: None }
}

fn video(min_pixels: Option<u64>, max_pixels: Option<u64>) -> KeyUse {
    KeyUse::Video { min_pixels, max_pixels }
}

fn golden(name: &str, actual: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, actual).expect("the golden file is written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let differing = golden.lines().zip(actual.lines()).find(|(a, b)| a != b);
    assert!(golden == actual, "{name} differs, first in:\n{differing:#?}");
}

/// The multivariant playlist and those of some tracks.
fn playlists(title: &Title, output: &Output, files: &[(&str, TrackFile)]) -> String {
    let documents = title.documents(output);
    let mut out = format!("== index.m3u8\n{}", title.manifest(&documents));
    for (track, file) in files {
        let text = title.playlist(&documents, track, *file);
        check_playlist(&text);
        write!(out, "\n== {track}/{file}\n{text}").unwrap();
    }
    out
}

/// What holds for every playlist with keys.
fn check_playlist(text: &str) {
    let version: u32 =
        text.split("#EXT-X-VERSION:").nth(1).and_then(|t| t.split('\n').next()).unwrap().parse().unwrap();
    let keys: Vec<&str> = text.lines().filter(|l| l.starts_with("#EXT-X-KEY:")).collect();
    assert!(!keys.is_empty(), "{text}");
    assert!(keys.iter().all(|k| !k.contains("KEYFORMAT=") || version >= 5), "{text}");
    assert!(keys.iter().all(|k| !k.contains(",IV=") || version >= 2), "{text}");
    let parsed = m3u8_rs::parse_media_playlist_res(text.as_bytes()).expect("another reader takes it");
    assert!(!parsed.segments.is_empty());
    let first_key = text.find("#EXT-X-KEY").unwrap();
    assert!(text.find("#EXT-X-MAP").is_none_or(|map| map < first_key), "{text}");
}

#[test]
fn hls_cmaf_cbcs_with_three_systems_and_a_clear_lead() {
    let title = Title::new();
    let mut output =
        Output::new(PackageType::Cmaf, Scheme::Cbcs, &[System::Widevine, System::Playready, System::Fairplay]);
    output.clear_lead = 1;
    output.keys = vec![(1, video(None, None), 0), (2, audio(), 0)];
    let files = [("v0", TrackFile::Playlist), ("v0", TrackFile::IframePlaylist), ("a0", TrackFile::Playlist)];
    let text = playlists(&title, &output, &files);
    let multivariant = text.split("\n== v0").next().unwrap();
    assert_eq!(multivariant.matches("#EXT-X-SESSION-KEY:").count(), 6, "three systems, two keys, each once");
    golden("protected_hls_cmaf_cbcs.txt", &text);
}

#[test]
fn hls_cmaf_cenc() {
    let title = Title::new();
    let mut output = Output::new(PackageType::Cmaf, Scheme::Cenc, &[System::Widevine, System::ClearKey]);
    // The second key holds from the third segment on.
    output.keys = vec![(1, KeyUse::All, 0), (3, KeyUse::All, 4)];
    let files = [("v0", TrackFile::Playlist), ("v0", TrackFile::IframePlaylist), ("a0", TrackFile::Playlist)];
    golden("protected_hls_cmaf_cenc.txt", &playlists(&title, &output, &files));
}

#[test]
fn hls_transport_streams() {
    let title = Title::new();
    let mut aes = Output::new(PackageType::Hls, Scheme::Aes128, &[]);
    aes.hls_version = HlsVersion::V3;
    let by_number = playlists(&title, &aes, &[("v0", TrackFile::Playlist)]);
    assert!(!by_number.contains(",IV=") && by_number.contains("#EXT-X-VERSION:3\n"), "{by_number}");
    aes.iv = true;
    let mut text = by_number + "\n" + &playlists(&title, &aes, &[("v0", TrackFile::Playlist)]);
    for systems in [[].as_slice(), &[System::Fairplay]] {
        let output = Output::new(PackageType::Hls, Scheme::SampleAes, systems);
        let files = [("v0", TrackFile::Playlist), ("v0", TrackFile::IframePlaylist), ("a0", TrackFile::Playlist)];
        text += &("\n".to_owned() + &playlists(&title, &output, &files));
    }
    golden("protected_hls_ts.txt", &text);
}

#[test]
fn dash() {
    let title = Title::new();
    let mut classes = Output::new(PackageType::Dash, Scheme::Cenc, &[System::Widevine, System::Playready]);
    classes.keys = vec![(1, video(None, Some(SD)), 0), (2, video(Some(SD + 1), None), 0), (3, audio(), 0)];
    let clear_key = Output::new(PackageType::Dash, Scheme::Cbcs, &[System::ClearKey]);
    let mut rotated = Output::new(PackageType::Dash, Scheme::Cenc, &[System::Widevine]);
    rotated.keys = vec![(1, KeyUse::All, 0), (3, KeyUse::All, 4)];
    for (name, output) in [("classes", &classes), ("clear_key", &clear_key), ("rotated", &rotated)] {
        let mpd = title.manifest(&title.documents(output));
        check_schema(name, &mpd);
        golden(&format!("protected_dash_{name}.txt"), &mpd);
    }
    let mpd = title.manifest(&title.documents(&classes));
    let sets: Vec<&str> = mpd.split("<AdaptationSet ").skip(1).collect();
    assert_eq!(sets.len(), 3, "SD, HD and audio");
    let switching = |set: &str| {
        let at = "urn:mpeg:dash:adaptation-set-switching:2016\" value=\"";
        set.split(at).nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned)
    };
    assert_eq!(sets.iter().map(|s| switching(s)).collect::<Vec<_>>(), [Some("1".into()), Some("0".into()), None]);
    assert_eq!(sets.iter().map(|s| s.matches("<Representation ").count()).collect::<Vec<_>>(), [2, 1, 1]);
}

/// Equal keys leave what is not about them as it was.
#[test]
fn one_key_changes_nothing_else() {
    let title = Title::new();
    for package_type in [PackageType::Cmaf, PackageType::Dash] {
        let documents = title.documents(&Output::new(package_type, Scheme::Cenc, &[System::Widevine]));
        let mut clear = documents.clone();
        Arc::make_mut(&mut clear.configuration).protection = None;
        clear.keys = None;
        let plain = |documents: &Documents| {
            let text = title.manifest(documents).replace(&format!("{:016x}", tag(documents)), "tag");
            let text = text.replace(" xmlns:cenc=\"urn:mpeg:cenc:2013\"", "");
            let kept = text.lines().filter(|l| {
                !["ContentProtection", "cenc:pssh", "#EXT-X-SESSION-KEY", "#EXT-X-VERSION"]
                    .iter()
                    .any(|p| l.contains(p))
            });
            // What is encrypted is a little larger.
            kept.map(without_numbers).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(plain(&documents), plain(&clear));
    }
}

fn without_numbers(line: &str) -> String {
    let mut out = String::new();
    for (number, piece) in line.split_inclusive("andwidth=\"").flat_map(|p| p.split_inclusive("BANDWIDTH=")).enumerate()
    {
        out.push_str(if number == 0 { piece } else { piece.trim_start_matches(|c: char| c.is_ascii_digit()) });
    }
    out
}

/// The schema of ISO/IEC 23009-1 if it is there: it is not ours to keep. Without it, what it says about the order of
/// elements is checked here.
fn check_schema(name: &str, mpd: &str) {
    const ORDER: [&str; 8] = [
        "ContentProtection",
        "EssentialProperty",
        "SupplementalProperty",
        "InbandEventStream",
        "Label",
        "Accessibility",
        "Role",
        "SegmentTemplate",
    ];
    for set in mpd.split("<AdaptationSet ").skip(1) {
        let direct = set.lines().skip(1).filter_map(|l| l.strip_prefix("      <"));
        let places: Vec<usize> = direct
            .filter_map(|l| ORDER.iter().position(|o| l.split(|c: char| !c.is_alphanumeric()).next() == Some(*o)))
            .collect();
        assert!(places.is_sorted() && places.contains(&0), "{name}: {places:?}\n{mpd}");
    }
    let folder = std::env::var_os("EDGEPACK_MPD_SCHEMA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/schema"), PathBuf::from);
    let schema = folder.join("DASH-MPD.xsd");
    if !schema.is_file() {
        println!("no schema: set EDGEPACK_MPD_SCHEMA to a folder with DASH-MPD.xsd (github.com/MPEGGroup/DASHSchema)");
        return;
    }
    let file = std::env::temp_dir().join(format!("edgepack-protected-{name}-{}.mpd", std::process::id()));
    fs::write(&file, mpd).expect("the MPD");
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--nonet", "--noout"]).env("XML_CATALOG_FILES", folder.join("catalog.xml"));
    let output = xmllint.arg("--schema").arg(&schema).arg(&file).output().expect("xmllint");
    fs::remove_file(&file).expect("the MPD is there");
    assert!(output.status.success(), "{name}: {}\n{mpd}", String::from_utf8_lossy(&output.stderr));
}
