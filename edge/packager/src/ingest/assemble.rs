//! From a plan and what its samples told to the bytes of an index.

use super::hls::layout::Place;
use super::hls::pass_on::PassedOn;
use super::plan::{self, Plan};
use super::scan::Scanned;
use super::subtitles::Subtitles;
use super::texts::Text;
use super::{Description, IndexedAsset, SourceFile, TrackSummary, language, metadata, places};
use crate::cenc::subsample::{self, Alignment};
use crate::codec;
use crate::error::{Error, Result};
use crate::index::block;
use crate::index::events::Event;
use crate::index::head::{self, Audio, CaptionService, Media, Storage, SyncLayout, TextFormat, Video};
use crate::index::{Fragment, Head, Track};
use crate::limits;
use crate::media::time::{Instant, gcd};
use crate::route::TrackKind;
use crate::segment::transport;
use crate::segment::ts::{self, AudioStream};

/// What the index says of a track beyond the plan.
#[derive(Debug)]
pub struct Details<'a> {
    /// Where its samples are.
    pub storage: Storage,
    /// The objects of its rendition, if it is in objects.
    pub objects: Vec<block::Object>,
    /// Where its samples are in a transport stream, if they are; a sample's offset is its number among them.
    pub places: &'a [Place],
    /// Language, label, role and default.
    pub description: Description,
    /// Whether manifests leave it out.
    pub hidden: bool,
    /// Of video: the ordinal of the audio that comes with it.
    pub companion: Option<u16>,
    /// Of video: what is said about caption channels.
    pub captions: Vec<CaptionService>,
    /// What its samples told.
    pub scanned: Scanned,
    /// What its samples became, if they are text.
    pub text: Option<Text>,
    /// How its fragments are passed on, if they are.
    pub passed_on: Option<PassedOn>,
}

impl Details<'_> {
    /// A track of a media file.
    pub fn of_file(source: usize, file: Option<&SourceFile>, scanned: Scanned) -> Self {
        Self {
            storage: Storage::File(source as u16),
            objects: Vec::new(),
            places: &[],
            description: file.map(|f| f.description.clone()).unwrap_or_default(),
            hidden: false,
            companion: None,
            captions: Vec::new(),
            scanned,
            text: None,
            passed_on: None,
        }
    }
}

/// What an index is written from.
#[derive(Debug)]
pub struct Contents<'a> {
    /// For messages.
    pub files: &'a [SourceFile],
    /// The tracks of sound and picture.
    pub plan: &'a Plan,
    /// One for each track of the plan.
    pub details: Vec<Details<'a>>,
    /// The tracks of subtitles.
    pub subtitles: Vec<Subtitles>,
    /// Timed metadata, ascending, in ticks of [`metadata::TIMESCALE`].
    pub events: Vec<Event>,
    /// Whether it is a position of a live timeline, whose blocks have to look like those of any other.
    pub alone: bool,
}

/// Writes the index.
///
/// # Errors
/// `Limit` when a track is scattered over too many places, or the index becomes too large.
pub fn write(contents: Contents<'_>, warnings: &mut Vec<String>) -> Result<IndexedAsset> {
    let (head, blocks) = compose(contents, warnings)?;
    seal(&head, blocks)
}

/// The index of a head and its blocks.
///
/// # Errors
/// `Limit` when it becomes too large.
pub fn seal(head: &Head, mut blocks: Vec<u8>) -> Result<IndexedAsset> {
    let mut index = head.write();
    let head_bytes = index.len() as u64;
    if head_bytes > limits::MAX_HEAD_BYTES || head_bytes + blocks.len() as u64 > limits::MAX_INDEX_BYTES {
        return Err(Error::limit(format!("the index would have {} bytes", head_bytes + blocks.len() as u64)));
    }
    index.append(&mut blocks);
    Ok(sealed(head, index, head_bytes))
}

/// An index with what it has for people.
pub fn sealed(head: &Head, index: Vec<u8>, head_bytes: u64) -> IndexedAsset {
    let media = head.tracks.iter().filter(|t| t.storage != Storage::Index);
    let ends = media.map(|t| Instant { ticks: t.end as i64, timescale: t.timescale }.in_timescale(1000));
    let duration_ms = ends.max().unwrap_or(0).unsigned_abs();
    let tracks = head.tracks.iter().map(summarise).collect();
    IndexedAsset { index, head_bytes, duration_ms, tracks, warnings: Vec::new() }
}

/// The head of the index, and its blocks.
///
/// # Errors
/// As [`write`].
pub fn compose(contents: Contents<'_>, warnings: &mut Vec<String>) -> Result<(Head, Vec<u8>)> {
    let Contents { files, plan, details, subtitles, events, alone } = contents;
    let mut head = Head { alone, cuts: plan.cuts.clone(), tracks: Vec::new() };
    let mut blocks = Vec::new();
    let mut texts = 0;
    for (track, mut details) in plan.tracks.iter().zip(details) {
        let file = files.get(track.source).map_or("", |f| f.path.as_str());
        texts += u16::from(track.name.kind == TrackKind::Text);
        match details.text.take() {
            Some(Text::Cues { document, forced }) => {
                let subtitles = Subtitles::of_track(track, file, document, forced, details.description, warnings);
                head.tracks.push(subtitles.write(track.name.ordinal, plan, &mut blocks)?);
                continue;
            }
            stored => details.text = stored,
        }
        if details.scanned.broken > 0 {
            warnings.push(format!(
                "{file}: track {}: the headers of {} slices or frames could not be read; they would stay clear under encryption",
                track.media.id, details.scanned.broken
            ));
        }
        let mut written = describe(track, &details);
        if alone {
            uniform(&mut written, track);
        }
        write_blocks(&mut written, track, &details, &mut blocks).map_err(|e| e.context(file))?;
        head.tracks.push(written);
    }
    mark_periods(&mut head);
    if !alone {
        check_durations(plan, warnings);
    }
    for (ordinal, track) in (texts..).zip(subtitles) {
        head.tracks.push(track.write(ordinal, plan, &mut blocks)?);
    }
    if !events.is_empty() {
        head.tracks.push(metadata::write(&events, plan, &mut blocks));
    }
    transport::count(&mut head, &blocks)?;
    if head.tracks.len() > limits::MAX_TRACKS {
        return Err(Error::limit(format!("{} tracks are more than {}", head.tracks.len(), limits::MAX_TRACKS)));
    }
    Ok((head, blocks))
}

/// Makes what blocks look like depend on the codec alone, and rates on what is there, whenever it is presented.
fn uniform(track: &mut Track, planned: &plan::Track) {
    let bytes = planned.media.samples.iter().map(|s| u64::from(s.size)).sum();
    track.average_bitrate = bit_rate(bytes, planned.media.duration, track.timescale);
    track.unit = 1;
    track.constant_duration = None;
    track.composition = track.is_video();
    if track.is_video() {
        track.sync = SyncLayout::Listed;
    }
}

/// A period begins where the sample entry of any track changes.
fn mark_periods(head: &mut Head) {
    for (number, cut) in head.cuts.iter_mut().enumerate().skip(1) {
        cut.period = head.tracks.iter().any(|track| {
            let description = |at: usize| track.fragments.get(at).filter(|f| f.samples > 0).map(|f| f.description);
            description(number).zip(description(number - 1)).is_some_and(|(own, before)| own != before)
        });
    }
}

/// Renditions of one length end together; half a second apart is more than a rounded last frame.
fn check_durations(plan: &Plan, warnings: &mut Vec<String>) {
    let end = |t: &plan::Track| Instant { ticks: t.end as i64, timescale: t.media.timescale }.in_timescale(1000);
    let lasting = || plan.tracks.iter().filter(|t| t.name.kind != TrackKind::Text);
    let shortest = lasting().min_by_key(|t| end(t));
    let longest = lasting().max_by_key(|t| end(t));
    if let (Some(shortest), Some(longest)) = (shortest, longest)
        && end(longest) - end(shortest) > 500
    {
        warnings.push(format!(
            "track {} ends {} ms before track {}",
            shortest.name,
            end(longest) - end(shortest),
            longest.name
        ));
    }
}

/// Everything of a track but its fragments.
fn describe(track: &plan::Track, details: &Details<'_>) -> Track {
    let samples = &track.media.samples;
    let first_duration = samples.first().map_or(0, |s| s.duration);
    let constant = samples.iter().all(|s| s.duration == first_duration);
    let unit = samples.iter().fold(0, |unit, s| gcd(gcd(unit, s.duration), s.composition_offset.unsigned_abs())).max(1);
    let config = track.entries.first().and_then(|(_, format)| format.config());
    let description = details.description.clone();
    let language = description.language.as_deref().or(track.media.language.as_deref()).and_then(language::tag);
    let label = description
        .label
        .or_else(|| if track.is_video() { None } else { language.as_deref().and_then(language::name) });
    let bytes = samples.iter().map(|s| u64::from(s.size)).sum();
    let seconds_end = track.end.max(1);
    let supplemental = config.and_then(codec::Config::video).and_then(|v| v.supplemental_codecs.clone());
    Track {
        name: track.name,
        storage: details.storage.clone(),
        timescale: track.media.timescale,
        unit,
        edit_media_time: track.edit_media_time,
        end: track.end,
        constant_duration: constant.then_some(first_duration),
        composition: samples.iter().any(|s| s.composition_offset != 0),
        reorder: samples.iter().map(|s| s.composition_offset.saturating_neg()).max().unwrap_or(0).max(0).unsigned_abs(),
        sync: sync_layout(track),
        closed: track.closed,
        stretches: !details.scanned.counts.is_empty(),
        annex_b: !details.scanned.access_units.is_empty(),
        transport: match track.is_video() {
            true => !details.scanned.access_units.is_empty(),
            false => track.entries.iter().all(|(entry, _)| AudioStream::from_sample_entry(&entry.bytes).is_ok()),
        },
        sample_aes: match track.is_video() {
            true => {
                let Scanned { access_units, growths, .. } = &details.scanned;
                !growths.is_empty() && growths.len() == access_units.len()
            }
            false => track.entries.iter().all(|(entry, _)| {
                AudioStream::from_sample_entry(&entry.bytes).is_ok_and(|stream| stream.setup().is_some())
            }),
        },
        stored: details.passed_on.as_ref().map(|p| p.stored),
        hidden: details.hidden,
        default: description.default,
        sample_entries: track.entries.iter().map(|(entry, _)| entry.bytes.clone()).collect(),
        codec: match &details.text {
            Some(Text::Stored { codec }) => codec.clone(),
            _ => config.map(|c| c.codecs.clone()).unwrap_or_default(),
        },
        supplemental_codec: supplemental,
        language_code: language::code(language.as_deref()),
        language,
        label,
        role: description.role,
        average_bitrate: bit_rate(bytes, seconds_end, track.media.timescale),
        peak_bitrate: 0,
        media: describe_media(track, config, details),
        fragments: Vec::with_capacity(track.cuts.len()),
        pieces: Vec::new(),
    }
}

fn describe_media(track: &plan::Track, config: Option<&codec::Config>, details: &Details<'_>) -> Media {
    if let Some(video) = config.and_then(codec::Config::video) {
        return Media::Video(Video {
            width: video.width,
            height: video.height,
            aspect: video.pixel_aspect.filter(|(w, h)| *w > 0 && *h > 0).unwrap_or((1, 1)),
            matrix: track.media.matrix,
            frame_rate: frame_rate(track),
            range: video.range,
            cea608: details.scanned.cea608.clone(),
            cea708: details.scanned.cea708.clone(),
            captions: details.captions.clone(),
            companion: details.companion,
        });
    }
    if track.name.kind == TrackKind::Text {
        return Media::Text(head::Text { format: TextFormat::Stpp, forced: details.description.forced });
    }
    let audio = config.and_then(codec::Config::audio);
    Media::Audio(Audio {
        sample_rate: audio.map_or(0, |a| a.sample_rate),
        channels: audio.map_or(0, |a| a.channels),
        joc: audio.and_then(|a| a.joc_complexity),
    })
}

/// The rate of constant durations (the last one aside), else the average.
fn frame_rate(track: &plan::Track) -> (u32, u32) {
    let samples = &track.media.samples;
    let all_but_last = samples.split_last().map_or(&[][..], |(_, rest)| rest);
    let duration = samples.first().map_or(0, |s| s.duration);
    let (rate, scale) = if duration > 0 && all_but_last.iter().all(|s| s.duration == duration) {
        (u64::from(track.media.timescale), u64::from(duration))
    } else {
        // To a thousandth of a frame, as the manifests write it.
        let frames = u128::from(track.media.timescale) * samples.len() as u128 * 1000;
        (u64::try_from(frames / u128::from(track.media.duration.max(1))).unwrap_or(u64::MAX), 1000)
    };
    let (rate, scale) = (rate.clamp(1, u64::from(u32::MAX)) as u32, scale as u32);
    let divisor = gcd(rate, scale).max(1);
    (rate / divisor, scale / divisor)
}

fn sync_layout(track: &plan::Track) -> SyncLayout {
    let samples = &track.media.samples;
    if samples.iter().all(|s| s.sync) {
        return SyncLayout::All;
    }
    let syncs = samples.iter().enumerate().filter(|(_, s)| s.sync).map(|(number, _)| number);
    // Cuts after the last sample belong to sound that goes on.
    if syncs.eq(track.cuts.iter().copied().filter(|cut| *cut < samples.len())) {
        SyncLayout::First
    } else {
        SyncLayout::Listed
    }
}

/// Bits a second.
pub fn bit_rate(bytes: u64, ticks: u64, timescale: u32) -> u64 {
    let bits = u128::from(bytes) * 8 * u128::from(timescale);
    u64::try_from(bits / u128::from(ticks.max(1))).unwrap_or(u64::MAX)
}

fn write_blocks(written: &mut Track, track: &plan::Track, details: &Details<'_>, out: &mut Vec<u8>) -> Result<()> {
    let samples = &track.media.samples;
    let mut time = track.decode_time;
    let scanned = &details.scanned;
    let mut stretches = scanned.stretches.as_slice();
    let mut source = block::Source::default();
    let ends = track.cuts.iter().skip(1).copied().chain([samples.len()]);
    for (cut, (&first, end)) in track.cuts.iter().zip(ends).enumerate() {
        let own = samples.get(first..end).unwrap_or_default();
        let boxes = details.passed_on.as_ref().and_then(|p| p.ranges.get(cut)).cloned();
        source.block.stored = boxes.as_ref().map(|b| b.start);
        places::fill(&mut source.block, own, details);
        let access_units = scanned.access_units.get(first..end).unwrap_or_default();
        let deltas = own.iter().zip(access_units).map(|(s, bytes)| (i64::from(*bytes) - i64::from(s.size)) as i32);
        source.block.annex_b.clear();
        source.block.annex_b.extend(deltas);
        let growths = scanned.growths.get(first..end).unwrap_or_default();
        let spare = access_units.iter().zip(growths).map(|(bytes, growth)| ts::sample_aes_packets(*bytes, *growth));
        source.block.sample_aes.clear();
        source.block.sample_aes.extend(spare);
        let count = source.block.extents.len().max(source.block.packets.len());
        let objects = source.block.objects.len();
        if count > limits::MAX_SEGMENT_EXTENTS || objects > limits::MAX_FRAGMENT_OBJECTS {
            return Err(Error::limit(format!(
                "track {}: samples {} to {end} lie in {count} places of {objects} objects, more than {} or {}",
                track.media.id,
                first + 1,
                limits::MAX_SEGMENT_EXTENTS,
                limits::MAX_FRAGMENT_OBJECTS
            )));
        }
        source.stretch_counts.clear();
        source.stretch_counts.extend_from_slice(scanned.counts.get(first..end).unwrap_or_default());
        let count = source.stretch_counts.iter().map(|c| *c as usize).sum::<usize>();
        let (of_these, rest) = stretches.split_at_checked(count).unwrap_or((stretches, &[]));
        stretches = rest;
        source.stretches.clear();
        source.stretches.extend_from_slice(of_these);

        let start = out.len();
        block::write(written, &source, out);
        let leading = own.first();
        written.fragments.push(Fragment {
            samples: own.len() as u32,
            bytes: own.iter().map(|s| u64::from(s.size)).sum(),
            decode_time: time,
            composition_offset: leading.map_or(0, |s| s.composition_offset),
            first_sample_bytes: match (leading, &boxes) {
                (Some(first), Some(boxes)) if track.is_video() => {
                    u32::try_from(first.offset + u64::from(first.size) - boxes.start).unwrap_or(u32::MAX)
                }
                (Some(first), None) if track.is_video() => first.size,
                _ => 0,
            },
            description: leading.map_or(1, |s| s.description),
            packets: 0,
            clocks: 0,
            first_sample_packets: 0,
            sample_aes_packets: 0,
            sample_aes_first_packets: 0,
            stored_bytes: boxes.map_or(0, |b| b.end - b.start),
            cenc_subsamples: subsample::count(Alignment::Blocks, &source.stretches, &source.stretch_counts),
            cbcs_subsamples: subsample::count(Alignment::Bytes, &source.stretches, &source.stretch_counts),
            block_offset: 0,
            block_bytes: (out.len() - start) as u32,
        });
        time += own.iter().map(|s| u64::from(s.duration)).sum::<u64>();
    }
    written.peak_bitrate = peak(written, time);
    Ok(())
}

/// Most bits a second between two cuts that are at least half a second apart.
pub fn peak(track: &Track, end: u64) -> u64 {
    let ends = track.fragments.iter().skip(1).map(|f| f.decode_time).chain([end]);
    let rates =
        track.fragments.iter().zip(ends).filter(|(f, end)| (end - f.decode_time) * 2 >= u64::from(track.timescale));
    let peak = rates.map(|(f, end)| bit_rate(f.bytes, end - f.decode_time, track.timescale)).max();
    peak.unwrap_or(0).max(track.average_bitrate)
}

fn summarise(track: &Track) -> TrackSummary {
    let (video, audio) = match &track.media {
        Media::Video(video) => (Some(video), None),
        Media::Audio(audio) => (None, Some(audio)),
        Media::Text(_) | Media::Metadata => (None, None),
    };
    TrackSummary {
        name: track.name.to_string(),
        source: match track.storage {
            Storage::File(source) => Some(usize::from(source)),
            Storage::Objects { .. } | Storage::Transport { .. } | Storage::Index => None,
        },
        kind: match track.media {
            Media::Video(_) => "video",
            Media::Audio(_) => "audio",
            Media::Text(_) => "text",
            Media::Metadata => "metadata",
        },
        codec: track.codec.clone(),
        average_bitrate: track.average_bitrate,
        peak_bitrate: track.peak_bitrate,
        width: video.map(|v| v.width),
        height: video.map(|v| v.height),
        frame_rate: video.map(|v| f64::from(v.frame_rate.0) / f64::from(v.frame_rate.1.max(1))),
        video_range: video.map(|v| v.range.as_str()),
        channels: audio.map(Audio::hls_channels),
        sample_rate: audio.map(|a| a.sample_rate),
        language: track.language.clone(),
        label: track.label.clone(),
        role: track.role.clone(),
        samples: track.fragments.iter().map(|f| u64::from(f.samples)).sum(),
    }
}
