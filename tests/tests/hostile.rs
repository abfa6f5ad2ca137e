//! Broken, lying and encrypted files: FAILED with a reason that a person can act on, or PLAYABLE with warnings; never a
//! crash, a hang or memory without bound.

use std::fmt::Write as _;
use std::path::PathBuf;

use e2e::mpd::Mpd;
use e2e::playlist;
use e2e::{Asset, Control, media, tools};

const GROUP: &str = "hostile";
/// The control plane with its embedded edge may take this much memory over all of the files below.
const MEMORY_BUDGET: u64 = 700 << 20;

/// Ingests stored bytes under a name; the harness fails when that takes a minute.
fn ingest(control: &Control, name: &str, bytes: &[u8]) -> Asset {
    let stored = format!("{name}.mp4");
    std::fs::write(control.media.join(&stored), bytes).expect("a stored file");
    control.submit(GROUP, name, &[stored]);
    control.finished(name)
}

/// Whatever is playable has to be servable: each URL answers, and no answer is our mistake.
fn walk(control: &Control, asset: &Asset) {
    let hls = control.playback(asset, "CMAF");
    let dash = control.playback(asset, "DASH");
    let mut urls = playlist::every_url(&control.client, &hls);
    urls.extend(Mpd::fetch(&control.client, &dash).every_url());
    for url in urls {
        control.client.get(&url);
    }
}

fn check(control: &Control, name: &str, asset: &Asset, table: &mut String) {
    let _ = writeln!(table, "{name}\t{}\t{}\t{:?}", asset.status(), asset.failure(), asset.warnings());
    match asset.status() {
        "PLAYABLE" => walk(control, asset),
        _ => assert!(asset.failure().len() > 10, "{name}: no reason: {}", asset.json),
    }
    let health = control.client.get(&format!("{}/healthz", control.url));
    assert_eq!(health.status, 200);
}

/// Whether a reason says which box and where: a four-letter box and a byte offset.
fn names_box_and_offset(reason: &str) -> bool {
    let words: Vec<&str> = reason.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let boxes = [
        "ftyp", "moov", "mvhd", "trak", "tkhd", "edts", "elst", "mdia", "mdhd", "hdlr", "minf", "stbl", "stsd", "stts",
        "ctts", "stsc", "stsz", "stz2", "stco", "co64", "stss", "mvex", "trex", "moof", "mfhd", "traf", "tfhd", "tfdt",
        "trun", "mdat", "sidx", "avcC", "hvcC", "esds", "avc1", "mp4a", "vmhd", "smhd", "dinf", "dref", "udta", "meta",
        "free", "enca", "encv",
    ];
    let place = words.windows(2).any(|pair| {
        matches!(pair[0], "byte" | "offset" | "at" | "bytes")
            && pair[1].bytes().all(|b| b.is_ascii_digit())
            && !pair[1].is_empty()
    });
    place && words.iter().any(|word| boxes.contains(word))
}

#[test]
fn malformed_files_fail_with_a_reason_or_play_with_warnings() {
    let control = Control::start();
    control.group(GROUP, 2);
    let mut table = String::new();
    let mut vague = String::new();
    for (name, bytes) in mutations() {
        let asset = ingest(&control, &name, &bytes);
        check(&control, &name, &asset, &mut table);
        // In a file of nothing but empty boxes no place is wrong.
        if asset.status() == "FAILED" && name != "deep" && !names_box_and_offset(&asset.failure()) {
            let _ = writeln!(vague, "{name}: {}", asset.failure());
        }
    }
    if let Some(extra) = media::extra() {
        let files = ["malformed", "generated/malformed"].map(|folder| media::files_below(&extra.join(folder))).concat();
        for (index, file) in files.iter().enumerate() {
            let name = format!("m{}", media::asset_name(index, file));
            let bytes = std::fs::read(file).expect("a file");
            let asset = ingest(&control, &name, &bytes);
            check(&control, &format!("{name} ({})", file.display()), &asset, &mut table);
        }
    }
    std::fs::write(tools::results().join("hostile.tsv"), &table).expect("the table");
    println!("{table}");
    assert!(vague.is_empty(), "reasons without box and offset:\n{vague}");
    let peak = control.peak_memory();
    println!("peak memory: {} MiB", peak >> 20);
    assert!(peak < MEMORY_BUDGET, "{} MiB", peak >> 20);
}

/// Every way to break the two plain files that the tests know: cut short, and with wrong bytes where the headers are.
fn mutations() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    // A fixed linear congruential generator: the same mutations in every run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for file in ["h264_aac.mp4", "fragmented.mp4"] {
        let bytes = std::fs::read(media::small(file)).expect("a file");
        let stem = file.trim_end_matches(".mp4").replace('_', "-");
        for part in 1..12 {
            all.push((format!("{stem}-cut-{part}"), bytes[..bytes.len() * part / 12].to_vec()));
        }
        let header = if stem == "fragmented" { 1800 } else { 4000 };
        for round in 0..24 {
            let mut broken = bytes.clone();
            for _ in 0..1 + round % 4 {
                let at = 32 + random(header);
                broken[at] = if round % 2 == 0 { 0xff } else { random(256) as u8 };
            }
            all.push((format!("{stem}-bytes-{round}"), broken));
        }
    }
    all.push(("loop".into(), looping()));
    all.push(("deep".into(), deep()));
    all
}

/// A box of length 0 inside another, which would contain itself for ever.
fn looping() -> Vec<u8> {
    let mut bytes = b"\0\0\0\x10ftypisom\0\0\0\0".to_vec();
    bytes.extend(b"\0\0\0\x18moov\0\0\0\0trak\0\0\0\0mdia");
    bytes
}

/// Boxes in boxes in boxes.
fn deep() -> Vec<u8> {
    let mut inner = Vec::new();
    for _ in 0..2000_u32 {
        let length = inner.len() as u32 + 8;
        inner = [&length.to_be_bytes()[..], b"moov", &inner].concat();
    }
    [&b"\0\0\0\x10ftypisom\0\0\0\0"[..], &inner].concat()
}

#[test]
fn encrypted_files_are_named_as_such() {
    let control = Control::start();
    control.group(GROUP, 2);
    let mut files: Vec<(String, Vec<u8>)> = vec![("own".into(), encrypted_copy())];
    if let Some(extra) = media::extra() {
        let folders =
            ["encrypted", "generated/encrypted"].map(|folder| media::files_below(&extra.join(folder))).concat();
        let whole: Vec<PathBuf> = folders.into_iter().filter(declares_encryption).collect();
        for (index, file) in whole.iter().enumerate() {
            files.push((format!("e{}", media::asset_name(index, file)), std::fs::read(file).expect("a file")));
        }
    }
    for (name, bytes) in files {
        let asset = ingest(&control, &name, &bytes);
        println!("{name}\t{}\t{}", asset.status(), asset.failure());
        assert_eq!(asset.status(), "FAILED", "{name}: {}", asset.json);
        assert!(asset.failure().to_lowercase().contains("encrypted"), "{name}: {}", asset.failure());
    }
}

/// A film or sound file with a `moov` and an encrypted sample entry in it; pictures are not.
fn declares_encryption(file: &PathBuf) -> bool {
    if file.extension().is_some_and(|extension| extension == "avif") {
        return false;
    }
    let bytes = std::fs::read(file).expect("a file");
    let has = |kind: &[u8]| bytes.windows(4).any(|window| window == kind);
    has(b"moov") && (has(b"encv") || has(b"enca")) && has(b"schm")
}

/// The plain file with its video's sample entry renamed as an encrypted one's.
fn encrypted_copy() -> Vec<u8> {
    let mut bytes = std::fs::read(media::small("h264_aac.mp4")).expect("a file");
    let at = bytes.windows(4).position(|window| window == b"avc1").expect("a sample entry");
    // The first avc1 may be a brand; the sample entry is the one that a length precedes, inside moov.
    let moov = bytes.windows(4).position(|window| window == b"moov").expect("moov");
    let entry = if at > moov {
        at
    } else {
        moov + bytes[moov..].windows(4).position(|window| window == b"avc1").expect("entry")
    };
    bytes[entry..entry + 4].copy_from_slice(b"encv");
    bytes
}
