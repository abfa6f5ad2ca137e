//! What is packaged: files for every codec, those of this repository and further media where there is some.

use std::path::Path;

use e2e::{media, tools};

use crate::title::Source;

/// Files below the folder of further media.
const FURTHER: [&str; 15] = [
    "generated/progressive/heaac_v1_explicit.mp4",
    "generated/progressive/heaac_v1_implicit.mp4",
    "generated/progressive/heaac_v2_explicit.mp4",
    "generated/progressive/heaac_v2_implicit.mp4",
    "generated/progressive/interlaced_mbaff.mp4",
    "generated/progressive/multislice.mp4",
    "generated/progressive/hevc10_pq.mp4",
    "generated/progressive/vp9_opus.mp4",
    "generated/progressive/av1_flac.mp4",
    "progressive/androidx+media/mp4/bt601.mp4",
    "progressive/androidx+media/mp4/h265_bframes.mp4",
    "progressive/androidx+media/mp4/sample_av1.mp4",
    "progressive/androidx+media/mp4/sample_opus.mp4",
    "fragmented/androidx+media/mp4/sample_eac3joc_fragmented.mp4",
    "fragmented/kixelated+mp4-atom/src/test/flac.mp4",
];

/// Folders with titles as HLS below the fixtures.
const PLAYLISTS: [&str; 6] = ["ts", "cmaf", "codecs/hevc", "codecs/ac3", "codecs/eac3", "codecs/latm"];

/// Small files with the samples of another one.
const COPIES: [&str; 3] = ["co64_moov_at_end.mp4", "fragmented_mfra.mp4", "fragmented_sidx.mp4"];

/// Everything that is packaged, with a name.
pub fn all() -> Vec<(String, Source)> {
    let mut sources: Vec<(String, Source)> = Vec::new();
    let mut add = |name: String, source| sources.push((name, source));
    // Files of one codec each with one trait of slices, tiles or frames: those that slice headers are tested with.
    let slices = tools::root().join("edge/packager/tests/codec");
    for folder in ["slices", "frames"] {
        for path in media::files_below(&slices.join(folder)) {
            if path.extension().is_some_and(|extension| extension == "mp4") {
                add(format!("{folder}/{}", file_name(&path)), Source::File(vec![path]));
            }
        }
    }
    for path in media::all_small().into_iter().filter(|path| !COPIES.contains(&file_name(path).as_str())) {
        add(format!("small/{}", file_name(&path)), Source::File(vec![path]));
    }
    for name in PLAYLISTS {
        add(format!("hls/{name}"), Source::Playlist(media::hls(name)));
    }
    if let Some(extra) = media::extra() {
        for name in FURTHER {
            add(name.to_owned(), Source::File(vec![extra.join(name)]));
        }
        let tiles = "fragmented/Eyevinn+mp4ff/mp4/testdata/av1_multitile";
        let parts = ["init.mp4", "seg.m4s"].map(|part| extra.join(format!("{tiles}_{part}")));
        add(tiles.to_owned(), Source::File(parts.into()));
        let ts = "generated/ts/interlaced_paff.ts";
        add(ts.to_owned(), Source::Transport(extra.join(ts), 4.0));
    }
    sources
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
