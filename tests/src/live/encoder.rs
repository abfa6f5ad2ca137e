//! ffmpeg as an encoder.

use std::process::{Child, Command, Stdio};

use super::channel::Ingest;
use super::clip::Container;
use crate::tools::program;

/// Renditions: width, height, bits a second.
const LADDER: [(u32, u32, &str); 3] = [(640, 360, "800k"), (480, 270, "500k"), (320, 180, "300k")];

/// A running ffmpeg that pushes three renditions in segments of two seconds, at the pace of the clock. It ends when this is dropped.
pub struct Encoder {
    child: Child,
}

impl Encoder {
    /// Starts one.
    pub fn start(ingest: &Ingest, container: Container) -> Self {
        let base = ingest.url_with_user();
        let mut ffmpeg = Command::new(program(&["ffmpeg"]));
        ffmpeg.args([
            "-nostdin",
            "-hide_banner",
            "-loglevel",
            "error",
            "-re",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=640x360:r=25",
        ]);
        ffmpeg.args(["-f", "lavfi", "-i", "sine=f=440:r=48000"]);
        let mut graph = format!("[0:v]split={}[s0][s1][s2]", LADDER.len());
        for (n, (width, height, _)) in LADDER.iter().enumerate() {
            graph.push_str(&format!(";[s{n}]scale={width}:{height}[v{n}]"));
        }
        ffmpeg.args(["-filter_complex", &graph, "-map", "[v0]", "-map", "[v1]", "-map", "[v2]"]);
        ffmpeg.args(["-map", "1:a", "-map", "1:a", "-map", "1:a", "-c:v", "libx264", "-preset", "ultrafast"]);
        ffmpeg.args(["-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-bf", "2"]);
        for (n, (_, _, rate)) in LADDER.iter().enumerate() {
            ffmpeg.args([&format!("-b:v:{n}"), *rate]);
        }
        ffmpeg.args(["-c:a", "aac", "-b:a", "64k", "-f", "hls", "-hls_time", "2", "-hls_list_size", "5"]);
        ffmpeg.args(["-var_stream_map", "v:0,a:0 v:1,a:1 v:2,a:2", "-master_pl_name", "main.m3u8"]);
        // It goes on when nobody takes a segment.
        ffmpeg.args(["-method", "PUT", "-http_persistent", "1", "-ignore_io_errors", "1"]);
        let extension = match container {
            Container::Transport => "ts",
            Container::Fragments => {
                ffmpeg.args(["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init_%v.mp4"]);
                "m4s"
            }
        };
        ffmpeg.args(["-hls_segment_filename", &format!("{base}v%v_%05d.{extension}"), &format!("{base}v%v.m3u8")]);
        // What it says of uploads that nobody took would only hide what the tests say.
        ffmpeg.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
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
