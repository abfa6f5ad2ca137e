//! Conditional requests against one strong entity tag (RFC 9110, 13). No body here has a modification date, so
//! conditions on dates are never true.

use crate::http::Headers;

/// What the preconditions of a GET or HEAD request say (13.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Evaluates `If-Match` and `If-None-Match` against `etag`, which is strong and has its quotes.
pub fn evaluate(headers: &Headers, etag: &str) -> Verdict {
    if headers.has("if-match") && !headers.all("if-match").any(|field| matches(field, etag, false)) {
        return Verdict::Failed;
    }
    if headers.all("if-none-match").any(|field| matches(field, etag, true)) {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Whether a `Range` field counts: there is no `If-Range`, or it is this very tag (13.1.5, strong comparison).
pub fn range_counts(headers: &Headers, etag: &str) -> bool {
    !headers.has("if-range") || headers.get("if-range").is_some_and(|field| field.trim() == etag)
}

/// Whether one of the listed tags is `etag`. `*` is any. Weak tags match only where the comparison is weak (8.8.3.2).
fn matches(field: &str, etag: &str, weak: bool) -> bool {
    if field.trim() == "*" {
        return true;
    }
    let mut rest = field;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (is_weak, tag) = rest.strip_prefix("W/").map_or((false, rest), |tag| (true, tag));
        let Some(end) = tag.strip_prefix('"').and_then(|opaque| opaque.find('"')) else {
            return false;
        };
        let (tag, after) = tag.split_at(end + 2);
        if tag == etag && (weak || !is_weak) {
            return true;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"1-abc\"";

    fn with(name: &str, value: &str) -> Headers {
        Headers::new(vec![(name.into(), value.as_bytes().to_vec())])
    }

    #[test]
    fn if_none_match_compares_weakly_over_the_whole_list() {
        for field in ["*", " * ", "\"1-abc\"", "W/\"1-abc\"", "\"x\", \"1-abc\"", "\"a,b\",W/\"1-abc\" , \"y\""] {
            assert_eq!(evaluate(&with("if-none-match", field), ETAG), Verdict::NotModified, "{field}");
        }
        for field in ["", "\"x\"", "1-abc", "\"1-abc", "\"1-ab\",\"c\"", "\"*\"", "w/\"1-abc\"", "x \"1-abc\"", "W/"] {
            assert_eq!(evaluate(&with("if-none-match", field), ETAG), Verdict::Proceed, "{field}");
        }
        let two = Headers::new(vec![
            ("If-None-Match".into(), b"\"x\"".to_vec()),
            ("if-none-match".into(), b"\"1-abc\"".to_vec()),
        ]);
        assert_eq!(evaluate(&two, ETAG), Verdict::NotModified);
    }

    #[test]
    fn if_match_compares_strongly_and_comes_first() {
        assert_eq!(evaluate(&with("if-match", "\"x\", \"1-abc\""), ETAG), Verdict::Proceed);
        assert_eq!(evaluate(&with("if-match", "*"), ETAG), Verdict::Proceed);
        assert_eq!(evaluate(&with("if-match", "W/\"1-abc\""), ETAG), Verdict::Failed);
        assert_eq!(evaluate(&with("if-match", ""), ETAG), Verdict::Failed);
        let both =
            Headers::new(vec![("if-match".into(), b"\"x\"".to_vec()), ("if-none-match".into(), b"\"1-abc\"".to_vec())]);
        assert_eq!(evaluate(&both, ETAG), Verdict::Failed);
    }

    #[test]
    fn if_range_needs_the_very_tag() {
        assert!(range_counts(&Headers::new(vec![]), ETAG));
        assert!(range_counts(&with("if-range", "\"1-abc\""), ETAG));
        for field in ["W/\"1-abc\"", "\"x\"", "Sat, 01 Jan 2022 00:00:00 GMT", ""] {
            assert!(!range_counts(&with("if-range", field), ETAG), "{field}");
        }
    }
}
