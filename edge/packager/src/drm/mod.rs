//! What tells players where keys are; never a key.
//!
//! The control plane calls [`signal`] or [`merge`] when it writes the keys of an asset
//! ([`crate::config::ContentKeys`]). Edges only repeat what stands there.

pub mod clearkey;
pub mod fairplay;
mod fragment;
pub mod line;
pub mod playready;
pub mod pssh;
mod returned;
pub mod widevine;
mod xml;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::{Iv, Kid, PackageType, Scheme, Signalling, System};
use crate::error::{Error, Result};
use crate::limits;
use crate::sealing::ContentKey;
pub use fragment::Fragment;
use line::{KEY, Line, NO_KEY, SESSION_KEY};
use pssh::Pssh;
pub use returned::{Returned, merge};

/// A key, and all that its signalling depends on.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Its id.
    pub kid: Kid,
    /// See [`crate::config::SealedKey::iv`].
    pub iv: Option<Iv>,
    /// The key, for the checksum of PlayReady; nothing else is made of it. Without it there is no checksum.
    pub key: Option<&'a ContentKey>,
    /// How media are encrypted.
    pub scheme: Scheme,
    /// For which output; it decides which fields are filled in.
    pub package_type: PackageType,
    /// The systems that players are told of.
    pub systems: &'a [System],
    /// Where licences and keys are.
    pub urls: &'a Urls,
    /// What Widevine calls the content; may be empty.
    pub content_id: &'a str,
}

/// Where licences and keys are. None of it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Urls {
    /// Answers the key as it is, 16 bytes. Needed for AES-128, and for SAMPLE-AES without FairPlay.
    pub key: Option<String>,
    /// Answers Clear Key licences of the Encrypted Media Extensions.
    pub clear_key: Option<String>,
    /// Answers Widevine licences.
    pub widevine: Option<String>,
    /// Answers PlayReady licences.
    pub playready: Option<String>,
    /// `skd://…` of the key; by default it holds the key id.
    pub fairplay: Option<String>,
}

/// Checks a URL that is to stand in a quoted string and in XML.
fn checked<'a>(field: &str, url: &'a str) -> Result<&'a str> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || !c.is_ascii() || matches!(c, '"' | '<' | '>' | '\\');
    if url.is_empty() || url.len() > limits::MAX_LICENCE_URL_BYTES || url.chars().any(bad) {
        return Err(Error::bad_request(format!("{field}: not a URL that can stand in a manifest")));
    }
    Ok(url)
}

impl Urls {
    fn get<'a>(field: &str, url: Option<&'a String>) -> Result<Option<&'a str>> {
        url.map(|url| checked(field, url)).transpose()
    }

    fn key(&self) -> Result<Option<&str>> {
        Self::get("key URL", self.key.as_ref())
    }
}

/// What the signalling of a system is made of where it is not what we would make.
#[derive(Default)]
struct Material {
    pssh: Option<Pssh>,
    uri: Option<String>,
}

/// All that players are told about a key: one entry for each system; with Clear Key in HLS one or two more, which have to
/// stay in their order.
///
/// # Errors
/// `BadRequest` for a URL that is missing or cannot stand in a manifest.
pub fn signal(subject: &Subject<'_>) -> Result<Vec<Signalling>> {
    let mut entries = Vec::new();
    if subject.package_type == PackageType::Cmaf && subject.systems.contains(&System::ClearKey) {
        entries = clear_key_lines(subject)?;
    }
    if subject.package_type == PackageType::Hls && subject.systems.is_empty() {
        entries.push(identity(subject, None)?);
    }
    for system in subject.systems {
        entries.push(entry(subject, *system, Material::default())?);
    }
    Ok(entries)
}

/// The lines for players that fetch a key of CMAF segments as it is; see [`clearkey`].
fn clear_key_lines(subject: &Subject<'_>) -> Result<Vec<Signalling>> {
    let Some(url) = subject.urls.key()? else { return Ok(Vec::new()) };
    let line = |hls: String| Signalling { hls: Some(hls), ..Signalling::default() };
    let mut entries = vec![line(clearkey::identity_line(subject.scheme, url).write(KEY))];
    if subject.scheme == Scheme::Cbcs {
        entries.push(line(NO_KEY.to_owned()));
    }
    Ok(entries)
}

/// A key of a transport stream that is fetched as it is.
fn identity(subject: &Subject<'_>, uri: Option<&str>) -> Result<Signalling> {
    let url = match uri {
        Some(uri) => Some(checked("key URL", uri)?),
        None => subject.urls.key()?,
    };
    let scheme = subject.scheme;
    let url = url.ok_or_else(|| Error::bad_request(format!("{} needs the URL of the key", scheme.as_str())))?;
    let line = Line::new(scheme, url);
    let session = line.write(SESSION_KEY);
    let line = match subject.iv {
        Some(iv) => line.with_number("IV", &iv.0),
        None => line,
    };
    Ok(Signalling { hls: Some(line.write(KEY)), hls_session: Some(session), ..Signalling::default() })
}

/// What one system's players are told.
fn entry(subject: &Subject<'_>, system: System, material: Material) -> Result<Signalling> {
    let (kid, scheme, urls) = (subject.kid, subject.scheme, subject.urls);
    let dash = subject.package_type == PackageType::Dash;
    let (pssh, line, fragment) = match system {
        System::Widevine => {
            let pssh = material.pssh.unwrap_or_else(|| widevine::pssh(kid, scheme, subject.content_id));
            let uri = format!("data:text/plain;base64,{}", pssh.to_base64());
            let format = "urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed";
            let line = Line::new(scheme, &uri).in_format(format).with_number("KEYID", &kid.0);
            let url = Urls::get("Widevine licence URL", urls.widevine.as_ref())?;
            (Some(pssh), line, url.map(|url| clearkey::licence_url(url, None)))
        }
        System::Playready => {
            let url = Urls::get("PlayReady licence URL", urls.playready.as_ref())?;
            let pssh = match material.pssh {
                Some(pssh) => pssh,
                None => playready::pssh(playready::header(kid, scheme, subject.key, url).write()?),
            };
            let object = STANDARD.encode(&pssh.data);
            let line = Line::new(scheme, &format!("data:text/plain;charset=UTF-16;base64,{object}"));
            let fragment = format!("<mspr:pro xmlns:mspr=\"{}\">{object}</mspr:pro>", fragment::PLAYREADY);
            (Some(pssh), line.in_format("com.microsoft.playready"), Some(fragment))
        }
        System::Fairplay => {
            let url = Urls::get("FairPlay key URI", material.uri.as_ref().or(urls.fairplay.as_ref()))?;
            let uri = url.map_or_else(|| fairplay::uri(kid), str::to_owned);
            (None, fairplay::line(scheme, &uri), None)
        }
        System::ClearKey => {
            let url = Urls::get("Clear Key licence URL", urls.clear_key.as_ref())?;
            let pssh = (!dash).then(|| material.pssh.unwrap_or_else(|| clearkey::pssh(kid)));
            (pssh, clearkey::line(kid, scheme), url.map(|url| clearkey::licence_url(url, Some("EME-1.0"))))
        }
    };
    Ok(Signalling {
        system: Some(system),
        pssh: pssh.map(|pssh| pssh.to_base64()),
        hls: (!dash).then(|| line.write(KEY)),
        hls_session: (!dash).then(|| line.write(SESSION_KEY)),
        dash: fragment.filter(|_| dash),
    })
}

/// Standard base64 in which lines may be broken.
fn decode_base64(what: &str, text: &str) -> Result<Vec<u8>> {
    if text.len() > limits::MAX_SIGNALLING_BYTES {
        return Err(Error::limit(format!("{what}: {} characters", text.len())));
    }
    let plain: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(plain).map_err(|e| Error::bad_source(format!("{what}: not base64: {e}")))
}

#[cfg(test)]
mod tests;
