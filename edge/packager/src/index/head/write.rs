//! Writing of a track of the head.

use super::*;
use crate::bytes::writer::Writer;

impl Track {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(match self.name.kind {
            TrackKind::Video => 0,
            TrackKind::Audio => 1,
            TrackKind::Text => 2,
            TrackKind::Metadata => 3,
        });
        out.varint(u64::from(self.name.ordinal));
        match &self.storage {
            Storage::File(source) => {
                out.push(0);
                out.varint(u64::from(*source));
            }
            Storage::Objects { prefix } => {
                out.push(1);
                out.blob(prefix.as_bytes());
            }
            Storage::Transport { prefix, stream } => {
                out.push(2);
                out.blob(prefix.as_bytes());
                out.push(stream.number());
            }
            Storage::Index => out.push(3),
        }
        out.varint(u64::from(self.timescale));
        out.varint(u64::from(self.unit));
        out.varint(self.edit_media_time);
        out.varint(self.end);
        let flags = [
            (self.constant_duration.is_some(), CONSTANT_DURATION),
            (self.composition, COMPOSITION),
            (self.stretches, STRETCHES),
            (self.closed, CLOSED),
            (self.annex_b, ANNEX_B),
            (self.transport, TRANSPORT),
            (self.stored.is_some(), STORED),
            (self.hidden, HIDDEN),
            (self.default, DEFAULT),
            (self.sample_aes, SAMPLE_AES),
        ];
        out.varint(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag).sum());
        out.push(match self.sync {
            SyncLayout::All => 0,
            SyncLayout::First => 1,
            SyncLayout::Listed => 2,
        });
        if let Some(duration) = self.constant_duration {
            out.varint(u64::from(duration));
        }
        if self.composition {
            out.varint(u64::from(self.reorder));
        }
        if let Some(stored) = self.stored {
            [stored.track_id, stored.description, stored.duration, stored.size, stored.flags]
                .iter()
                .for_each(|v| out.varint(u64::from(*v)));
        }
        out.varint(self.sample_entries.len() as u64);
        for entry in &self.sample_entries {
            out.blob(entry);
        }
        out.blob(self.codec.as_bytes());
        for text in [&self.supplemental_codec, &self.language, &self.label, &self.role] {
            out.blob(text.as_deref().unwrap_or_default().as_bytes());
        }
        out.extend_from_slice(&self.language_code);
        out.varint(self.average_bitrate);
        out.varint(self.peak_bitrate);
        match &self.media {
            Media::Video(video) => video.write(out),
            Media::Audio(audio) => {
                out.varint(u64::from(audio.sample_rate));
                out.varint(u64::from(audio.channels));
                out.varint(audio.joc.map_or(0, |c| u64::from(c) + 1));
            }
            Media::Text(text) => {
                out.push(u8::from(text.forced));
                match &text.format {
                    TextFormat::Webvtt { header } => {
                        out.push(0);
                        out.blob(header.as_bytes());
                    }
                    TextFormat::Stpp => out.push(1),
                }
            }
            Media::Metadata => {}
        }
        self.write_fragments(out);
    }

    fn write_fragments(&self, out: &mut Vec<u8>) {
        let unit = u64::from(self.unit.max(1));
        let first = self.fragments.first().map_or(0, |f| f.decode_time);
        out.varint(first);
        let mut time = first;
        for (number, fragment) in self.fragments.iter().enumerate() {
            out.varint(u64::from(fragment.samples));
            out.varint(fragment.bytes);
            out.varint(u64::from(fragment.block_bytes));
            // Between fragments only whole units pass; the end of the last is not needed.
            if number > 0 {
                out.varint((fragment.decode_time - time) / unit);
                time = fragment.decode_time;
            }
            if self.composition {
                out.zigzag(i64::from(fragment.composition_offset) / unit as i64);
            }
            if self.is_video() {
                out.varint(u64::from(fragment.first_sample_bytes));
            }
            if self.sample_entries.len() > 1 {
                out.varint(u64::from(fragment.description));
            }
            if self.transport {
                out.varint(u64::from(fragment.packets));
                if self.is_video() {
                    out.varint(u64::from(fragment.clocks));
                    out.varint(u64::from(fragment.first_sample_packets));
                }
            }
            if self.grows() {
                out.varint(u64::from(fragment.sample_aes_packets));
                out.varint(u64::from(fragment.sample_aes_first_packets));
            }
            if self.stored.is_some() {
                out.varint(fragment.stored_bytes);
            }
            if self.stretches {
                out.varint(u64::from(fragment.cbcs_subsamples));
                // They differ only where slices are shorter than a block.
                out.zigzag(i64::from(fragment.cenc_subsamples) - i64::from(fragment.cbcs_subsamples));
            }
        }
    }
}

impl Video {
    fn write(&self, out: &mut Vec<u8>) {
        for value in [self.width, self.height, self.aspect.0, self.aspect.1, self.frame_rate.0, self.frame_rate.1] {
            out.varint(u64::from(value));
        }
        self.matrix.iter().for_each(|v| out.u32(*v));
        out.push(match self.range {
            VideoRange::Sdr => 0,
            VideoRange::Pq => 1,
            VideoRange::Hlg => 2,
        });
        out.blob(&self.cea608);
        out.blob(&self.cea708);
        out.varint(self.captions.len() as u64);
        for caption in &self.captions {
            out.blob(caption.channel.as_bytes());
            out.blob(caption.language.as_deref().unwrap_or_default().as_bytes());
            out.blob(caption.label.as_deref().unwrap_or_default().as_bytes());
        }
        out.varint(self.companion.map_or(0, |c| u64::from(c) + 1));
    }
}
