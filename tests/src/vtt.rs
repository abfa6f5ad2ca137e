//! WebVTT, as far as the tests look at it.

/// One cue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cue {
    /// In seconds.
    pub start: f64,
    /// In seconds.
    pub end: f64,
    /// As it is written, lines joined by `\n`.
    pub text: String,
}

/// Cues of segments, each with what is added to its times; a cue that goes on in the next segment is there once.
///
/// A header with X-TIMESTAMP-MAP moves times to the clock of the media.
pub fn cues<'a>(segments: impl Iterator<Item = (&'a [u8], f64)>, name: &str) -> Vec<Cue> {
    let mut all: Vec<Cue> = Vec::new();
    for (bytes, shift) in segments {
        let text = std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        assert!(text.starts_with("WEBVTT"), "{name}: {text:?}");
        let shift = shift + map(&text).unwrap_or_default();
        for block in text.split("\n\n").skip(1) {
            let mut lines = block.trim_matches('\n').lines().skip_while(|line| !line.contains("-->"));
            let Some((start, end)) = lines.next().and_then(|line| line.split_once("-->")) else { continue };
            let time = |text: &str| {
                let text = text.split_whitespace().next().unwrap_or_default();
                seconds(text).unwrap_or_else(|| panic!("{name}: a time {text:?}")) + shift
            };
            let cue = Cue { start: time(start), end: time(end), text: lines.collect::<Vec<_>>().join("\n") };
            if !all.iter().any(|known| same(known, &cue)) {
                all.push(cue);
            }
        }
    }
    all
}

fn same(one: &Cue, other: &Cue) -> bool {
    one.text == other.text && (one.start - other.start).abs() < 0.002 && (one.end - other.end).abs() < 0.002
}

/// What the header adds to times, in seconds.
fn map(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("X-TIMESTAMP-MAP="))?;
    let part = |name: &str| line.split(',').find_map(|part| part.strip_prefix(name));
    let ticks: f64 = part("MPEGTS:")?.trim().parse().ok()?;
    Some(ticks / 90_000.0 - seconds(part("LOCAL:")?.trim())?)
}

fn seconds(text: &str) -> Option<f64> {
    text.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_are_on_the_clock_of_the_media() {
        let one = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:10.000,MPEGTS:1800000\n\nSTYLE\n::cue {}\n\nid\n00:05.000 --> 00:07.500 line:1\na\nb\n";
        let two = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\r\n\r\n00:00:05.000 --> 00:00:07.500\r\na\r\nb\r\n\r\n";
        let found = cues([one.as_bytes(), two.as_bytes()].into_iter().map(|bytes| (bytes, 0.0)), "test");
        assert_eq!(found, [Cue { start: 15.0, end: 17.5, text: "a\nb".into() }]);
    }
}
