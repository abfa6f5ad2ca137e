//! The `moov` box: what a file says about its tracks (ISO/IEC 14496-12, 8).

use super::boxes::{Box, FourCc};
use crate::error::Result;
use crate::limits;

/// A parsed `moov`, borrowing its tables.
#[derive(Debug)]
pub struct Movie<'a> {
    /// Ticks a second of the movie header and of edit list durations.
    pub timescale: u32,
    /// The tracks that could be read, in file order.
    pub tracks: Vec<Track<'a>>,
    /// Tracks that were left out because they are no sound, no picture and no text: id and handler.
    pub other_tracks: Vec<(u32, FourCc)>,
    /// Tracks of sound or picture that are too broken to read, with the reason.
    pub broken_tracks: Vec<String>,
    /// Defaults of movie fragments by track; empty for a file without fragments.
    pub extends: Vec<TrackExtends>,
    /// Whether fragments may follow (`mvex`).
    pub fragmented: bool,
}

/// Handler type of a track that can be packaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// `vide`
    Video,
    /// `soun`
    Audio,
    /// `text`, `subt` and QuickTime's `sbtl`
    Text,
}

/// A track of a `moov`.
#[derive(Debug)]
pub struct Track<'a> {
    /// `track_ID`.
    pub id: u32,
    /// What it holds.
    pub handler: Handler,
    /// Ticks a second of the media.
    pub timescale: u32,
    /// ISO 639-2/T code of the media header, when it is one.
    pub language: Option<String>,
    /// Extended language tag (`elng`), BCP 47.
    pub extended_language: Option<String>,
    /// Name of the handler, sometimes a title given by an author.
    pub name: Option<String>,
    /// Presentation matrix of the track header, nine fixed-point numbers.
    pub matrix: [u32; 9],
    /// Edits, in order.
    pub edits: Vec<Edit>,
    /// Tracks that hold the chapters of this one (`tref` of the type `chap`, QuickTime File Format).
    pub chapters: Vec<u32>,
    /// The sample entries of `stsd`: type, whole box, and offset in the file.
    pub sample_entries: Vec<SampleEntry<'a>>,
    /// The `stbl` box, for [`super::sample_table::SampleTable`].
    pub sample_table: Box<'a>,
}

/// One entry of `stsd`.
#[derive(Clone, Copy, Debug)]
pub struct SampleEntry<'a> {
    /// Its type, e.g. `avc1`.
    pub kind: FourCc,
    /// The box with its header.
    pub bytes: &'a [u8],
    /// Length of the header.
    pub header: usize,
    /// Where it starts in the file.
    pub offset: u64,
}

/// One entry of `elst` (8.6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// In ticks of the movie; 0 in a fragmented file means all of it.
    pub duration: u64,
    /// In ticks of the media; `None` is an empty edit.
    pub media_time: Option<u64>,
    /// Whether the rate is 1.
    pub normal_rate: bool,
}

/// Defaults for the fragments of a track (`trex`, 8.8.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackExtends {
    /// `track_ID`.
    pub track_id: u32,
    /// Sample entry, counted from 1.
    pub description: u32,
    /// In ticks of the media.
    pub duration: u32,
    /// In bytes.
    pub size: u32,
    /// Sample flags (8.8.3.1).
    pub flags: u32,
}

/// The matrix that changes nothing.
pub const IDENTITY_MATRIX: [u32; 9] = [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000];

impl<'a> Movie<'a> {
    /// Reads a `moov` box.
    ///
    /// # Errors
    /// `BadSource` or `Limit`, with box and byte offset. A single broken track is no error, but reported.
    pub fn read(moov: &Box<'a>) -> Result<Self> {
        let mut movie = Self {
            timescale: 0,
            tracks: Vec::new(),
            other_tracks: Vec::new(),
            broken_tracks: Vec::new(),
            extends: Vec::new(),
            fragmented: false,
        };
        for child in moov.children() {
            let child = child?;
            match &child.kind.0 {
                b"mvhd" => movie.timescale = read_timescale(&child)?,
                b"trak" => {
                    if movie.tracks.len() + movie.other_tracks.len() + movie.broken_tracks.len() >= limits::MAX_TRACKS {
                        return Err(moov.over_limit(format!("more than {} tracks", limits::MAX_TRACKS)));
                    }
                    match Track::read(&child) {
                        Ok(ReadTrack::Media(track)) => movie.tracks.push(*track),
                        Ok(ReadTrack::Other(id, handler)) => movie.other_tracks.push((id, handler)),
                        Err(error) => movie.broken_tracks.push(error.to_string()),
                    }
                }
                b"mvex" => {
                    movie.fragmented = true;
                    for trex in child.children() {
                        let trex = trex?;
                        if trex.kind.0 == *b"trex" && movie.extends.len() < limits::MAX_TRACKS {
                            movie.extends.push(TrackExtends::read(&trex)?);
                        }
                    }
                }
                b"cmov" => return Err(child.bad("compressed movie headers (QuickTime cmov) are not supported")),
                _ => {}
            }
        }
        if movie.timescale == 0 && !movie.tracks.is_empty() {
            return Err(moov.bad("it has no mvhd box with a timescale"));
        }
        Ok(movie)
    }
}

/// The timescale of `mvhd` or `mdhd`: both begin alike.
fn read_timescale(header: &Box<'_>) -> Result<u32> {
    let (version, _, mut reader) = header.full()?;
    reader.take(if version == 1 { 16 } else { 8 }).map_err(header.short())?;
    match reader.u32().map_err(header.short())? {
        0 => Err(header.bad("the timescale is 0")),
        timescale => Ok(timescale),
    }
}

impl TrackExtends {
    fn read(trex: &Box<'_>) -> Result<Self> {
        let (_, _, mut reader) = trex.full()?;
        let mut word = || reader.u32().map_err(trex.short());
        Ok(Self { track_id: word()?, description: word()?, duration: word()?, size: word()?, flags: word()? })
    }
}

enum ReadTrack<'a> {
    Media(std::boxed::Box<Track<'a>>),
    Other(u32, FourCc),
}

impl<'a> Track<'a> {
    fn read(trak: &Box<'a>) -> Result<ReadTrack<'a>> {
        let tkhd = trak.need(b"tkhd")?;
        let (version, _, mut reader) = tkhd.full()?;
        reader.take(if version == 1 { 16 } else { 8 }).map_err(tkhd.short())?;
        let id = reader.u32().map_err(tkhd.short())?;
        // reserved, duration, reserved, layer, alternate group, volume, reserved
        reader.take(if version == 1 { 28 } else { 24 }).map_err(tkhd.short())?;
        let mut matrix = IDENTITY_MATRIX;
        for value in &mut matrix {
            *value = reader.u32().map_err(tkhd.short())?;
        }

        let mdia = trak.need(b"mdia")?;
        let hdlr = mdia.need(b"hdlr")?;
        let (_, _, mut reader) = hdlr.full()?;
        reader.u32().map_err(hdlr.short())?;
        let handler = match &reader.array().map_err(hdlr.short())? {
            b"vide" => Handler::Video,
            b"soun" => Handler::Audio,
            b"text" | b"subt" | b"sbtl" => Handler::Text,
            other => return Ok(ReadTrack::Other(id, FourCc(*other))),
        };
        reader.take(12).map_err(hdlr.short())?;
        let name = handler_name(reader.rest());

        let mdhd = mdia.need(b"mdhd")?;
        let timescale = read_timescale(&mdhd)?;
        let (version, _, mut reader) = mdhd.full()?;
        reader.take(if version == 1 { 28 } else { 16 }).map_err(mdhd.short())?;
        let language = unpack_language(reader.u16().map_err(mdhd.short())?);
        let extended_language = match mdia.child(b"elng")? {
            Some(elng) => {
                let (_, _, reader) = elng.full()?;
                let text = reader.rest().split(|b| *b == 0).next().unwrap_or_default();
                core::str::from_utf8(text).ok().filter(|t| !t.is_empty()).map(str::to_owned)
            }
            None => None,
        };

        let stbl = mdia.need(b"minf")?.need(b"stbl")?;
        let sample_entries = read_sample_entries(&stbl.need(b"stsd")?)?;
        let edits = match trak.child(b"edts")? {
            Some(edts) => match edts.child(b"elst")? {
                Some(elst) => Edit::read_all(&elst)?,
                None => Vec::new(),
            },
            None => Vec::new(),
        };
        let chapters = match trak.child(b"tref")? {
            Some(tref) => tref.child(b"chap")?.map(|chap| read_track_ids(&chap)).unwrap_or_default(),
            None => Vec::new(),
        };
        let track = Self {
            id,
            handler,
            timescale,
            language,
            extended_language,
            name,
            matrix,
            edits,
            chapters,
            sample_entries,
            sample_table: stbl,
        };
        Ok(ReadTrack::Media(std::boxed::Box::new(track)))
    }
}

/// The `track_IDs` of a track reference (8.3.3).
fn read_track_ids(reference: &Box<'_>) -> Vec<u32> {
    let mut reader = reference.reader();
    core::iter::from_fn(|| reader.u32().ok()).take(limits::MAX_TRACKS).collect()
}

fn read_sample_entries<'a>(stsd: &Box<'a>) -> Result<Vec<SampleEntry<'a>>> {
    let (_, _, mut reader) = stsd.full()?;
    let count = reader.u32().map_err(stsd.short())?;
    if count as usize > limits::MAX_SAMPLE_ENTRIES {
        return Err(stsd.over_limit(format!("entry_count {count} is above {}", limits::MAX_SAMPLE_ENTRIES)));
    }
    let mut entries = Vec::new();
    for entry in stsd.children_after(reader).take(count as usize) {
        let entry = entry?;
        let header = (entry.content_offset - entry.offset) as usize;
        let start = (entry.offset - stsd.content_offset) as usize;
        let bytes = stsd.content.get(start..start + header + entry.content.len()).unwrap_or_default();
        if bytes.len() > limits::MAX_SAMPLE_ENTRY_BYTES {
            return Err(
                entry.over_limit(format!("the sample entry has more than {} bytes", limits::MAX_SAMPLE_ENTRY_BYTES))
            );
        }
        entries.push(SampleEntry { kind: entry.kind, bytes, header, offset: entry.offset });
    }
    if entries.is_empty() {
        return Err(stsd.bad("it has no sample entry"));
    }
    Ok(entries)
}

impl Edit {
    fn read_all(elst: &Box<'_>) -> Result<Vec<Self>> {
        let (version, _, mut reader) = elst.full()?;
        let count = reader.u32().map_err(elst.short())?;
        if count as usize > limits::MAX_EDITS {
            return Err(elst.over_limit(format!("entry_count {count} is above {}", limits::MAX_EDITS)));
        }
        let mut edits = Vec::new();
        for _ in 0..count {
            let (duration, media_time) = if version == 1 {
                (reader.u64().map_err(elst.short())?, reader.u64().map_err(elst.short())? as i64)
            } else {
                let duration = u64::from(reader.u32().map_err(elst.short())?);
                (duration, i64::from(reader.u32().map_err(elst.short())? as i32))
            };
            let rate = reader.u32().map_err(elst.short())?;
            edits.push(Self { duration, media_time: media_time.try_into().ok(), normal_rate: rate == 0x0001_0000 });
        }
        Ok(edits)
    }
}

/// Three letters packed into 15 bits (8.4.2.3). QuickTime's own codes are below 0x400 and say nothing certain.
fn unpack_language(packed: u16) -> Option<String> {
    if packed < 0x400 {
        return None;
    }
    let letters = [packed >> 10 & 31, packed >> 5 & 31, packed & 31];
    letters.iter().all(|l| (1..=26).contains(l)).then(|| letters.iter().map(|l| char::from(*l as u8 + 0x60)).collect())
}

/// A C string, or QuickTime's Pascal string.
fn handler_name(bytes: &[u8]) -> Option<String> {
    let bytes = match bytes.split_first() {
        Some((&length, rest)) if usize::from(length) == rest.len() => rest,
        _ => bytes.split(|b| *b == 0).next().unwrap_or_default(),
    };
    let name = core::str::from_utf8(bytes).ok()?.trim();
    (!name.is_empty() && name.len() <= limits::MAX_LABEL_BYTES && !name.contains(|c: char| c.is_control()))
        .then(|| name.to_owned())
}
