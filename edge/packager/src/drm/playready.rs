//! PlayReady: the PlayReady Object (PRO) with its header, alone and as the data of a `pssh` box of version 0
//! (PlayReady Header Specification; PlayReady Object Specification).

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::escape;

use super::pssh::Pssh;
use super::xml::{Token, Tokens};
use crate::config::{Kid, Scheme, System};
use crate::error::{Error, Result};
use crate::limits;
use crate::sealing::ContentKey;

const NAMESPACE: &str = "http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader";
/// The type of the record that holds a header.
const HEADER_RECORD: u16 = 1;

/// What a header says about its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `4.0.0.0` to `4.3.0.0`.
    pub version: String,
    /// `AESCTR` or `AESCBC`; `None` where it is not said.
    pub algorithm: Option<String>,
    /// Key ids, in the order of the text form.
    pub key_ids: Vec<Kid>,
    /// Of the first key that has one.
    pub checksum: Option<[u8; 8]>,
    /// URL of the licence server.
    pub licence_url: Option<String>,
}

/// A key id as a GUID: the first three groups of digits are little-endian. Its own inverse.
fn guid(kid: [u8; 16]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = kid;
    let mut guid = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
    if let Some(tail) = guid.last_chunk_mut() {
        *tail = rest;
    }
    guid
}

/// The first eight bytes of the GUID, encrypted with the content key: a client sees whether its key is the right one.
fn checksum(kid: Kid, key: &ContentKey) -> [u8; 8] {
    let mut block = guid(kid.0).into();
    Aes128::new(key.reveal().into()).encrypt_block(&mut block);
    let block: [u8; 16] = block.into();
    block.first_chunk().copied().unwrap_or_default()
}

/// The header for a key. Version 4.0 for cenc, which every client knows; AES-CBC needs 4.3, which has no checksum for it.
pub fn header(kid: Kid, scheme: Scheme, key: Option<&ContentKey>, licence_url: Option<&str>) -> Header {
    let cenc = scheme == Scheme::Cenc;
    Header {
        version: if cenc { "4.0.0.0" } else { "4.3.0.0" }.to_owned(),
        algorithm: Some(if cenc { "AESCTR" } else { "AESCBC" }.to_owned()),
        key_ids: vec![kid],
        checksum: key.filter(|_| cenc).map(|key| checksum(kid, key)),
        licence_url: licence_url.map(str::to_owned),
    }
}

impl Header {
    /// The XML of a header with one key, in the order of elements that clients want. Text is escaped.
    fn xml(&self) -> String {
        let kid = self.key_ids.first().map(|kid| STANDARD.encode(guid(kid.0))).unwrap_or_default();
        let algorithm = self.algorithm.as_deref().unwrap_or("AESCTR");
        let mut out = format!("<WRMHEADER xmlns=\"{NAMESPACE}\" version=\"{}\"><DATA>", escape(self.version.as_str()));
        if self.version == "4.0.0.0" {
            out.push_str(&format!("<PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>{algorithm}</ALGID></PROTECTINFO>"));
            out.push_str(&format!("<KID>{kid}</KID>"));
            if let Some(checksum) = self.checksum {
                out.push_str(&format!("<CHECKSUM>{}</CHECKSUM>", STANDARD.encode(checksum)));
            }
        } else {
            let kid = format!("<KID ALGID=\"{algorithm}\" VALUE=\"{kid}\"></KID>");
            out.push_str(&format!("<PROTECTINFO><KIDS>{kid}</KIDS></PROTECTINFO>"));
        }
        if let Some(url) = &self.licence_url {
            out.push_str(&format!("<LA_URL>{}</LA_URL>", escape(url.as_str())));
        }
        out.push_str("</DATA></WRMHEADER>");
        out
    }

    /// The object with this header as its only record.
    ///
    /// # Errors
    /// `Limit` when it is larger than [`limits::MAX_PLAYREADY_BYTES`].
    pub fn write(&self) -> Result<Vec<u8>> {
        let text: Vec<u8> = self.xml().encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = text.len() + 10;
        let too_long = || Error::limit(format!("PlayReady object: {length} bytes"));
        if length > limits::MAX_PLAYREADY_BYTES {
            return Err(too_long());
        }
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(&u32::try_from(length).map_err(|_| too_long())?.to_le_bytes());
        out.extend_from_slice(&1u16.to_le_bytes());
        out.extend_from_slice(&HEADER_RECORD.to_le_bytes());
        out.extend_from_slice(&u16::try_from(text.len()).map_err(|_| too_long())?.to_le_bytes());
        out.extend_from_slice(&text);
        Ok(out)
    }

    /// Reads the header of an object.
    ///
    /// # Errors
    /// `BadSource` when it breaks its format or has no header, `Limit` when it is too large.
    pub fn read(object: &[u8]) -> Result<Self> {
        let header = record(object).and_then(|record| parse(&record));
        header.map_err(|e| e.context("PlayReady object"))
    }
}

/// The text of the header's record.
fn record(object: &[u8]) -> Result<String> {
    let short = || Error::bad_source("it ends early");
    if object.len() > limits::MAX_PLAYREADY_BYTES {
        return Err(Error::limit(format!("{} bytes", object.len())));
    }
    let (length, rest) = object.split_first_chunk().ok_or_else(short)?;
    if u32::from_le_bytes(*length) as usize != object.len() {
        let length = u32::from_le_bytes(*length);
        return Err(Error::bad_source(format!("it says {length} bytes, there are {}", object.len())));
    }
    let (count, mut rest) = rest.split_first_chunk().ok_or_else(short)?;
    let mut found = None;
    for _ in 0..u16::from_le_bytes(*count) {
        let (kind, after) = rest.split_first_chunk().ok_or_else(short)?;
        let (length, after) = after.split_first_chunk().ok_or_else(short)?;
        let (record, after) = after.split_at_checked(u16::from_le_bytes(*length).into()).ok_or_else(short)?;
        if u16::from_le_bytes(*kind) == HEADER_RECORD && found.replace(record).is_some() {
            return Err(Error::bad_source("two headers"));
        }
        rest = after;
    }
    if !rest.is_empty() {
        return Err(Error::bad_source(format!("{} bytes after the last record", rest.len())));
    }
    let (units, odd) = found.ok_or_else(|| Error::bad_source("no header"))?.as_chunks();
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let text = String::from_utf16(&units).map_err(|_| Error::bad_source("the header is not UTF-16"))?;
    if odd.is_empty() { Ok(text) } else { Err(Error::bad_source("half a character")) }
}

fn parse(text: &str) -> Result<Header> {
    let mut tokens = Tokens::new(text)?;
    let mut header = Header::default();
    let mut path: Vec<String> = Vec::new();
    let mut inside = String::new();
    let mut roots = 0;
    while let Some(token) = tokens.next()? {
        match token {
            Token::Start(element) => {
                let value = |name: &str| {
                    element.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
                };
                if path.is_empty() {
                    roots += 1;
                    if element.namespace.as_deref() != Some(NAMESPACE) || element.name != "WRMHEADER" || roots > 1 {
                        return Err(Error::bad_source(format!("the header is a {}", element.name)));
                    }
                    header.version = value("version").unwrap_or_default().to_owned();
                    if !matches!(header.version.as_str(), "4.0.0.0" | "4.1.0.0" | "4.2.0.0" | "4.3.0.0") {
                        return Err(Error::bad_source(format!("the header has the version {:?}", header.version)));
                    }
                }
                if element.name == "KID" {
                    if let Some(kid) = value("VALUE") {
                        header.key_ids.push(key_id(kid)?);
                    }
                    set_algorithm(&mut header, value("ALGID"));
                    set_checksum(&mut header, value("CHECKSUM"))?;
                }
                inside.clear();
                path.push(element.name);
            }
            Token::Text(text) => inside.push_str(&text),
            Token::End => {
                let text = inside.trim();
                match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                    ["WRMHEADER", "DATA", "KID"] => header.key_ids.push(key_id(text)?),
                    ["WRMHEADER", "DATA", "CHECKSUM"] => set_checksum(&mut header, Some(text))?,
                    ["WRMHEADER", "DATA", "PROTECTINFO", "ALGID"] => set_algorithm(&mut header, Some(text)),
                    ["WRMHEADER", "DATA", "LA_URL"] => header.licence_url = Some(text.to_owned()),
                    _ => {}
                }
                inside.clear();
                path.pop();
            }
        }
    }
    if header.key_ids.len() > limits::MAX_PSSH_KEY_IDS {
        return Err(Error::limit(format!("{} key ids", header.key_ids.len())));
    }
    if roots == 1 { Ok(header) } else { Err(Error::bad_source("the header is empty")) }
}

fn set_algorithm(header: &mut Header, algorithm: Option<&str>) {
    if header.algorithm.is_none() {
        header.algorithm = algorithm.map(str::to_owned);
    }
}

fn set_checksum(header: &mut Header, text: Option<&str>) -> Result<()> {
    if let Some(text) = text.filter(|_| header.checksum.is_none()) {
        let bytes = super::decode_base64("CHECKSUM", text)?;
        let wrong = |_| Error::bad_source(format!("CHECKSUM {text:?} is not 8 bytes"));
        header.checksum = Some(bytes.as_slice().try_into().map_err(wrong)?);
    }
    Ok(())
}

fn key_id(text: &str) -> Result<Kid> {
    let bytes = super::decode_base64("KID", text)?;
    let wrong = |_| Error::bad_source(format!("KID {text:?} is not 16 bytes"));
    Ok(Kid(guid(bytes.as_slice().try_into().map_err(wrong)?)))
}

/// The box around an object.
pub fn pssh(object: Vec<u8>) -> Pssh {
    Pssh { system: System::Playready.id(), key_ids: None, data: object }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kid() -> Kid {
        "01234567-89ab-cdef-1122-334455667788".parse().unwrap()
    }

    #[test]
    fn key_ids_turn_into_guids_and_back() {
        let bytes = guid(kid().0);
        assert_eq!(hex::encode(bytes), "67452301ab89efcd1122334455667788");
        assert_eq!(guid(bytes), kid().0);
    }

    #[test]
    fn headers_survive_a_round_trip() {
        let key = ContentKey::new([7; 16]);
        for scheme in [Scheme::Cenc, Scheme::Cbcs] {
            for url in [None, Some("https://a.example/rights?b=1&c=<2>")] {
                let header = header(kid(), scheme, Some(&key), url);
                assert_eq!(header.checksum.is_some(), scheme == Scheme::Cenc);
                assert_eq!(Header::read(&header.write().unwrap()).unwrap(), header);
            }
        }
        let long = format!("https://a.example/{}", "a".repeat(limits::MAX_PLAYREADY_BYTES));
        assert!(header(kid(), Scheme::Cenc, None, Some(&long)).write().is_err());
    }

    #[test]
    fn objects_that_break_their_format_are_refused() {
        let good = header(kid(), Scheme::Cbcs, None, None).write().unwrap();
        for end in 0..good.len() {
            assert!(Header::read(&good[..end]).is_err(), "{end}");
        }
        for at in 0..10 {
            let mut bad = good.clone();
            bad[at] ^= 0x21;
            assert!(Header::read(&bad).is_err(), "byte {at}");
        }
        let object = |text: &str| {
            let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let (length, own) = ((text.len() + 10) as u32, text.len() as u16);
            [&length.to_le_bytes()[..], &[1, 0, 1, 0], &own.to_le_bytes(), &text].concat()
        };
        let with = |data: &str| object(&format!("<WRMHEADER xmlns='{NAMESPACE}' version='4.1.0.0'>{data}</WRMHEADER>"));
        let read = |data: &str| Header::read(&with(data));
        let several = "<DATA><PROTECTINFO><KIDS><KID VALUE='Z0UjAauJ780RIjNEVWZ3iA==' ALGID='AESCTR'/>\
                       <KID VALUE='AAAAAAAAAAAAAAAAAAAAAA=='/></KIDS></PROTECTINFO></DATA>";
        assert_eq!(read(several).unwrap().key_ids, [kid(), Kid([0; 16])]);
        assert!(read("<DATA><KID>AAAA</KID></DATA>").is_err());
        assert!(read("<DATA><KID>%</KID></DATA>").is_err());
        assert!(read("<DATA><CHECKSUM>AAAA</CHECKSUM></DATA>").is_err());
        assert!(read("<DATA>").is_err());
        assert!(read("<!DOCTYPE a><DATA></DATA>").is_err());
        assert!(Header::read(&object("")).is_err());
        assert!(Header::read(&object("<WRMHEADER version='4.0.0.0'/>")).is_err());
        assert!(Header::read(&object(&format!("<WRMHEADER xmlns='{NAMESPACE}' version='9'/>"))).is_err());
    }
}
