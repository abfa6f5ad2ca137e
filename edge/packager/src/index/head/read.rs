//! Reading of a head, which may hold anything.

use super::*;
use crate::bytes::Reader;
use crate::bytes::reader::ShortRead;

pub(super) enum Broken {
    Short(ShortRead),
    Value(&'static str, u64),
}

pub(super) type Read<T> = core::result::Result<T, Broken>;

impl From<ShortRead> for Broken {
    fn from(e: ShortRead) -> Self {
        Self::Short(e)
    }
}

fn number<T: TryFrom<u64>>(r: &mut Reader<'_>) -> Read<T> {
    let value = r.varint()?;
    value.try_into().map_err(|_| Broken::Value("a number", r.position()))
}

fn blob<'a>(r: &mut Reader<'a>) -> Read<&'a [u8]> {
    let length = number(r)?;
    Ok(r.take(length)?)
}

fn text(r: &mut Reader<'_>) -> Read<String> {
    let bytes = blob(r)?;
    let text = core::str::from_utf8(bytes).map_err(|_| Broken::Value("a text", r.position()))?;
    Ok(text.to_owned())
}

fn optional_text(r: &mut Reader<'_>) -> Read<Option<String>> {
    text(r).map(|t| (!t.is_empty()).then_some(t))
}

pub(super) fn read_head(data: &[u8], index_bytes: u64) -> Read<Head> {
    let mut r = Reader::new(data, 0);
    if r.array()? != MAGIC {
        return Err(Broken::Value("the magic number", r.position()));
    }
    if r.u8()? != VERSION {
        return Err(Broken::Value("the version", r.position()));
    }
    let alone = r.u8()? & 1 != 0;
    r.take(2)?;
    let head_bytes = r.u32()?;
    if head_bytes as usize != data.len() {
        return Err(Broken::Value("the length of the head", r.position()));
    }
    let cuts: usize = number(&mut r)?;
    if cuts == 0 || cuts > limits::MAX_CUTS || cuts > r.left() {
        return Err(Broken::Value("the number of cuts", r.position()));
    }
    let mut marked = Vec::with_capacity(cuts);
    let mut second = 0u32;
    for _ in 0..cuts {
        let step: u64 = number(&mut r)?;
        let next = u32::try_from(step >> 2).ok().and_then(|s| second.checked_add(s));
        second = next.ok_or(Broken::Value("the second of a cut", r.position()))?;
        marked.push(Cut { second, source_segment: step & 1 != 0, period: step & 2 != 0 });
    }
    let count: usize = number(&mut r)?;
    if count == 0 || count > limits::MAX_TRACKS {
        return Err(Broken::Value("the number of tracks", r.position()));
    }
    let mut head = Head { alone, cuts: marked, tracks: Vec::with_capacity(count) };
    let mut block_offset = u64::from(head_bytes);
    for _ in 0..count {
        let track = read_track(&mut r, cuts, &mut block_offset)?;
        head.tracks.push(track);
    }
    if block_offset > index_bytes {
        return Err(Broken::Value("the length of the blocks", r.position()));
    }
    if r.left() != 0 {
        return Err(Broken::Value("the end", r.position()));
    }
    Ok(head)
}

fn read_track(r: &mut Reader<'_>, cuts: usize, block_offset: &mut u64) -> Read<Track> {
    let kind = match r.u8()? {
        0 => TrackKind::Video,
        1 => TrackKind::Audio,
        2 => TrackKind::Text,
        3 => TrackKind::Metadata,
        _ => return Err(Broken::Value("the kind of a track", r.position())),
    };
    let name = TrackName { kind, ordinal: number(r)? };
    let storage = read_storage(r)?;
    let timescale: u32 = number(r)?;
    let unit: u32 = number(r)?;
    let edit_media_time: u64 = number(r)?;
    let end: u64 = number(r)?;
    // Every time is below this, so that sums and products with timescales stay in range.
    if timescale == 0 || unit == 0 || edit_media_time > MAX_TICKS || end > MAX_TICKS {
        return Err(Broken::Value("a time of a track", r.position()));
    }
    let flags: u64 = number(r)?;
    let sync = match r.u8()? {
        0 => SyncLayout::All,
        1 => SyncLayout::First,
        2 => SyncLayout::Listed,
        _ => return Err(Broken::Value("the sync layout", r.position())),
    };
    let constant_duration = if flags & CONSTANT_DURATION != 0 { Some(number(r)?) } else { None };
    let reorder: u32 = if flags & COMPOSITION != 0 { number(r)? } else { 0 };
    if u64::from(reorder) > MAX_TICKS / 2 || reorder > i32::MAX as u32 {
        return Err(Broken::Value("a composition offset", r.position()));
    }
    let stored = if flags & STORED != 0 {
        let (track_id, description) = (number(r)?, number(r)?);
        Some(Stored { track_id, description, duration: number(r)?, size: number(r)?, flags: number(r)? })
    } else {
        None
    };
    let count: usize = number(r)?;
    // What lies in the index itself needs no sample entry.
    if (count == 0 && storage != Storage::Index) || count > limits::MAX_SAMPLE_ENTRIES {
        return Err(Broken::Value("the number of sample entries", r.position()));
    }
    let mut sample_entries = Vec::with_capacity(count);
    for _ in 0..count {
        let entry = blob(r)?;
        if entry.len() < 16 {
            return Err(Broken::Value("a sample entry", r.position()));
        }
        sample_entries.push(Bytes::copy_from_slice(entry));
    }
    let codec = text(r)?;
    let supplemental_codec = optional_text(r)?;
    let language = optional_text(r)?;
    let label = optional_text(r)?;
    let role = optional_text(r)?;
    let language_code = r.array()?;
    let average_bitrate = number(r)?;
    let peak_bitrate = number(r)?;
    let media = match kind {
        TrackKind::Video => Media::Video(Video::read(r)?),
        TrackKind::Audio => {
            let (sample_rate, channels) = (number(r)?, number(r)?);
            let joc: u8 = number(r)?;
            Media::Audio(Audio { sample_rate, channels, joc: joc.checked_sub(1) })
        }
        TrackKind::Text => {
            let forced = r.u8()? != 0;
            let format = match r.u8()? {
                0 => TextFormat::Webvtt { header: text(r)? },
                1 => TextFormat::Stpp,
                _ => return Err(Broken::Value("the format of subtitles", r.position())),
            };
            Media::Text(Text { format, forced })
        }
        TrackKind::Metadata => Media::Metadata,
    };
    let mut track = Track {
        name,
        storage,
        timescale,
        unit,
        edit_media_time,
        end,
        constant_duration,
        composition: flags & COMPOSITION != 0,
        reorder,
        sync,
        closed: flags & CLOSED != 0,
        stretches: flags & STRETCHES != 0,
        annex_b: flags & ANNEX_B != 0,
        transport: flags & TRANSPORT != 0,
        sample_aes: flags & SAMPLE_AES != 0,
        stored,
        hidden: flags & HIDDEN != 0,
        default: flags & DEFAULT != 0,
        sample_entries,
        codec,
        supplemental_codec,
        language,
        language_code,
        label,
        role,
        average_bitrate,
        peak_bitrate,
        media,
        fragments: Vec::new(),
        pieces: Vec::new(),
    };
    read_fragments(r, cuts, block_offset, &mut track)?;
    track.divide();
    Ok(track)
}

fn read_storage(r: &mut Reader<'_>) -> Read<Storage> {
    Ok(match r.u8()? {
        0 => Storage::File(number(r)?),
        1 => Storage::Objects { prefix: text(r)? },
        2 => {
            let prefix = text(r)?;
            let stream = ElementaryStream::ALL.get(usize::from(r.u8()?)).copied();
            Storage::Transport { prefix, stream: stream.ok_or(Broken::Value("an elementary stream", r.position()))? }
        }
        3 => Storage::Index,
        _ => return Err(Broken::Value("the storage of a track", r.position())),
    })
}

/// Four days in the finest timescale.
const MAX_TICKS: u64 = limits::MAX_DURATION_SECONDS * u32::MAX as u64;

fn read_fragments(r: &mut Reader<'_>, cuts: usize, block_offset: &mut u64, track: &mut Track) -> Read<()> {
    // A fragment takes at least three bytes, so the count is backed by what is there.
    if cuts > r.left() {
        return Err(Broken::Value("the number of fragments", r.position()));
    }
    track.fragments.reserve_exact(cuts);
    let mut decode_time: u64 = number(r)?;
    let unit = u64::from(track.unit);
    let video = track.is_video();
    for cut in 0..cuts {
        let samples = number(r)?;
        let bytes: u64 = number(r)?;
        let block_bytes: u32 = number(r)?;
        if cut > 0 {
            let step = r.varint()?.checked_mul(unit).and_then(|s| decode_time.checked_add(s));
            decode_time = step.ok_or(Broken::Value("a decoding time", r.position()))?;
        }
        let composition_offset = if track.composition { scaled(r.zigzag()?, unit, r)? } else { 0 };
        let first_sample_bytes = if video { number(r)? } else { 0 };
        let description = if track.sample_entries.len() > 1 { number(r)? } else { 1 };
        let packets = if track.transport { number(r)? } else { 0 };
        let clocks = if track.transport && video { number(r)? } else { 0 };
        let first_sample_packets = if track.transport && video { number(r)? } else { 0 };
        let grows = track.grows();
        let sample_aes_packets = if grows { number(r)? } else { 0 };
        let sample_aes_first_packets = if grows { number(r)? } else { 0 };
        let stored_bytes: u64 = if track.stored.is_some() { number(r)? } else { 0 };
        let cbcs_subsamples: u32 = if track.stretches { number(r)? } else { 0 };
        let cenc_subsamples = if track.stretches {
            let count = i64::from(cbcs_subsamples).checked_add(r.zigzag()?).and_then(|n| u32::try_from(n).ok());
            count.ok_or(Broken::Value("a number of subsamples", r.position()))?
        } else {
            0
        };
        let most = if track.stored.is_some() { stored_bytes } else { bytes };
        let fits = first_sample_packets <= packets
            && sample_aes_first_packets <= sample_aes_packets
            && stored_bytes <= MAX_TICKS
            && decode_time <= MAX_TICKS
            && bytes <= MAX_TICKS
            && u64::from(first_sample_bytes) <= most;
        if !fits || description == 0 || description as usize > track.sample_entries.len().max(1) {
            return Err(Broken::Value("a fragment", r.position()));
        }
        track.fragments.push(Fragment {
            samples,
            bytes,
            decode_time,
            composition_offset,
            first_sample_bytes,
            description,
            packets,
            clocks,
            first_sample_packets,
            sample_aes_packets,
            sample_aes_first_packets,
            stored_bytes,
            cenc_subsamples,
            cbcs_subsamples,
            block_offset: *block_offset,
            block_bytes,
        });
        *block_offset += u64::from(block_bytes);
    }
    Ok(())
}

fn scaled(value: i64, unit: u64, r: &Reader<'_>) -> Read<i32> {
    let product = i128::from(value) * i128::from(unit);
    product.try_into().map_err(|_| Broken::Value("a composition offset", r.position()))
}

impl Video {
    fn read(r: &mut Reader<'_>) -> Read<Self> {
        let mut video = Self { width: number(r)?, height: number(r)?, ..Self::default() };
        video.aspect = (number(r)?, number(r)?);
        video.frame_rate = (number(r)?, number(r)?);
        for value in &mut video.matrix {
            *value = r.u32()?;
        }
        video.range = match r.u8()? {
            0 => VideoRange::Sdr,
            1 => VideoRange::Pq,
            2 => VideoRange::Hlg,
            _ => return Err(Broken::Value("video range", r.position())),
        };
        video.cea608 = blob(r)?.to_vec();
        video.cea708 = blob(r)?.to_vec();
        let captions: usize = number(r)?;
        if captions > limits::MAX_CAPTION_SERVICES {
            return Err(Broken::Value("the number of caption services", r.position()));
        }
        for _ in 0..captions {
            let (channel, language, label) = (text(r)?, optional_text(r)?, optional_text(r)?);
            video.captions.push(CaptionService { channel, language, label });
        }
        video.companion = number::<u32>(r)?.checked_sub(1).and_then(|c| c.try_into().ok());
        Ok(video)
    }
}
