//! When a fragmented MP4 of one track begins (ISO/IEC 14496-12). ffmpeg moves all times when composition offsets are
//! negative, and does not always heed the edit list of a fragmented file; this tells what it should have said.

/// Presentation time in seconds of the first sample that is presented, of those in the first fragment; `None` when there is
/// no fragment.
pub fn first_presentation(bytes: &[u8]) -> Option<f64> {
    let mut found = Found::default();
    found.walk(bytes)?;
    let first = found.first?;
    let edit = found.edit as f64 / found.movie_timescale.max(1) as f64;
    Some((first - found.media_time) as f64 / f64::from(found.timescale) + edit)
}

#[derive(Default)]
struct Found {
    timescale: u32,
    movie_timescale: u32,
    /// Of empty edits, on the movie's timescale.
    edit: i64,
    media_time: i64,
    /// Defaults of `trex`, then of `tfhd`.
    default_duration: u32,
    time: i64,
    first: Option<i64>,
    done: bool,
}

impl Found {
    /// Goes through boxes until the first `moof` has been read.
    fn walk(&mut self, mut bytes: &[u8]) -> Option<()> {
        while bytes.len() >= 8 && !self.done {
            let size = number(bytes, 0)? as usize;
            let kind = bytes.get(4..8)?;
            let (start, size) = match size {
                0 => (8, bytes.len()),
                1 => (16, usize::try_from(long(bytes, 8)?).ok()?),
                size => (8, size),
            };
            let body = bytes.get(start..size)?;
            match kind {
                b"moov" | b"trak" | b"mdia" | b"edts" | b"mvex" | b"traf" => self.walk(body)?,
                b"moof" => {
                    self.walk(body)?;
                    self.done = self.first.is_some();
                }
                b"mvhd" => self.movie_timescale = number(body, if body[0] == 1 { 20 } else { 12 })?,
                b"mdhd" => self.timescale = number(body, if body[0] == 1 { 20 } else { 12 })?,
                b"trex" => self.default_duration = number(body, 12)?,
                b"elst" => self.edits(body)?,
                b"tfhd" => self.fragment_header(body)?,
                b"tfdt" => {
                    self.time = if body[0] == 1 { long(body, 4)? as i64 } else { i64::from(number(body, 4)?) };
                }
                b"trun" => self.run(body)?,
                _ => {}
            }
            bytes = &bytes[size..];
        }
        Some(())
    }

    fn edits(&mut self, body: &[u8]) -> Option<()> {
        let wide = body[0] == 1;
        for index in 0..number(body, 4)? as usize {
            let entry = body.get(8 + index * if wide { 20 } else { 12 }..)?;
            let (duration, time) = if wide {
                (long(entry, 0)? as i64, long(entry, 8)? as i64)
            } else {
                (i64::from(number(entry, 0)?), i64::from(number(entry, 4)? as i32))
            };
            if time < 0 {
                self.edit += duration;
            } else {
                self.media_time = time;
                break;
            }
        }
        Some(())
    }

    fn fragment_header(&mut self, body: &[u8]) -> Option<()> {
        let flags = number(body, 0)?;
        let mut at = 8;
        at += if flags & 1 != 0 { 8 } else { 0 };
        at += if flags & 2 != 0 { 4 } else { 0 };
        if flags & 8 != 0 {
            self.default_duration = number(body, at)?;
        }
        Some(())
    }

    fn run(&mut self, body: &[u8]) -> Option<()> {
        let flags = number(body, 0)?;
        let mut at = 8;
        at += if flags & 1 != 0 { 4 } else { 0 };
        at += if flags & 4 != 0 { 4 } else { 0 };
        for _ in 0..number(body, 4)? {
            let mut duration = self.default_duration;
            if flags & 0x100 != 0 {
                duration = number(body, at)?;
                at += 4;
            }
            at += if flags & 0x200 != 0 { 4 } else { 0 };
            at += if flags & 0x400 != 0 { 4 } else { 0 };
            let mut offset = 0;
            if flags & 0x800 != 0 {
                offset = i64::from(number(body, at)? as i32);
                at += 4;
            }
            let presented = self.time + offset;
            self.first = Some(self.first.map_or(presented, |first| first.min(presented)));
            self.time += i64::from(duration);
        }
        Some(())
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media;

    #[test]
    fn starts_are_those_that_the_packagers_meant() {
        let read = |path: &str| std::fs::read(media::hls(path)).expect("a file");
        // Pictures by ffmpeg: decoding begins at 0, presentation a frame later, and no edit list says otherwise.
        let video = [read("cmaf/180p/init.mp4"), read("cmaf/180p/1.m4s")].concat();
        let start = first_presentation(&video).expect("a fragment");
        assert!((start - 0.04).abs() < 0.001, "{start}");
        // shaka-packager's sound begins one frame early.
        let sound = read("cmaf_ranges/audio.mp4");
        let start = first_presentation(&sound).expect("a fragment");
        assert!((start + 1024.0 / 48_000.0).abs() < 0.001, "{start}");
        assert_eq!(first_presentation(&read("cmaf/180p/init.mp4")), None);
    }
}
