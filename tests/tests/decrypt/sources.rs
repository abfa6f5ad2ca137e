//! What is packaged: files for every codec, those of this repository and further media where there is some.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::{media, tools};

use crate::title::Source;

const DEADLINE: Duration = Duration::from_secs(60);

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

/// The one with samples that are encrypted in more than one go.
pub const LARGE: &str = "large samples";

/// Everything that is packaged, with a name; `folder` is for what is made for it.
pub fn all(folder: &Path) -> Vec<(String, Source)> {
    let mut sources: Vec<(String, Source)> = Vec::new();
    let mut add = |name: String, source| sources.push((name, source));
    add(LARGE.to_owned(), Source::File(vec![large(folder)]));
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

/// H.264 of which two pictures are noise, nearly 1 MB each, and AAC.
fn large(folder: &Path) -> PathBuf {
    let path = folder.join("large.mp4");
    let picture = "testsrc2=s=848x480:r=25:d=1.2,noise=alls=100:allf=t:enable='not(mod(n,15))'";
    let mut ffmpeg = Command::new(tools::program(&["ffmpeg"]));
    ffmpeg.args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", picture]);
    ffmpeg.args(["-f", "lavfi", "-i", "sine=f=440:r=48000:d=1.2", "-c:v", "libx264", "-preset", "ultrafast"]);
    ffmpeg.args(["-qp", "1", "-g", "15", "-bf", "0", "-pix_fmt", "yuv420p", "-threads", "1", "-c:a", "aac"]);
    tools::succeed(ffmpeg.arg(&path), DEADLINE);
    path
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
