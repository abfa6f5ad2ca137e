//! ffmpeg as an encoder.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::channel::Ingest;
use super::clip::{Container, FRAMES};
use super::numbered::{self, Number};
use crate::tools::program;

/// Renditions: width, height, bits a second. Small ones, so that a machine of two processors carries some encoders and players.
pub const LADDER: [(u32, u32, &str); 3] = [(320, 180, "200k"), (256, 144, "130k"), (192, 108, "80k")];
/// How long a segment is, seconds.
pub const SEGMENT_SECONDS: u32 = 2;
/// What the clock of an encoder shows in the second 0, in seconds, by the run: it begins anew with each, and far from the others.
const CLOCKS: [u32; 4] = [1000, 10, 500, 20];

/// What an encoder sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed {
    /// What the segments are in.
    pub container: Container,
    /// Encoders of one run have the same clock, and with it the same pictures.
    pub run: u32,
    /// Which second of the run it begins with: whole segments from the start of the run.
    pub second: u32,
}

/// A running ffmpeg that pushes three renditions in segments of two seconds, at the pace of the clock. Every picture has its number
/// burnt into it. It ends when this is dropped.
pub struct Encoder {
    child: Child,
}

impl Encoder {
    /// Starts one with the first second of the first run.
    pub fn start(ingest: &Ingest, container: Container) -> Self {
        // What it says of uploads that nobody took would only hide what the tests say.
        Self::spawn(ingest, Feed { container, run: 0, second: 0 }, Stdio::null())
    }

    /// Starts one, whose complaints go on at the end of a file.
    pub fn start_at(ingest: &Ingest, feed: Feed, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log);
        Self::spawn(ingest, feed, log.unwrap_or_else(|error| panic!("the log of an encoder: {error}")).into())
    }

    fn spawn(ingest: &Ingest, feed: Feed, log: Stdio) -> Self {
        let base = ingest.url_with_user();
        let first = Number { run: feed.run, frame: feed.second * FRAMES };
        let clock = CLOCKS[feed.run as usize % CLOCKS.len()] + feed.second;
        let (width, height, _) = LADDER[0];
        let mut ffmpeg = Command::new(program(&["ffmpeg"]));
        ffmpeg.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-re"]);
        ffmpeg.args(["-f", "lavfi", "-i", &format!("testsrc2=s={width}x{height}:r={FRAMES}")]);
        ffmpeg.args(["-f", "lavfi", "-i", &numbered::source(first, width)]);
        ffmpeg.args(["-f", "lavfi", "-i", "sine=f=440:r=48000"]);
        let mut graph = format!("[0:v][1:v]overlay=0:0,split={}", LADDER.len());
        (0..LADDER.len()).for_each(|n| graph.push_str(&format!("[s{n}]")));
        for (n, (width, height, _)) in LADDER.iter().enumerate() {
            graph.push_str(&format!(";[s{n}]scale={width}:{height}[v{n}]"));
        }
        ffmpeg.args(["-filter_complex", &graph, "-map", "[v0]", "-map", "[v1]", "-map", "[v2]"]);
        ffmpeg.args(["-map", "2:a", "-map", "2:a", "-map", "2:a", "-c:v", "libx264", "-preset", "ultrafast"]);
        ffmpeg.args(["-threads", "1", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-bf", "2"]);
        for (n, (_, _, rate)) in LADDER.iter().enumerate() {
            ffmpeg.args([&format!("-b:v:{n}"), *rate]);
        }
        ffmpeg.args(["-c:a", "aac", "-b:a", "48k", "-output_ts_offset", &clock.to_string()]);
        ffmpeg.args(["-f", "hls", "-hls_time", &SEGMENT_SECONDS.to_string(), "-hls_list_size", "5"]);
        ffmpeg.args(["-var_stream_map", "v:0,a:0 v:1,a:1 v:2,a:2", "-master_pl_name", "main.m3u8"]);
        // It goes on when nobody takes a segment.
        ffmpeg.args(["-method", "PUT", "-http_persistent", "1", "-ignore_io_errors", "1"]);
        let extension = match feed.container {
            Container::Transport => "ts",
            Container::Fragments => {
                ffmpeg.args(["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init_%v.mp4"]);
                "m4s"
            }
        };
        ffmpeg.args(["-hls_segment_filename", &format!("{base}v%v_%05d.{extension}"), &format!("{base}v%v.m3u8")]);
        ffmpeg.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self { child: ffmpeg.spawn().unwrap_or_else(|error| panic!("ffmpeg: {error}")) }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
