//! WebVTT files: segments for HLS (RFC 8216bis, 3.1.4), and the whole track for DASH.

use core::fmt::Write as _;

use bytes::Bytes;

use crate::text::time::Timestamp;
use crate::text::{CueRef, line_safe, payload_safe};

/// A segment: its cues with their full times. `mpegts` is the 90 kHz timestamp that is presentation time 0 in the media
/// segments next to it. A segment without cues is just the header.
pub fn segment(header: &str, cues: &[CueRef<'_>], mpegts: u64) -> Bytes {
    let mut out = String::with_capacity(capacity(header, cues));
    // Writing to a String does not fail.
    let _ = write!(out, "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{mpegts},LOCAL:00:00:00.000\n");
    write_body(header, cues, &mut out);
    out.into()
}

/// A file of all cues, in presentation times.
pub fn file(header: &str, cues: &[CueRef<'_>]) -> Bytes {
    let mut out = String::with_capacity(capacity(header, cues));
    out.push_str("WEBVTT\n");
    write_body(header, cues, &mut out);
    out.into()
}

fn capacity(header: &str, cues: &[CueRef<'_>]) -> usize {
    const FIRST_LINES: usize = 96;
    const TIMES_AND_LINE_ENDS: usize = 48;
    let cues = cues.iter().map(|c| c.identifier.len() + c.settings.len() + c.payload.len() + TIMES_AND_LINE_ENDS);
    header.len() + FIRST_LINES + cues.sum::<usize>()
}

fn write_body(header: &str, cues: &[CueRef<'_>], out: &mut String) {
    // An arrow would make a cue of what follows a style sheet.
    if !header.is_empty() && !header.contains("-->") {
        out.push('\n');
        out.push_str(header.trim_matches('\n'));
        out.push('\n');
    }
    for cue in cues {
        out.push('\n');
        if !cue.identifier.is_empty() {
            out.push_str(&line_safe(cue.identifier));
            out.push('\n');
        }
        let _ = write!(out, "{} --> {}", Timestamp(cue.start), Timestamp(cue.end));
        if !cue.settings.is_empty() {
            out.push(' ');
            out.push_str(&line_safe(cue.settings));
        }
        out.push('\n');
        let payload = payload_safe(cue.payload);
        if !payload.is_empty() {
            out.push_str(&payload);
            out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{self, TimestampMap};

    fn cue<'a>(start: u64, end: u64, payload: &'a str) -> CueRef<'a> {
        CueRef { start, end, payload, ..CueRef::default() }
    }

    #[test]
    fn a_segment_has_map_header_and_cues() {
        let cues = [
            CueRef { identifier: "id", settings: "line:0", ..cue(1500, 100 * 3_600_000, "a\nb") },
            cue(2000, 3000, ""),
        ];
        let wanted = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\nSTYLE\n::cue {}\n\nid\n00:00:01.500 --> 100:00:00.000 line:0\na\nb\n\n00:00:02.000 --> 00:00:03.000\n";
        assert_eq!(segment("STYLE\n::cue {}", &cues, 900_000), wanted);
        assert_eq!(segment("", &[], 0), "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n");
        assert_eq!(file("", &cues[1..]), "WEBVTT\n\n00:00:02.000 --> 00:00:03.000\n");
    }

    #[test]
    fn what_is_written_reads_back() {
        let cues = [CueRef { identifier: "STYLE", settings: "line:0", ..cue(0, 1, "a\nb") }, cue(2000, 3000, "")];
        let document = text::parse(&segment("STYLE\n::cue {}\n\nREGION\nid:x", &cues, 5)).unwrap();
        assert_eq!(document.header, "STYLE\n::cue {}\n\nREGION\nid:x");
        assert_eq!(document.timestamp_map, Some(TimestampMap { mpegts: 5, local_ms: 0 }));
        assert_eq!(document.cues, cues.map(|cue| cue.to_cue()));
        assert_eq!(document.warnings, Vec::<String>::new());
    }

    #[test]
    fn no_cue_can_bring_another() {
        let bad = "x\n\n00:00:00.000 --> 00:00:09.000\nsmuggled\r\r00:01.000 --> 00:02.000\nmore\n";
        let cues = [CueRef { identifier: bad, settings: bad, ..cue(0, 1000, bad) }];
        for bytes in [segment(bad, &cues, 0), file(bad, &cues)] {
            let document = text::parse(&bytes).unwrap();
            assert_eq!(document.cues.len(), 1, "{}", String::from_utf8_lossy(&bytes));
            assert_eq!((document.cues[0].start, document.cues[0].end), (0, 1000));
        }
    }
}
