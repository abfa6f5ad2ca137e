//! Every maximum, with its reason. What passes one is refused with [`crate::ErrorKind::Limit`] or, for a field of the
//! REST interface, with 422.

use core::ops::RangeInclusive;

/// Names stand in URLs and keys.
pub const MAX_NAME_BYTES: usize = 200;
/// The longest object name that S3 takes.
pub const MAX_PATH_BYTES: usize = 1024;
/// Labels are shown in a player's menu.
pub const MAX_LABEL_BYTES: usize = 200;
/// The longest request path: four names, a tag, a track and a file name.
pub const MAX_REQUEST_PATH_BYTES: usize = 1024;
/// Target duration of a segment in seconds, as the product defines it.
pub const SEGMENT_SECONDS: RangeInclusive<u32> = 1..=30;

/// Segments at the start of a title that may stay in the clear: a minute of the shortest, ten of usual ones.
pub const MAX_CLEAR_LEAD_SEGMENTS: u32 = 60;
/// Content keys of one asset under one configuration: a key for each of eight classes in eight periods. Their document
/// stays below 256 KiB with three systems.
pub const MAX_CONTENT_KEYS: usize = 64;
/// One piece of what players are told about a key: a `pssh` box with a licence policy stays below 8 KiB.
pub const MAX_SIGNALLING_BYTES: usize = 32 << 10;
/// Key ids in one `pssh` box: one for each of eight classes in a few periods.
pub const MAX_PSSH_KEY_IDS: usize = 256;
/// Fields of a Widevine header: nine and its key ids, and room for new ones.
pub const MAX_WIDEVINE_FIELDS: usize = MAX_PSSH_KEY_IDS + 64;
/// A PlayReady object: its definition ends at 15 KB.
pub const MAX_PLAYREADY_BYTES: usize = 15 << 10;
/// Elements in each other in what stands in a `ContentProtection` element; real ones have two or three.
pub const MAX_FRAGMENT_DEPTH: usize = 8;
/// A URL of a licence server or of a key.
pub const MAX_LICENCE_URL_BYTES: usize = 2048;

/// Media files of one asset: a generous ladder with thirty languages.
pub const MAX_SOURCES: usize = 64;
/// Tracks of one asset, over all its files.
pub const MAX_TRACKS: usize = 128;
/// Documents in one push.
pub const MAX_BATCH_DOCUMENTS: usize = 256;
/// Body of one push: documents are below 32 KiB each.
pub const MAX_BATCH_BYTES: usize = 8 << 20;

/// A `moov` box. Ten hours at 60 frames a second need about 40 MiB; it is held in memory while a file is indexed.
pub const MAX_MOOV_BYTES: u64 = 128 << 20;
/// A `moof` box: one fragment of at most a few thousand samples.
pub const MAX_MOOF_BYTES: u64 = 8 << 20;
/// Any other box that is read whole.
pub const MAX_SMALL_BOX_BYTES: u64 = 1 << 20;
/// Boxes inside boxes; real files stay below twelve.
pub const MAX_BOX_DEPTH: usize = 16;
/// Boxes at the top level of a file: two a fragment, ten hours of one-second fragments, three boxes each, and room.
pub const MAX_TOP_LEVEL_BOXES: usize = 1 << 20;
/// Samples of one track: ten hours at 120 frames a second are 4.3 million.
pub const MAX_TRACK_SAMPLES: usize = 8 << 20;
/// Bytes of one sample: an 8K intra frame is below 32 MiB.
pub const MAX_SAMPLE_BYTES: u32 = 64 << 20;
/// Entries of an edit list that are looked at.
pub const MAX_EDITS: usize = 4096;
/// Sample entries in one `stsd`.
pub const MAX_SAMPLE_ENTRIES: usize = 64;
/// A sample entry goes into every init segment.
pub const MAX_SAMPLE_ENTRY_BYTES: usize = 64 << 10;
/// NAL units in one access unit.
pub const MAX_NAL_UNITS: usize = 4096;
/// Presentation length of one asset in seconds: four days.
pub const MAX_DURATION_SECONDS: u64 = 4 * 86_400;
/// Warnings kept for one asset; more are counted.
pub const MAX_WARNINGS: usize = 64;

/// Head of a sidecar index; ten hours, eight tracks, one-second cuts stay below 2 MiB.
pub const MAX_HEAD_BYTES: u64 = 16 << 20;
/// A whole sidecar index; it is built in memory.
pub const MAX_INDEX_BYTES: u64 = 1 << 30;
/// Cuts of one asset: one a second at most.
pub const MAX_CUTS: usize = MAX_DURATION_SECONDS as usize + 1;
/// Index bytes that one segment may need.
pub const MAX_SEGMENT_INDEX_BYTES: u64 = 16 << 20;
/// Samples of one segment: thirty seconds at 240 frames a second, with room for long groups of pictures.
pub const MAX_SEGMENT_SAMPLES: usize = 1 << 16;
/// Bytes of one segment: a minute at 500 Mbit/s.
pub const MAX_SEGMENT_BYTES: u64 = 4 << 30;
/// Separate stretches of a source that one segment may be gathered from; worse interleaving is refused when indexed.
pub const MAX_SEGMENT_EXTENTS: usize = 1 << 14;
/// A gap in a source up to this size is read and dropped rather than asked for separately.
pub const MAX_READ_GAP: u64 = 256 << 10;
/// Caption channels and services that one title can name: four and sixty-three.
pub const MAX_CAPTION_SERVICES: usize = 67;
/// Objects of a source that the samples between two cuts may lie in.
pub const MAX_FRAGMENT_OBJECTS: usize = 1 << 12;

// Playlists as a source.

/// A playlist: ten hours of two-second segments with long names and dates stay below 4 MiB.
pub const MAX_PLAYLIST_BYTES: usize = 16 << 20;
/// One line of a playlist: attribute lists with many ids stay below 4 KiB, signed URLs too.
pub const MAX_PLAYLIST_LINE_BYTES: usize = 64 << 10;
/// Segments of one media playlist: four days of two-second segments, and room.
pub const MAX_PLAYLIST_SEGMENTS: usize = 1 << 18;
/// Variants and renditions that a multivariant playlist lists, redundant ones included.
pub const MAX_PLAYLIST_ENTRIES: usize = 512;
/// Initialization sections of one media playlist: one for each discontinuity of a title with many breaks.
pub const MAX_PLAYLIST_MAPS: usize = 4096;
/// Segments of one asset over all of its media playlists: they are held in memory while it is indexed.
pub const MAX_ASSET_SEGMENTS: usize = 1 << 20;
/// Breaks of time in one track: an advertisement every minute for four days makes twelve thousand.
pub const MAX_TIME_BREAKS: usize = 1 << 14;
/// Bytes of the subtitles in all segments of one rendition.
pub const MAX_TEXT_RENDITION_BYTES: usize = 64 << 20;
/// Timed ID3 tags of one rendition: one a second for three days. More are left out.
pub const MAX_TAGS: usize = 1 << 18;
/// One timed ID3 tag; a picture may be in it. Larger ones are left out.
pub const MAX_TAG_BYTES: usize = 1 << 20;
/// All timed ID3 tags of one rendition, which the index holds.
pub const MAX_TAGS_BYTES: usize = 64 << 20;

// Text tracks.

/// A subtitle file, or one text segment of a playlist: ten hours of dialogue are below 2 MiB.
pub const MAX_TEXT_FILE_BYTES: usize = 16 << 20;
/// Samples of one text track in an MP4 file: each sample repeats all that is shown, so more than a text file.
pub const MAX_TEXT_TRACK_BYTES: u64 = 64 << 20;
/// Cues of one text track: one a second for three days.
pub const MAX_TEXT_CUES: usize = 1 << 18;
/// Identifier, settings and text of one cue.
pub const MAX_CUE_BYTES: usize = 64 << 10;
/// STYLE and REGION blocks stand in every text segment.
pub const MAX_TEXT_HEADER_BYTES: usize = 32 << 10;
/// Index blocks of one text track, all of which are read when it is asked for as one file. Cues are repeated in every
/// cut that they overlap, one a second.
pub const MAX_TEXT_INDEX_BYTES: usize = MAX_SEGMENT_INDEX_BYTES as usize;
/// A segment of wvtt samples: every change of what is shown repeats the whole text that is shown.
pub const MAX_TEXT_SEGMENT_BYTES: usize = 8 << 20;
/// Cues that are shown at the same moment. People read two or three; effects made of cues use some dozens.
pub const MAX_SIMULTANEOUS_CUES: usize = 256;

// Transport streams (reading)

/// Bytes in a row of a transport stream that belong to no packet: more means that it is something else.
pub const MAX_TS_GARBAGE_BYTES: u64 = 1 << 20;
/// Elementary streams of one rendition over all versions of its program map.
pub const MAX_TS_STREAMS: usize = 64;
/// Packets that hold one frame which is not yet whole: those of the largest sample, and room for short ones.
pub const MAX_TS_FRAME_PACKETS: usize = 1 << 20;
/// An ID3 tag in a transport stream; real ones are below 1 KiB, a picture may be inside.
pub const MAX_ID3_TAG_BYTES: usize = 1 << 20;

/// Authorization codes of an endpoint: the old one and the new one during a change.
pub const MAX_AUTHORIZATION_CODES: usize = 2;

/// Networks of one list of an endpoint: each request is held against all of them.
pub const MAX_NETWORKS: usize = 1024;

/// How far back viewers of a live channel can go: 30 days.
pub const MAX_TIME_SHIFT_SECONDS: u32 = 30 * 86_400;

/// Positions of a timeline, those that are gone included: one a second for 68 years. Whatever is counted by them fits 32 bits.
pub const MAX_POSITIONS: u64 = 1 << 31;

/// How long a position of a live channel is: what encoders announce as their target duration.
pub const POSITION_SECONDS: RangeInclusive<u32> = 1..=60;

/// The last millisecond since 1970 that a timeline can name, that of the year 9999: dates have no form after it.
pub const MAX_UNIX_MS: u64 = 253_402_300_799_999;

/// Presentation time in microseconds: a timeline of a hundred years.
pub const MAX_PRESENTATION_US: u64 = 100 * 366 * 86_400 * 1_000_000;

/// Listings of a timeline: an encoder that starts anew every minute makes eleven a day, and there are 30 days.
pub const MAX_LISTINGS: usize = 1 << 12;

/// Parts that no listing has yet: those of sixteen listings, for when the storage takes none for a while.
pub const MAX_UNLISTED_PARTS: usize = 16 * crate::config::LISTING_PARTS as usize;

/// Positions since the last part: those of sixteen parts, for when the storage takes none for a while.
pub const MAX_OPEN_POSITIONS: u64 = 16 * crate::config::PART_POSITIONS as u64;

/// Segments of a live playlist.
pub const LIVE_SEGMENTS: RangeInclusive<u32> = 2..=100;

/// The JSON form of a timeline: some thousand periods, and a part of all tracks.
pub const MAX_TIMELINE_BYTES: usize = 4 << 20;

/// Seconds of a pushed segment: twice what HLS encoders are set to at most.
pub const MAX_POSITION_SECONDS: u32 = 60;

/// Periods of a timeline: an encoder that starts anew every few minutes for days. Older ones are given up.
pub const MAX_LIVE_PERIODS: usize = 2048;

/// The query of a request: four times, and what applications add for themselves.
pub const MAX_QUERY_BYTES: usize = 4096;

/// Positions of a window of a live channel that one manifest lists: 72 hours of two seconds. Cost grows with it.
pub const MAX_WINDOW_POSITIONS: u64 = 1 << 17;

/// Parts that a job keeps for the next one: the windows of most endpoints lie in them.
pub const MAX_KEPT_PARTS: usize = 8;

/// A listing: its parts are some hundred bytes each, with counters of all tracks.
pub const MAX_LISTING_BYTES: u64 = 4 << 20;
