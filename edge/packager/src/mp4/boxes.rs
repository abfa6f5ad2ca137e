//! A box: its header, its place in the file and in the tree, and its children.

use core::fmt;

use crate::bytes::Reader;
use crate::bytes::reader::ShortRead;
use crate::error::{Error, Result};
use crate::limits;

/// The type of a box, a brand or a sample entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The header of a box (ISO/IEC 14496-12, 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Type.
    pub kind: FourCc,
    /// Length of the header itself: 8 or 16.
    pub length: u8,
    /// Length of the whole box; `None` when it reaches to the end of the file.
    pub size: Option<u64>,
}

impl Header {
    /// Longest form.
    pub const MAX_LENGTH: usize = 16;

    /// Reads a header at byte `at` of the file.
    ///
    /// # Errors
    /// `BadSource` when the bytes run out or the size is smaller than the header.
    pub fn read(data: &[u8], at: u64, path: &str) -> Result<Self> {
        let mut reader = Reader::new(data, at);
        let cut =
            |e: ShortRead| Error::bad_source(format!("the header of the box {path} at byte {at} is cut off ({e})"));
        let size = reader.u32().map_err(cut)?;
        let kind = FourCc(reader.array().map_err(cut)?);
        let (length, size) = match size {
            0 => (8, None),
            1 => (16, Some(reader.u64().map_err(cut)?)),
            size => (8, Some(u64::from(size))),
        };
        match size {
            Some(size) if size < u64::from(length) => {
                Err(Error::bad_source(format!("{path}{kind} at byte {at}: box size {size} is smaller than its header")))
            }
            _ => Ok(Self { kind, length, size }),
        }
    }
}

/// A box that is in memory whole.
#[derive(Clone, Debug)]
pub struct Box<'a> {
    /// Type.
    pub kind: FourCc,
    /// Where its header starts in the file.
    pub offset: u64,
    /// Where its content starts in the file.
    pub content_offset: u64,
    /// Its content.
    pub content: &'a [u8],
    path: String,
    depth: usize,
}

impl<'a> Box<'a> {
    /// A box at the top level of a file.
    pub fn top(kind: FourCc, offset: u64, content_offset: u64, content: &'a [u8]) -> Self {
        Self { kind, offset, content_offset, content, path: kind.to_string(), depth: 0 }
    }

    /// Where it stands in the tree, like `moov/trak/mdia`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where it stands, for messages.
    pub fn place(&self) -> String {
        format!("{} at byte {}", self.path, self.offset)
    }

    /// `BadSource` at this box.
    pub fn bad(&self, message: impl fmt::Display) -> Error {
        Error::bad_source(format!("{}: {message}", self.place()))
    }

    /// `Limit` at this box.
    pub fn over_limit(&self, message: impl fmt::Display) -> Error {
        Error::limit(format!("{}: {message}", self.place()))
    }

    /// Maps a read past the end of the content.
    pub fn short(&self) -> impl Fn(ShortRead) -> Error + '_ {
        |e| self.bad(format!("the content ends too early, {e}"))
    }

    /// Reads the content.
    pub fn reader(&self) -> Reader<'a> {
        Reader::new(self.content, self.content_offset)
    }

    /// Reads the content of a full box: version, flags, and the rest.
    ///
    /// # Errors
    /// `BadSource` when it is too short.
    pub fn full(&self) -> Result<(u8, u32, Reader<'a>)> {
        let mut reader = self.reader();
        let word = reader.u32().map_err(self.short())?;
        Ok(((word >> 24) as u8, word & 0x00ff_ffff, reader))
    }

    /// The boxes inside, from the start of the content.
    pub fn children(&self) -> Children<'a, '_> {
        Children { parent: self, reader: self.reader() }
    }

    /// The boxes inside, after `reader` has read what comes before them.
    pub fn children_after(&self, reader: Reader<'a>) -> Children<'a, '_> {
        Children { parent: self, reader }
    }

    /// The first child of this type.
    ///
    /// # Errors
    /// `BadSource` when a box on the way is broken.
    pub fn child(&self, kind: &[u8; 4]) -> Result<Option<Box<'a>>> {
        for child in self.children() {
            let child = child?;
            if child.kind.0 == *kind {
                return Ok(Some(child));
            }
        }
        Ok(None)
    }

    /// The first child of this type, which must be there.
    ///
    /// # Errors
    /// `BadSource` when it is missing or a box on the way is broken.
    pub fn need(&self, kind: &[u8; 4]) -> Result<Box<'a>> {
        self.child(kind)?.ok_or_else(|| self.bad(format!("it has no {} box", FourCc(*kind))))
    }
}

/// Iterates over the boxes inside a box; ends after the first broken one.
#[derive(Debug)]
pub struct Children<'a, 'p> {
    parent: &'p Box<'a>,
    reader: Reader<'a>,
}

impl<'a> Iterator for Children<'a, '_> {
    type Item = Result<Box<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        // QuickTime ends some lists of atoms with a 32-bit zero (QTFF, "User Data Atoms").
        if self.reader.left() < 8 && self.reader.rest().iter().all(|b| *b == 0) {
            return None;
        }
        let child = self.read();
        if child.is_err() {
            self.reader = Reader::new(&[], self.reader.position());
        }
        Some(child)
    }
}

impl<'a> Children<'a, '_> {
    fn read(&mut self) -> Result<Box<'a>> {
        let parent = self.parent;
        let offset = self.reader.position();
        if parent.depth >= limits::MAX_BOX_DEPTH {
            return Err(parent.over_limit(format!("more than {} boxes inside each other", limits::MAX_BOX_DEPTH)));
        }
        let header = Header::read(self.reader.rest(), offset, &format!("{}/", parent.path))?;
        let left = self.reader.left() as u64;
        let size = header.size.unwrap_or(left);
        let path = format!("{}/{}", parent.path, header.kind);
        if size > left {
            return Err(Error::bad_source(format!(
                "{path} at byte {offset}: box size {size} runs past its parent, which has {left} bytes left"
            )));
        }
        let whole = self.reader.take(size as usize).map_err(parent.short())?;
        let content = whole.get(usize::from(header.length)..).unwrap_or_default();
        let content_offset = offset + u64::from(header.length);
        Ok(Box { kind: header.kind, offset, content_offset, content, path, depth: parent.depth + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::writer::Writer;

    fn top(content: &[u8]) -> Box<'_> {
        Box::top(FourCc(*b"moov"), 100, 108, content)
    }

    #[test]
    fn children_know_their_place() {
        let mut content = Vec::new();
        content.boxed(b"trak", |b| b.boxed(b"mdia", |b| b.u32(7)));
        content.boxed(b"free", |_| {});
        let moov = top(&content);
        let mdia = moov.need(b"trak").unwrap().need(b"mdia").unwrap();
        assert_eq!(mdia.place(), "moov/trak/mdia at byte 116");
        assert_eq!(mdia.reader().u32(), Ok(7));
        assert_eq!(moov.children().count(), 2);
        assert_eq!(moov.need(b"mvhd").unwrap_err().message(), "moov at byte 100: it has no mvhd box");
    }

    #[test]
    fn lying_sizes_are_named() {
        let lying = [0, 0, 0, 99, b't', b'r', b'a', b'k'];
        let error = top(&lying).child(b"trak").unwrap_err();
        assert_eq!(error.message(), "moov/trak at byte 108: box size 99 runs past its parent, which has 8 bytes left");
        let small = [0, 0, 0, 7, b't', b'r', b'a', b'k'];
        assert_eq!(
            top(&small).child(b"trak").unwrap_err().message(),
            "moov/trak at byte 108: box size 7 is smaller than its header"
        );
        assert!(top(&[0, 0, 0, 1, b't', b'r', b'a', b'k', 0]).child(b"trak").is_err());
    }

    #[test]
    fn a_quicktime_terminator_ends_the_list() {
        let mut content = Vec::new();
        content.boxed(b"free", |_| {});
        content.u32(0);
        assert_eq!(top(&content).children().map(|c| c.map(|_| ())).collect::<Result<Vec<_>>>().unwrap().len(), 1);
    }
}
