//! What ffmpeg's `trace_headers` filter prints, taken apart.

use std::path::Path;
use std::process::Command;

/// For each packet the ends of its slice headers, in bits of the NAL unit without emulation prevention bytes. None
/// without ffmpeg.
pub fn slice_header_ends(path: &Path, packets: usize) -> Option<Vec<Vec<usize>>> {
    let trace = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostats", "-nostdin", "-i"])
        .arg(path)
        .args([
            "-map",
            "0:V:0",
            "-c",
            "copy",
            "-copyinkf",
            "-frames:v",
            &packets.to_string(),
            "-bsf:v",
            "trace_headers",
        ])
        .args(["-f", "null", "-"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&trace.stderr).into_owned();
    let (mut lines, mut current, mut inside): (Vec<Vec<usize>>, Option<Vec<usize>>, Option<usize>) =
        (Vec::new(), None, None);
    for line in text.split(['\n', '\r']) {
        let Some(line) = line.strip_prefix("[trace_headers").and_then(|l| l.split_once("] ")).map(|l| l.1) else {
            continue;
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let position: Option<usize> = words.first().and_then(|w| w.parse().ok());
        if let (Some(position), Some(end)) = (position, inside.as_mut()) {
            if let [_, name, .., bits, "=", _] = words[..]
                && !name.starts_with("cabac_alignment")
            {
                *end = position + bits.len();
            }
            continue;
        }
        if position.is_some() {
            continue;
        }
        if let (Some(end), Some(current)) = (inside.take(), current.as_mut()) {
            current.push(end);
        }
        if line.starts_with("Packet:") {
            lines.extend(current.replace(Vec::new()));
        } else if line.starts_with("Slice Header") || line.starts_with("Slice Segment Header") {
            inside = Some(0);
        }
    }
    if let (Some(end), Some(current)) = (inside, current.as_mut()) {
        current.push(end);
    }
    lines.extend(current);
    Some(lines)
}
