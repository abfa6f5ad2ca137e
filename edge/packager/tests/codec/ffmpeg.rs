//! What ffmpeg's `trace_headers` filter prints, taken apart.

use std::path::Path;
use std::process::Command;

/// Where a header ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Bits up to the end of a slice header (of the NAL unit, without emulation prevention bytes), of a VP9
    /// uncompressed header, or of an AV1 tile group's header (from the start of its OBU).
    pub bits: usize,
    /// AV1 with several tiles: bytes of a tile size field.
    pub size_bytes: usize,
}

/// The ends of each packet, one line a packet: `bits` or `bits/size_bytes`.
pub fn read(text: &str) -> Vec<Vec<End>> {
    let end = |word: &str| match word.split_once('/') {
        Some((bits, size)) => End { bits: bits.parse().unwrap(), size_bytes: size.parse().unwrap() },
        None => End { bits: word.parse().unwrap(), size_bytes: 0 },
    };
    text.lines().map(|line| line.split_whitespace().map(end).collect()).collect()
}

/// Gathers the ends while lines go by.
#[derive(Default)]
struct Trace {
    packets: Vec<Vec<End>>,
    open: Option<Vec<End>>,
    inside: bool,
    end: End,
    av1: bool,
    tile_group: bool,
}

impl Trace {
    fn flush(&mut self) {
        if self.inside && self.end.bits > 0 && (!self.av1 || self.tile_group) {
            self.open.get_or_insert_default().push(self.end);
        }
        self.inside = false;
        self.tile_group = false;
        self.end.bits = 0;
    }

    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let position: Option<usize> = words.first().and_then(|w| w.parse().ok());
        if let Some(position) = position {
            if let [_, name, .., bits, "=", value] = words[..] {
                if name == "tile_size_bytes_minus1" {
                    self.end.size_bytes = value.parse::<usize>().unwrap() + 1;
                }
                if self.inside && !name.starts_with("cabac_alignment") {
                    self.end.bits = position + bits.len();
                }
            }
        } else if line.starts_with("Packet:") {
            self.flush();
            self.packets.extend(self.open.replace(Vec::new()));
        } else if line.starts_with("Slice Header") || line.starts_with("Slice Segment Header") || line == "Frame" {
            self.flush();
            self.inside = true;
        } else if line.starts_with("OBU header") {
            self.flush();
            (self.inside, self.av1) = (true, true);
        } else if line.starts_with("Frame Header") {
            self.end.size_bytes = 0;
        } else if line.starts_with("Tile Group") {
            self.tile_group = true;
        } else if !self.av1 {
            self.flush();
        }
    }
}

/// The ends of the first `packets` packets of the first video track. None without ffmpeg.
pub fn trace(path: &Path, packets: usize) -> Option<Vec<Vec<End>>> {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostats", "-nostdin", "-i"])
        .arg(path)
        .args(["-map", "0:V:0", "-c", "copy", "-copyinkf", "-frames:v", &packets.to_string()])
        .args(["-bsf:v", "trace_headers", "-f", "null", "-"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let mut trace = Trace::default();
    for line in text.split(['\n', '\r']) {
        if let Some((_, line)) = line.strip_prefix("[trace_headers").and_then(|l| l.split_once("] ")) {
            // What comes before the first packet is about the sample entry.
            if trace.open.is_some() || line.starts_with("Packet:") {
                trace.line(line);
            }
        }
    }
    trace.flush();
    trace.packets.extend(trace.open.take());
    Some(trace.packets)
}
