//! Pictures with their number in them: a strip at the top whose fields are white or black, the lowest bit on the left. Players and
//! any rendition show it, so what somebody got can be read as numbers.

use std::process::Command;
use std::time::Duration;

use super::recording::{Chunk, Track};
use crate::tools::{program, run};

/// Fields of the strip. `tests/browser/soak.mjs` reads it too.
const BITS: u32 = 20;
/// Those of the number in a run; the others are the run.
const FRAME_BITS: u32 = 16;
/// The strip is so much of the height.
const STRIP: (u32, u32) = (24, 180);
/// What is darker is black, and what is lighter than the second is white; what is between cannot be read.
const DARK_LIGHT: (u8, u8) = (80, 175);
const DEADLINE: Duration = Duration::from_secs(300);

/// The number of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    /// Counts the starts of all encoders with another clock.
    pub run: u32,
    /// Counts in the run.
    pub frame: u32,
}

impl Number {
    /// Of the bits of the strip.
    pub fn of_bits(bits: u32) -> Self {
        Self { run: bits >> FRAME_BITS, frame: bits & ((1 << FRAME_BITS) - 1) }
    }

    fn bits(self) -> u32 {
        assert!(self.frame < 1 << FRAME_BITS && self.run < 1 << (BITS - FRAME_BITS), "{self:?} has no room");
        self.run << FRAME_BITS | self.frame
    }
}

/// A filter graph of the strips of pictures from `first` on, so wide.
pub fn source(first: Number, width: u32) -> String {
    let bits = first.bits();
    format!(
        "color=c=black:s={}x2:r={},format=gray,geq=lum='255*mod(floor((N+{bits})/pow(2,floor(X/2))),2)',scale={width}:{}:flags=neighbor",
        2 * BITS,
        super::FRAMES,
        STRIP.0
    )
}

impl Track {
    /// The numbers of all pictures, in order of presentation.
    pub fn numbers(&self) -> Vec<Number> {
        let read = |chunk: &Chunk| {
            let read = numbers(&chunk.bytes, self.extension);
            read.unwrap_or_else(|error| panic!("{}, a chunk of {} segments: {error}", self.name, chunk.segments))
        };
        self.chunks.iter().flat_map(read).collect()
    }
}

/// The numbers of the pictures in `bytes`, whose name would end in `extension`.
///
/// # Errors
/// What the decoder complained about; a picture without a number.
pub fn numbers(bytes: &[u8], extension: &str) -> Result<Vec<Number>, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(format!("media.{extension}"));
    std::fs::write(&file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut ffmpeg = Command::new(program(&["ffmpeg"]));
    ffmpeg.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1"]);
    if extension != "ts" {
        ffmpeg.args(["-f", "mov", "-ignore_editlist", "1"]);
    }
    let (part, whole) = STRIP;
    ffmpeg.arg("-i").arg(&file).args(["-map", "0:v:0", "-vsync", "passthrough", "-f", "rawvideo"]);
    let filter = format!("crop=iw:ih*{part}/{whole}:0:0,scale={BITS}:1:flags=area,format=gray");
    let output = run(ffmpeg.args(["-vf", &filter, "-"]), DEADLINE);
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !errors.trim().is_empty() {
        return Err(format!("{} {}", output.status, errors.trim()));
    }
    let mut numbers = Vec::new();
    for strip in output.stdout.chunks(BITS as usize) {
        let mut bits = 0;
        for (at, light) in strip.iter().enumerate() {
            match *light {
                light if light > DARK_LIGHT.1 => bits |= 1 << at,
                light if light < DARK_LIGHT.0 => {}
                _ => {
                    return Err(format!(
                        "picture {} after {:?} has no number: {strip:?}",
                        numbers.len(),
                        numbers.last()
                    ));
                }
            }
        }
        numbers.push(Number::of_bits(bits));
    }
    Ok(numbers)
}
