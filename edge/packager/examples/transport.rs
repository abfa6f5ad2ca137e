//! How fast transport streams are learned, and frames taken out of them again: `transport FILE.ts...`.

#![allow(clippy::disallowed_methods, reason = "a program that measures reads files and a clock")]

use std::time::Instant;

use packager::source::transport::{EsCodec, Extractor, Frame, Place, TransportReader};

/// Bytes as they come from storage.
const CHUNK_BYTES: usize = 64 << 10;
/// Each is measured so often; the best counts.
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        let mut frames: Vec<Vec<(u32, Place)>> = Vec::new();
        let mut codecs: Vec<EsCodec> = Vec::new();
        let mut best = f64::MAX;
        for _ in 0..ROUNDS {
            frames.clear();
            let start = Instant::now();
            let mut reader = TransportReader::new();
            let mut sink = |frame: Frame<'_>| {
                frames.resize_with(frames.len().max(frame.stream + 1), Vec::new);
                frames[frame.stream].push((frame.data.len() as u32, frame.place));
            };
            reader.segment(false, &mut sink)?;
            for chunk in bytes.chunks(CHUNK_BYTES) {
                reader.push(chunk, &mut sink)?;
            }
            reader.finish(&mut sink)?;
            best = best.min(start.elapsed().as_secs_f64());
            codecs = reader.streams().iter().map(|s| s.codec).collect();
        }
        println!("{path}: {} MB, learned at {:.0} MB/s", bytes.len() / 1_000_000, bytes.len() as f64 / best / 1e6);
        for (codec, frames) in codecs.iter().zip(&frames) {
            let Some(((_, first), (_, last))) = frames.first().zip(frames.last()) else { continue };
            if first.run != last.run {
                println!("    {codec:?}: more than one run");
                continue;
            }
            let read = &bytes[first.packets.start as usize..last.packets.end as usize];
            let (mut best, mut taken, mut out) = (f64::MAX, 0, Vec::new());
            for _ in 0..ROUNDS {
                let start = Instant::now();
                let mut extractor = Extractor::new(first.pid, *codec, first.skip);
                let mut wanted = frames.iter().map(|(size, _)| *size).peekable();
                taken = 0;
                let mut take = |extractor: &mut Extractor| -> packager::Result<()> {
                    while let Some(size) = wanted.peek() {
                        out.clear();
                        if !extractor.next(*size, &mut out)? {
                            break;
                        }
                        taken += out.len();
                        wanted.next();
                    }
                    Ok(())
                };
                for chunk in read.chunks(CHUNK_BYTES) {
                    extractor.push(chunk)?;
                    take(&mut extractor)?;
                }
                extractor.finish();
                take(&mut extractor)?;
                best = best.min(start.elapsed().as_secs_f64());
            }
            let rate = read.len() as f64 / best / 1e6;
            println!(
                "    {codec:?}: {} frames, {taken} bytes, extracted at {rate:.0} MB/s of the stream",
                frames.len()
            );
        }
    }
    Ok(())
}
