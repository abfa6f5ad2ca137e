//! One source file of an asset: media, or subtitles beside them.

use core::ops::Range;

use bytes::Bytes;

use super::SourceFile;
use crate::error::{Error, Result};
use crate::limits;
use crate::source::mp4::{FileReader, SourceTrack};
use crate::text::{self, Document, TimestampMap};

/// Extensions of files of subtitles; others are known by their first bytes.
const TEXT_EXTENSIONS: [&str; 4] = [".vtt", ".webvtt", ".srt", ".ttml"];

/// Reads a source file.
#[derive(Debug)]
pub enum SourceReader {
    /// MP4, or what has not been looked at yet.
    Media(Box<FileReader>),
    /// Subtitles: what is still to be read, and what came out.
    Text(Range<u64>, Document),
}

/// What a source file holds.
#[derive(Debug)]
pub enum Content {
    /// Its tracks.
    Tracks(Vec<SourceTrack>, Vec<String>),
    /// Its cues.
    Subtitles(Document),
}

impl SourceReader {
    /// Starts a file.
    ///
    /// # Errors
    /// `Limit` for subtitles that are too long.
    pub fn new(file: &SourceFile) -> Result<Self> {
        let path = file.path.to_ascii_lowercase();
        if TEXT_EXTENSIONS.iter().any(|e| path.ends_with(e)) {
            return Self::text(file.bytes).map_err(|e| e.context(&file.path));
        }
        Ok(Self::Media(Box::new(FileReader::new(file.bytes))))
    }

    fn text(bytes: u64) -> Result<Self> {
        if bytes > limits::MAX_TEXT_FILE_BYTES as u64 {
            let limit = limits::MAX_TEXT_FILE_BYTES;
            return Err(Error::limit(format!("a file of subtitles of {bytes} bytes, more than {limit}")));
        }
        Ok(Self::Text(0..bytes, Document::default()))
    }

    /// The next range to read; `None` when the file is understood.
    pub fn wanted(&self) -> Option<Range<u64>> {
        match self {
            Self::Media(reader) => reader.wanted(),
            Self::Text(wanted, _) => (!wanted.is_empty()).then(|| wanted.clone()),
        }
    }

    /// Brings the bytes of [`Self::wanted`]; `file_bytes` is the length of the file.
    ///
    /// # Errors
    /// `BadSource`, `Unsupported` or `Limit`, with box and byte offset, or with line.
    pub fn supply(&mut self, bytes: Bytes, file_bytes: u64) -> Result<()> {
        match self {
            Self::Media(reader) => {
                let first = reader.wanted().is_some_and(|r| r.start == 0);
                if first && text::is_text_file(&bytes) {
                    *self = Self::text(file_bytes)?;
                    return if bytes.len() as u64 == file_bytes { self.supply(bytes, file_bytes) } else { Ok(()) };
                }
                reader.supply(bytes)
            }
            Self::Text(wanted, document) => {
                *document = text::parse(&bytes)?;
                if let Some(map) = document.timestamp_map.take().filter(TimestampMap::is_shift) {
                    let (mpegts, local) = (map.mpegts, map.local_ms);
                    document.warnings.push(format!(
                        "X-TIMESTAMP-MAP (MPEGTS {mpegts}, LOCAL {local} ms) was left out: a file of subtitles counts from the start of the title"
                    ));
                }
                document.sort();
                *wanted = 0..0;
                Ok(())
            }
        }
    }

    /// How far it has come, 0 to 1.
    pub fn progress(&self) -> f64 {
        match self {
            Self::Media(reader) => reader.progress(),
            Self::Text(wanted, _) => f64::from(u8::from(wanted.is_empty())),
        }
    }

    /// What is in the file, once nothing more is wanted.
    ///
    /// # Errors
    /// `BadSource` when it is no MP4 file.
    pub fn finish(self) -> Result<Content> {
        match self {
            Self::Media(reader) => reader.finish().map(|(tracks, warnings)| Content::Tracks(tracks, warnings)),
            Self::Text(_, document) => Ok(Content::Subtitles(document)),
        }
    }
}
