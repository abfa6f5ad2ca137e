//! Where the samples between two cuts are, as a block of the index says it.

use core::ops::Range;

use super::assemble::Details;
use super::hls::layout::Place;
use crate::index::block::{Block, Extent, Object, PacketRange, Sample};
use crate::index::head::Storage;
use crate::media::sample;

/// Fills a block with samples and where they are.
pub fn fill(block: &mut Block, own: &[sample::Sample], details: &Details<'_>) {
    block.samples.clear();
    block.extents.clear();
    block.packets.clear();
    block.objects.clear();
    block.samples.extend(own.iter().map(|sample| Sample {
        size: sample.size,
        duration: sample.duration,
        composition_offset: sample.composition_offset,
        sync: sample.sync,
    }));
    if let Storage::Transport { .. } = details.storage {
        let places = own.iter().filter_map(|s| details.places.get(usize::try_from(s.offset).ok()?));
        fill_packets(&mut block.packets, places);
    } else {
        fill_extents(&mut block.extents, own);
    }
    let extents = block.extents.iter().map(|e| &e.range);
    let mut touched: Vec<usize> = Vec::new();
    for range in extents.chain(block.packets.iter().map(|p| &p.range)) {
        let numbers = overlapping(&details.objects, range);
        // Consecutive ranges are mostly in one object.
        touched.extend(numbers.filter(|n| touched.last() != Some(n)).collect::<Vec<_>>());
    }
    touched.sort_unstable();
    touched.dedup();
    block.objects.extend(touched.iter().filter_map(|n| details.objects.get(*n).cloned()));
}

fn fill_extents(extents: &mut Vec<Extent>, own: &[sample::Sample]) {
    for sample in own {
        let range = sample.offset..sample.offset + u64::from(sample.size);
        match extents.last_mut() {
            Some(last) if last.range.end == range.start => {
                last.range.end = range.end;
                last.samples += 1;
            }
            _ => extents.push(Extent { range, samples: 1 }),
        }
    }
}

/// Samples that follow each other in one elementary stream are one run of packets.
fn fill_packets<'a>(packets: &mut Vec<PacketRange>, places: impl Iterator<Item = &'a Place>) {
    for place in places {
        match packets.last_mut() {
            Some(last) if place.follows && last.pid == place.pid => {
                last.range.end = last.range.end.max(place.packets.end);
                last.samples += 1;
            }
            _ => {
                packets.push(PacketRange { pid: place.pid, range: place.packets.clone(), skip: place.skip, samples: 1 })
            }
        }
    }
}

/// The objects that a range of their space lies in.
fn overlapping(objects: &[Object], range: &Range<u64>) -> Range<usize> {
    let first = objects.partition_point(|o| o.base.saturating_add(o.object.bytes) <= range.start);
    let end = objects.partition_point(|o| o.base < range.end);
    first..end.max(first)
}
