//! Transport streams of many encoders: what is learned of them, and that frames come out again exactly so.
#![allow(missing_docs, reason = "a test program has no public interface")]
#![allow(clippy::disallowed_methods, reason = "tests read fixtures")]

#[path = "transport/build.rs"]
mod build;
#[path = "transport/damage.rs"]
mod damage;
#[path = "transport/ffmpeg.rs"]
mod ffmpeg;
#[path = "transport/judge.rs"]
mod judge;
#[path = "transport/learn.rs"]
mod learn;
#[path = "transport/program.rs"]
mod program;
#[path = "transport/sound.rs"]
mod sound;
#[path = "transport/video.rs"]
mod video;

use std::path::{Path, PathBuf};

/// Transport streams beside the repository, when they are there.
fn shared() -> Vec<PathBuf> {
    let mut todo = vec![
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media"),
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media"),
    ];
    let mut found = Vec::new();
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "ts" || e == "m2ts" || e == "aac") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn frames_come_out_as_they_were_learned() {
    for path in shared() {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.display().to_string();
        match learn::learn(&[(false, &bytes)], &[1 << 16]) {
            Ok(rendition) => {
                println!("{name}");
                for (s, f) in rendition.streams.iter().zip(&rendition.frames) {
                    let codecs: Vec<_> = s.configs.iter().map(|c| c.config.codecs.clone()).collect();
                    println!(
                        "    {:?} pid {} lang {:?} frames {} sync {} runs {} configs {codecs:?} {:?}",
                        s.codec,
                        s.pid,
                        s.language,
                        f.len(),
                        f.iter().filter(|f| f.sync).count(),
                        learn::runs(f).len(),
                        s.left_out
                    );
                }
                for w in &rendition.warnings {
                    println!("    ! {w}");
                }
                learn::check_extraction(&bytes, &rendition, &name);
            }
            Err(error) => println!("{name}\n    E {error}"),
        }
    }
}
