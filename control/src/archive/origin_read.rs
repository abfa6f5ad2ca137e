//! Reading an object the way HTTP asks for it: one range, conditions, as a stream.

use std::io::{Seek as _, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::{GetOptions, GetRange, GetResultPayload};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::{ObjectInfo, Storage};
use crate::error::ApiError;

/// Bytes read from a local file at once.
const READ_BYTES: usize = 256 << 10;

/// A single range of a `Range` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeRequest {
    /// First and last position, both inclusive.
    Bounded(u64, u64),
    /// From a position to the end.
    From(u64),
    /// The last bytes.
    Suffix(u64),
}

impl RangeRequest {
    /// Reads a `Range` header (RFC 9110, 14.2). `None` for what may be ignored: another unit, several ranges, or none
    /// that fits the grammar.
    pub fn parse(header: &str) -> Option<Self> {
        let (unit, set) = header.split_once('=')?;
        let (first, last) = set.trim().split_once('-')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let number = |text: &str| -> Option<u64> {
            text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        };
        match (first.trim(), last.trim()) {
            ("", last) => Some(Self::Suffix(number(last)?)),
            (first, "") => Some(Self::From(number(first)?)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Bounded(first, last))
            }
        }
    }

    /// The positions it means in an object of `length` bytes, or `None` when it is outside.
    pub fn within(&self, length: u64) -> Option<Range<u64>> {
        let range = match *self {
            Self::Bounded(first, last) => first..last.saturating_add(1).min(length),
            Self::From(first) => first..length,
            Self::Suffix(count) => length.saturating_sub(count)..length,
        };
        (range.start < range.end).then_some(range)
    }

    fn options(&self) -> GetRange {
        match *self {
            Self::Bounded(first, last) => GetRange::Bounded(first..last.saturating_add(1)),
            Self::From(first) => GetRange::Offset(first),
            Self::Suffix(count) => GetRange::Suffix(count),
        }
    }
}

/// Conditions of a request.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// The length that the object has to have; storage without entity tags tells changes only by it.
    pub bytes: Option<u64>,
}

/// An object that is about to be sent.
pub struct OpenedObject {
    /// Its whole length and tag.
    pub info: ObjectInfo,
    /// The positions that are sent.
    pub range: Range<u64>,
    /// Their bytes.
    pub stream: BoxStream<'static, std::io::Result<Bytes>>,
}

/// Why an object is not sent.
pub enum Unopened {
    /// 304.
    NotModified,
    /// A problem.
    Problem(ApiError),
}

impl Storage {
    /// Opens `path` for streaming. With `head` the stream is empty.
    ///
    /// # Errors
    /// Not found, conditions that do not hold, a range outside of the object, a failure of the storage.
    pub async fn open_object(
        &self,
        path: &str,
        range: Option<RangeRequest>,
        conditions: Conditions,
        head: bool,
    ) -> Result<OpenedObject, Unopened> {
        let options = GetOptions {
            if_match: conditions.if_match,
            if_none_match: conditions.if_none_match,
            range: range.as_ref().filter(|_| !head).map(RangeRequest::options),
            head,
            ..GetOptions::default()
        };
        let result = match self.get(path, options).await {
            Ok(result) => result,
            Err(error) => return Err(self.explain(path, range, conditions.bytes, error).await),
        };
        let info = ObjectInfo { bytes: result.meta.size, etag: super::storage::strong(result.meta.e_tag.clone()) };
        check_length(conditions.bytes, info.bytes)?;
        if head {
            let range = match range {
                Some(range) => range.within(info.bytes).ok_or_else(|| outside(info.bytes))?,
                None => 0..info.bytes,
            };
            return Ok(OpenedObject { info, range, stream: futures::stream::empty().boxed() });
        }
        // Storage answers a suffix of no bytes with no bytes.
        if let Some(asked) = range
            && asked.within(info.bytes).is_none()
        {
            return Err(outside(info.bytes));
        }
        let range = result.range.clone();
        let stream = match result.payload {
            GetResultPayload::File(mut file, _) => {
                file.seek(SeekFrom::Start(range.start)).map_err(|e| Unopened::Problem(ApiError::internal(e)))?;
                let file = tokio::fs::File::from_std(file).take(range.end - range.start);
                ReaderStream::with_capacity(file, READ_BYTES).boxed()
            }
            GetResultPayload::Stream(stream) => stream.map(|chunk| chunk.map_err(std::io::Error::other)).boxed(),
        };
        Ok(OpenedObject { info, range, stream })
    }

    async fn explain(
        &self,
        path: &str,
        range: Option<RangeRequest>,
        bytes: Option<u64>,
        error: object_store::Error,
    ) -> Unopened {
        use object_store::Error as E;
        match error {
            E::NotFound { .. } | E::InvalidPath { .. } => {
                Unopened::Problem(ApiError::not_found("the storage has no such object"))
            }
            E::Precondition { .. } => Unopened::Problem(ApiError::precondition_failed()),
            E::NotModified { .. } => Unopened::NotModified,
            error => match (range, self.info(path).await) {
                (Some(range), Ok(info)) if range.within(info.bytes).is_none() => {
                    check_length(bytes, info.bytes).err().unwrap_or_else(|| outside(info.bytes))
                }
                _ => Unopened::Problem(ApiError::storage(&error)),
            },
        }
    }
}

fn check_length(wanted: Option<u64>, bytes: u64) -> Result<(), Unopened> {
    match wanted {
        Some(wanted) if wanted != bytes => Err(Unopened::Problem(ApiError::object_changed(wanted, bytes))),
        _ => Ok(()),
    }
}

fn outside(length: u64) -> Unopened {
    Unopened::Problem(ApiError::range_not_satisfiable(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_read_and_the_rest_ignored() {
        use RangeRequest::{Bounded, From, Suffix};
        assert_eq!(RangeRequest::parse("bytes=0-0"), Some(Bounded(0, 0)));
        assert_eq!(RangeRequest::parse("BYTES= 5-9"), Some(Bounded(5, 9)));
        assert_eq!(RangeRequest::parse("bytes=5-"), Some(From(5)));
        assert_eq!(RangeRequest::parse("bytes=-5"), Some(Suffix(5)));
        for ignored in ["", "bytes", "bytes=", "bytes=-", "bytes=9-5", "bytes=0-1,3-4", "items=0-1", "bytes=+1-2"] {
            assert_eq!(RangeRequest::parse(ignored), None, "{ignored}");
        }
        assert_eq!(RangeRequest::parse("bytes=99999999999999999999-"), None);
    }

    #[test]
    fn ranges_end_with_the_object() {
        let within = |text: &str, length| RangeRequest::parse(text).unwrap().within(length);
        assert_eq!(within("bytes=2-100", 10), Some(2..10));
        assert_eq!(within("bytes=9-18446744073709551615", 10), Some(9..10));
        assert_eq!(within("bytes=-100", 10), Some(0..10));
        assert_eq!(within("bytes=10-", 10), None);
        assert_eq!(within("bytes=-0", 10), None);
        assert_eq!(within("bytes=0-0", 0), None);
    }
}
