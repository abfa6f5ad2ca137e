//! What ffmpeg finds in a transport stream, brought into the neutral form by the test's own means.

use std::path::Path;
use std::process::Command;

/// A stream as ffmpeg has it.
pub struct Stream {
    pub pid: u16,
    pub codec: String,
    pub packets: Vec<Packet>,
}

/// A packet in the neutral form.
pub struct Packet {
    pub pts: Option<i64>,
    pub dts: Option<i64>,
    pub data: Vec<u8>,
}

fn run(program: &str, arguments: &[&str], path: &Path) -> Option<Vec<u8>> {
    let place = arguments.iter().position(|a| *a == "FILE").unwrap();
    let mut command = Command::new(program);
    command.args(&arguments[..place]).arg(path).args(&arguments[place + 1..]);
    Some(command.output().ok()?.stdout)
}

/// The streams of a file; None without ffmpeg.
pub fn streams(path: &Path) -> Option<Vec<Stream>> {
    let list = ["-v", "error", "-show_entries", "stream=index,id,codec_name", "-of", "compact=p=0:nk=0", "FILE"];
    let list = String::from_utf8(run("ffprobe", &list, path)?).unwrap();
    let packets =
        ["-v", "error", "-show_entries", "packet=stream_index,pts,dts,size", "-of", "compact=p=0:nk=0", "FILE"];
    let packets = String::from_utf8(run("ffprobe", &packets, path)?).unwrap();
    let field = |line: &str, name: &str| -> Option<String> {
        line.trim().split('|').find_map(|f| f.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    };
    let mut streams = Vec::new();
    let mut seen = Vec::new();
    for line in list.lines() {
        let (Some(index), Some(id)) = (field(line, "index"), field(line, "id")) else { continue };
        if seen.contains(&index) {
            continue;
        }
        let pid = u16::from_str_radix(id.trim_start_matches("0x"), 16).unwrap();
        let codec = field(line, "codec_name").unwrap_or_default();
        let map = format!("0:{index}");
        let copy = ["-v", "error", "-i", "FILE", "-map", &map, "-c", "copy", "-copyinkf", "-f", "data", "-"];
        let bytes = run("ffmpeg", &copy, path)?;
        let mut rest = bytes.as_slice();
        let mut found = Vec::new();
        for line in packets.lines().filter(|l| field(l, "stream_index").as_ref() == Some(&index)) {
            let size: usize = field(line, "size").unwrap().parse().unwrap();
            let (packet, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            let time = |name| field(line, name).and_then(|t| t.parse().ok());
            let data = neutral(&codec, packet);
            if !data.is_empty() {
                found.push(Packet { pts: time("pts"), dts: time("dts"), data });
            }
        }
        // Parts of frames at both ends are packets for ffmpeg.
        let whole = found.iter().map(|p| p.data.len()).max().filter(|_| codec == "ac3").unwrap_or(0);
        found.retain(|p| p.data.len() >= whole);
        assert!(rest.is_empty(), "{}: ffmpeg and ffprobe see the same packets", path.display());
        seen.push(index);
        streams.push(Stream { pid, codec, packets: found });
    }
    Some(streams)
}

fn neutral(codec: &str, packet: &[u8]) -> Vec<u8> {
    match codec {
        "h264" => nal_units(packet, |nal| !matches!(nal[0] & 31, 7..=13 | 15)),
        "hevc" => nal_units(packet, |nal| !matches!(nal[0] >> 1, 32..=38)),
        // This version of ffmpeg takes the first five bytes of a tag for something else and leaves them out.
        "timed_id3" => [b"ID3\x04\0", packet].concat(),
        "aac" if packet.len() > 7 => packet[if packet[1] & 1 == 1 { 7 } else { 9 }..].to_vec(),
        _ => packet.to_vec(),
    }
}

fn nal_units(packet: &[u8], keeps: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let starts: Vec<usize> = (0..packet.len()).filter(|at| packet[*at..].starts_with(&[0, 0, 1])).collect();
    let mut out = Vec::new();
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(packet.len());
        let mut nal = &packet[start + 3..end];
        while let [before @ .., 0] = nal {
            nal = before;
        }
        if nal.len() > 1 && keeps(nal) {
            out.extend((nal.len() as u32).to_be_bytes());
            out.extend(nal);
        }
    }
    out
}
