//! Header fields: those of a request as they came, and those that answers carry.

use packager::response::CacheClass;

/// Header fields in the order in which they came. Names compare without case.
#[derive(Clone, Default)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// From names and values.
    pub const fn new(fields: Vec<(String, Vec<u8>)>) -> Self {
        Self(fields)
    }

    /// Whether there is a field with this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// The values of all fields with this name, in the order in which they came.
    pub fn values<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_slice())
    }

    /// The values of all fields with this name that are text.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values(name).filter_map(|v| core::str::from_utf8(v).ok())
    }

    /// The value of the field, if there is exactly one with this name and it is text.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let (_, value) = fields.next()?;
        if fields.next().is_some() {
            return None;
        }
        core::str::from_utf8(value).ok()
    }
}

/// On every answer, errors included, so that players on any page can read it and its timing.
pub const CORS: [(&str, &str); 5] = [
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "GET, HEAD, OPTIONS"),
    (
        "access-control-allow-headers",
        "Authorization, Range, If-Range, If-Match, If-None-Match, Accept, Content-Type, Origin",
    ),
    ("access-control-expose-headers", "Content-Length, Content-Range, Accept-Ranges, ETag, Date, Server-Timing"),
    ("timing-allow-origin", "*"),
];

/// How long a browser may remember the answer to a preflight, seconds.
pub const PREFLIGHT_MAX_AGE: &str = "86400";

/// For how long an answer may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Not at all.
    None,
    /// So many seconds.
    Seconds(u32),
    /// For ever.
    Immutable,
}

impl Lifetime {
    /// The `Cache-Control` field of an answer. What is `guarded` is not for everybody: caches that several viewers share
    /// must not keep it.
    pub fn cache_control(self, guarded: bool) -> String {
        let keepers = if guarded { "private" } else { "public" };
        match self {
            Self::None => "no-store".to_owned(),
            Self::Seconds(seconds) => format!("{keepers}, max-age={seconds}"),
            Self::Immutable => format!("{keepers}, max-age=31536000, immutable"),
        }
    }
}

impl From<CacheClass> for Lifetime {
    fn from(class: CacheClass) -> Self {
        match class {
            CacheClass::Immutable => Self::Immutable,
            CacheClass::VodManifest => Self::Seconds(60),
            CacheClass::LiveManifest { seconds } => Self::Seconds(seconds),
        }
    }
}

/// Writes a storage path as the path of a URL: what is not unreserved is percent-encoded, `/` stays (RFC 3986, 2.3).
pub fn encode_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                for digit in [byte >> 4, byte & 15] {
                    out.extend(char::from_digit(digit.into(), 16).map(|c| c.to_ascii_uppercase()));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_comes_twice_is_not_one_field() {
        let fields = Headers::new(vec![("Range".into(), b"a".to_vec()), ("range".into(), b"b".to_vec())]);
        assert_eq!(fields.get("range"), None);
        assert_eq!(fields.all("RANGE").collect::<Vec<_>>(), ["a", "b"]);
        assert!(Headers::new(vec![("x".into(), vec![0xff])]).get("x").is_none());
    }

    #[test]
    fn paths_are_encoded_byte_by_byte() {
        assert_eq!(encode_path("shows/1/a b%ü.mp4"), "shows/1/a%20b%25%C3%BC.mp4");
    }
}
