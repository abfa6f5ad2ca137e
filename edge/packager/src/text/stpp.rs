//! Subtitles in XML (`stpp`, ISO/IEC 14496-12, 12.6.3): TTML and IMSC. Samples pass through as they are.

use crate::bytes::Reader;
use crate::error::{Error, Result};
use crate::mp4::boxes::{Box, FourCc};

/// `SampleEntry`: reserved bytes and the data reference index.
const SAMPLE_ENTRY_BYTES: usize = 8;
/// How much of a document is searched for its profile: the root element comes first.
const ROOT_ELEMENT_BYTES: usize = 8192;

/// Profiles by their designator, and their names in the W3C "TTML Media Type Definition and Profile Registry".
const PROFILES: [(&str, &str); 8] = [
    ("/ns/ttml/profile/imsc1/text", "im1t"),
    ("/ns/ttml/profile/imsc1/image", "im1i"),
    ("/ns/ttml/profile/imsc1.1/text", "im2t"),
    ("/ns/ttml/profile/imsc1.1/image", "im2i"),
    ("/ns/ttml/profile/imsc1.2/text", "im3t"),
    ("/ns/ttml/profile/imsc1.2/image", "im3i"),
    ("urn:ebu:tt:distribution:2014-01", "etd1"),
    ("urn:ebu:tt:distribution:2018-04", "etd1"),
];

/// What an `stpp` sample entry says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// XML namespaces, separated by spaces.
    pub namespace: String,
    /// Where their schemas are, separated by spaces.
    pub schema_location: String,
    /// Media types of images and fonts in the samples, separated by spaces.
    pub auxiliary_mime_types: String,
    /// Content type of the documents (`mime` box), e.g. `application/ttml+xml;codecs=im1t`.
    pub content_type: String,
}

impl Entry {
    pub(super) fn read(data: &[u8]) -> Result<Self> {
        let mut r = Reader::new(data, 0);
        r.take(SAMPLE_ENTRY_BYTES).map_err(|e| Error::bad_source(format!("stpp sample entry: {e}")))?;
        let mut entry = Self { namespace: string(&mut r), ..Self::default() };
        if entry.namespace.is_empty() {
            return Err(Error::bad_source("stpp sample entry: the namespace is empty"));
        }
        entry.schema_location = string(&mut r);
        entry.auxiliary_mime_types = string(&mut r);
        // Files with fewer than three strings exist; what follows them then is no list of boxes.
        let boxes = Box::top(FourCc(*b"stpp"), 0, 0, data);
        for child in boxes.children_after(r).map_while(Result::ok) {
            if child.kind.0 == *b"mime"
                && let Ok((_, _, mut r)) = child.full()
            {
                entry.content_type = string(&mut r);
            }
        }
        Ok(entry)
    }

    /// RFC 6381 string: `stpp.ttml.` and the profile (DASH-IF IOP, ISO/IEC 23000-19 annex L). The profile is, in this
    /// order, what the content type says, what the root element of `document` names, what the sample entry names, the
    /// image profile when images come with the samples, and else `im1t`, the text profile of IMSC1, which all players of
    /// TTML take.
    pub fn codecs(&self, document: Option<&[u8]>) -> String {
        let root = document.and_then(|d| d.get(..ROOT_ELEMENT_BYTES.min(d.len()))).unwrap_or_default();
        let root = String::from_utf8_lossy(root);
        let named = [root.as_ref(), &self.schema_location, &self.namespace].into_iter().find_map(profile);
        let images = self.auxiliary_mime_types.contains("image/");
        let profile = content_type_profile(&self.content_type).or(named);
        format!("stpp.ttml.{}", profile.unwrap_or(if images { "im1i" } else { "im1t" }))
    }
}

/// Up to the terminator, which is consumed.
fn string(r: &mut Reader<'_>) -> String {
    let rest = r.rest();
    let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
    let text = r.take(end).map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default();
    let _terminator = r.take(1);
    text
}

fn profile(text: &str) -> Option<&'static str> {
    PROFILES.iter().find(|(designator, _)| text.contains(designator)).map(|(_, name)| *name)
}

/// The first registered profile of the parameter `codecs`.
fn content_type_profile(content_type: &str) -> Option<&'static str> {
    let (_, codecs) = content_type.split_once("codecs=")?;
    let first = codecs.trim_start_matches('"').split(['|', '+', '"', ';', ',']).next()?.trim();
    PROFILES.iter().find(|(_, name)| *name == first).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::writer::Writer;

    fn entry(strings: &[&str], content_type: Option<&str>) -> Entry {
        let mut data = vec![0, 0, 0, 0, 0, 0, 0, 1];
        for text in strings {
            data.extend_from_slice(text.as_bytes());
            data.push(0);
        }
        if let Some(content_type) = content_type {
            data.full_box(b"mime", 0, 0, |b| {
                b.extend_from_slice(content_type.as_bytes());
                b.push(0);
            });
        }
        Entry::read(&data).unwrap()
    }

    #[test]
    fn strings_and_content_type_are_read() {
        let all = entry(&["http://www.w3.org/ns/ttml", "loc", "image/png"], Some("application/ttml+xml;codecs=im2t"));
        assert_eq!((all.schema_location.as_str(), all.auxiliary_mime_types.as_str()), ("loc", "image/png"));
        assert_eq!(all.codecs(None), "stpp.ttml.im2t");
        assert!(Entry::read(&[0; 9]).is_err());
        assert!(Entry::read(&[0; 5]).is_err());
    }

    #[test]
    fn the_profile_is_looked_for_in_order() {
        let ttml = "http://www.w3.org/ns/ttml";
        let image = b"<tt ttp:profile=\"http://www.w3.org/ns/ttml/profile/imsc1/image\">";
        assert_eq!(entry(&[ttml, "", ""], None).codecs(None), "stpp.ttml.im1t");
        assert_eq!(entry(&[ttml], None).codecs(None), "stpp.ttml.im1t");
        assert_eq!(entry(&[ttml, "", "image/png"], None).codecs(None), "stpp.ttml.im1i");
        assert_eq!(entry(&[ttml, "", ""], None).codecs(Some(image)), "stpp.ttml.im1i");
        assert_eq!(
            entry(&[ttml, "http://www.w3.org/ns/ttml/profile/imsc1.1/text", ""], None).codecs(None),
            "stpp.ttml.im2t"
        );
        assert_eq!(
            entry(&[ttml, "", ""], Some("application/ttml+xml;codecs=\"etd1|im1t\"")).codecs(Some(image)),
            "stpp.ttml.etd1"
        );
        assert_eq!(entry(&[ttml, "", ""], Some("application/ttml+xml;codecs=x\"")).codecs(None), "stpp.ttml.im1t");
    }
}
