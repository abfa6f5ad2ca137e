//! Media of the tests: what this repository has, and more where there is more.

use std::path::{Path, PathBuf};

use crate::tools::root;

/// The bundled sample, a file a rendition or language.
pub fn ladder() -> Vec<PathBuf> {
    let names = ["video_180p.mp4", "video_360p.mp4", "video_720p.mp4", "audio_eng.mp4", "audio_fra.mp4"];
    names.iter().map(|name| root().join("tests/media/ladder").join(name)).collect()
}

/// One of the small files.
pub fn small(name: &str) -> PathBuf {
    root().join("tests/media/small").join(name)
}

/// A folder with a title as HLS; its multivariant playlist is `main.m3u8`.
pub fn hls(name: &str) -> PathBuf {
    root().join("tests/media/hls").join(name)
}

/// Subtitles.
pub fn text(name: &str) -> PathBuf {
    root().join("tests/media/text").join(name)
}

/// All of the small files.
pub fn all_small() -> Vec<PathBuf> {
    files_below(&root().join("tests/media/small"))
}

/// The folder of further media: `EDGEPACK_MEDIA`, else `../shared/media` beside this repository. Tests that go through it
/// say so when it is not there, and use what the repository has.
pub fn extra() -> Option<PathBuf> {
    let folder = std::env::var_os("EDGEPACK_MEDIA").map_or_else(|| root().join("../shared/media"), PathBuf::from);
    let folder = folder.canonicalize().ok().filter(|folder| folder.is_dir());
    if folder.is_none() {
        println!("no further media: set EDGEPACK_MEDIA to a folder that has some");
    }
    folder
}

/// Every file below `folder`, sorted.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// A name for an asset that was made of `file`.
pub fn asset_name(index: usize, file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let clean: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
    format!("{index}-{clean}")
}
