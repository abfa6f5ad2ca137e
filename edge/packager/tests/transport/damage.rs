//! Streams that are damaged at random: nothing panics, and what is learned comes out again.

use crate::learn;

/// A small generator of numbers (xorshift), the same on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit.max(1)
    }
}

/// Packets are left out, about one in `rate`, sometimes several in a row.
pub fn lose(bytes: &[u8], rate: usize, random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    let mut missing = 0;
    for packet in bytes.chunks(188) {
        if missing == 0 && random.below(rate) == 0 {
            missing = 1 + random.below(4) * random.below(6);
        }
        if missing > 0 {
            missing -= 1;
        } else {
            out.extend(packet);
        }
    }
    out
}

fn twice(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    bytes.chunks(188).flat_map(|p| p.repeat(1 + usize::from(random.below(5) == 0))).collect()
}

fn swapped(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut packets: Vec<&[u8]> = bytes.chunks(188).collect();
    for _ in 0..packets.len() / 50 + 1 {
        let at = random.below(packets.len().saturating_sub(1));
        if at + 1 < packets.len() {
            packets.swap(at, at + 1);
        }
    }
    packets.concat()
}

fn flipped(bytes: &[u8], headers: bool, random: &mut Random) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..out.len() / 3000 + 1 {
        let at = if headers { random.below(out.len() / 188) * 188 + random.below(20) } else { random.below(out.len()) };
        if let Some(byte) = out.get_mut(at) {
            *byte ^= 1 << random.below(8);
        }
    }
    out
}

fn cut(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = bytes[random.below(bytes.len())..].to_vec();
    let at = random.below(out.len());
    // Bytes that are no packet stand in the middle.
    out.splice(at..at, (0..random.below(700)).map(|n| (n * 37) as u8).collect::<Vec<_>>());
    out.truncate(random.below(out.len() + 1).max(out.len() / 2));
    out
}

/// Learns and extracts in two ways of pushing.
fn survive(segments: &[learn::Segment<'_>], name: &str) -> usize {
    let Ok(rendition) = learn::learn(segments, &[1 << 16]) else { return 0 };
    let other = learn::learn(segments, &[1, 187, 1000, 64]).unwrap();
    assert_eq!(rendition.frames, other.frames, "{name}: chunks make no difference");
    let bytes: Vec<u8> = segments.iter().flat_map(|s| s.1).copied().collect();
    learn::check_extraction(&bytes, &rendition, name);
    rendition.frames.iter().map(Vec::len).sum()
}

#[test]
fn whatever_is_learned_comes_out_again() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut frames = 0;
    for path in crate::shared() {
        let bytes = std::fs::read(&path).unwrap();
        if bytes.len() < 1880 {
            continue;
        }
        let bytes = &bytes[..bytes.len().min(180 * 188)];
        let name = path.display().to_string();
        for round in 0..3 {
            let name = |what: &str| format!("{name} {what} {round}");
            let rate = [20, 60, 300][round];
            frames += survive(&[(false, &lose(bytes, rate, &mut random))], &name("lost"));
            frames += survive(&[(false, &twice(bytes, &mut random))], &name("twice"));
            frames += survive(&[(false, &swapped(bytes, &mut random))], &name("swapped"));
            frames += survive(&[(false, &flipped(bytes, false, &mut random))], &name("flipped"));
            frames += survive(&[(false, &flipped(bytes, true, &mut random))], &name("flipped headers"));
            frames += survive(&[(false, &cut(bytes, &mut random))], &name("cut"));
            let first = cut(bytes, &mut random);
            let second = lose(bytes, rate, &mut random);
            frames += survive(&[(false, &first), (true, &second), (false, bytes)], &name("segments"));
        }
    }
    println!("{frames} frames of damaged streams");
}

#[test]
fn media_that_are_not_what_was_indexed_are_refused() {
    let mut random = Random(0xfeed_5678_9abc_def1);
    let (mut refused, mut fitting) = (0, 0);
    for path in crate::shared() {
        let bytes = std::fs::read(&path).unwrap();
        if bytes.len() < 1880 {
            continue;
        }
        let bytes = &bytes[..bytes.len().min(120 * 188)];
        let Ok(rendition) = learn::learn(&[(false, bytes)], &[1 << 16]) else { continue };
        let others = [
            lose(bytes, 20, &mut random),
            swapped(bytes, &mut random),
            flipped(bytes, true, &mut random),
            flipped(bytes, false, &mut random),
            vec![0x47; bytes.len()],
            bytes[188..].to_vec(),
        ];
        for mut other in others {
            other.resize(bytes.len(), 0);
            for (stream, frames) in rendition.streams.iter().zip(&rendition.frames) {
                for run in learn::runs(frames) {
                    match learn::extract(&other, stream, &frames[run], 1000) {
                        Ok(_) => fitting += 1,
                        Err(error) => {
                            assert_eq!(error.kind(), packager::ErrorKind::BadSource, "{error}");
                            refused += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(refused > fitting && fitting > 0, "{refused} reads refused, {fitting} with frames of the right sizes");
}
