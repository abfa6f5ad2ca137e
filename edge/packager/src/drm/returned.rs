//! What a key server answered about a key. It wins over what we would say, after it was checked: the server is trusted with
//! keys, but what it says goes into manifests, and a mistake is better found when an asset is prepared than by players.

use super::fragment::Fragment;
use super::line::{KEY, Line, SESSION_KEY};
use super::pssh::{COMMON_SYSTEM, Pssh};
use super::{Material, Subject, clearkey, decode_base64, entry, fairplay, identity, playready, signal, widevine};
use crate::config::{Kid, Signalling, System};
use crate::error::{Error, Result};

/// The answer for one system. What is not there is made by us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// The system; `None` where the key itself is fetched.
    pub system: Option<System>,
    /// Base64 of a whole `pssh` box.
    pub pssh: Option<String>,
    /// Base64 of a PlayReady object (`ProtectionHeader`).
    pub playready: Option<String>,
    /// Where the key is in HLS (`URIExtXKey`): for FairPlay and for keys that are fetched.
    pub uri: Option<String>,
    /// A whole `#EXT-X-KEY:` line.
    pub hls: Option<String>,
    /// A whole `#EXT-X-SESSION-KEY:` line.
    pub hls_session: Option<String>,
    /// Elements for a `ContentProtection` element of DASH.
    pub dash: Option<String>,
}

/// [`signal`], where what a key server returned wins. Lines, boxes and elements that we make for a system are made of the
/// box or the object that the server gave. Systems that were not asked for are left out.
///
/// # Errors
/// `BadSource` or `Limit`, with the system, for an answer that cannot stand in a manifest or is about another key; else as
/// [`signal`].
pub fn merge(subject: &Subject<'_>, returned: &[Returned]) -> Result<Vec<Signalling>> {
    let fetched = returned.iter().find(|r| r.system.is_none()).filter(|_| subject.systems.is_empty());
    if let Some(fetched) = fetched {
        let one = fetched_key(subject, fetched).map_err(|e| e.context(format!("key {}", subject.kid)))?;
        return Ok(vec![one]);
    }
    let mut entries = signal(subject)?;
    for one in &mut entries {
        let answers = |r: &&Returned| r.system.is_some() && r.system == one.system;
        let Some((system, answer)) = one.system.zip(returned.iter().find(answers)) else { continue };
        let merged = merge_one(subject, system, answer);
        *one = merged.map_err(|e| e.context(format!("key {}, {}", subject.kid, system.as_str())))?;
    }
    Ok(entries)
}

/// A key of a transport stream that is fetched as it is.
fn fetched_key(subject: &Subject<'_>, answer: &Returned) -> Result<Signalling> {
    let Some(line) = &answer.hls else { return identity(subject, answer.uri.as_deref()) };
    let line = checked_line(subject, None, KEY, line)?;
    let mut entry = identity(subject, line.get("URI"))?;
    // Without IV, players would take the number of the segment.
    let line = match (line.iv()?, subject.iv) {
        (None, Some(iv)) => line.with_number("IV", &iv.0),
        _ => line,
    };
    entry.hls = Some(line.write(KEY));
    if let Some(session) = &answer.hls_session {
        let session = checked_line(subject, None, SESSION_KEY, session)?;
        agree(&line, &session)?;
        entry.hls_session = Some(session.write(SESSION_KEY));
    }
    Ok(entry)
}

fn merge_one(subject: &Subject<'_>, system: System, answer: &Returned) -> Result<Signalling> {
    let mut fragment = answer.dash.as_deref().map(Fragment::read).transpose()?;
    let inner = fragment.as_mut().and_then(|f| f.pssh.take());
    let mut boxes = Vec::new();
    for text in [answer.pssh.as_deref(), inner.as_deref()].into_iter().flatten() {
        boxes.push(checked_box(subject.kid, system, Pssh::from_base64(text)?)?);
    }
    if let Some(object) = fragment.as_ref().and_then(|f| f.pro.as_deref()).or(answer.playready.as_deref())
        && system == System::Playready
    {
        let object = playready::pssh(decode_base64("PlayReady object", object)?);
        boxes.push(checked_box(subject.kid, system, object)?);
    }
    // The first is the one that was meant to be used alone.
    if let [first, others @ ..] = boxes.as_slice()
        && system != System::Playready
        && others.iter().any(|other| other != first)
    {
        return Err(Error::bad_source("two different pssh boxes"));
    }
    let pssh = boxes.into_iter().next();
    let mut made = entry(subject, system, Material { pssh, uri: answer.uri.clone() })?;
    if let Some(fragment) = fragment
        && made.hls.is_none()
        && !fragment.rest.is_empty()
    {
        made.dash = Some(fragment.rest);
    }
    let (line, session) = (answer.hls.as_deref(), answer.hls_session.as_deref());
    let line = line.map(|line| checked_line(subject, Some(system), KEY, line)).transpose()?;
    let session = session.map(|line| checked_line(subject, Some(system), SESSION_KEY, line)).transpose()?;
    if made.hls.is_some() {
        match (line, session) {
            (Some(line), Some(session)) => {
                agree(&line, &session)?;
                (made.hls, made.hls_session) = (Some(line.write(KEY)), Some(session.write(SESSION_KEY)));
            }
            // One of the two says what the other has to.
            (Some(one), None) | (None, Some(one)) => {
                (made.hls, made.hls_session) = (Some(one.write(KEY)), Some(one.write(SESSION_KEY)));
            }
            (None, None) => {}
        }
    }
    Ok(made)
}

/// RFC 8216bis, 4.4.6.5.
fn agree(line: &Line, session: &Line) -> Result<()> {
    let say = |l: &Line| (l.get("METHOD").map(str::to_owned), l.format().to_owned(), versions(l).to_owned());
    let same_uri = line.get("URI") == session.get("URI");
    if say(line) == say(session) && (same_uri || line.format() != "identity") {
        return Ok(());
    }
    Err(Error::bad_source("EXT-X-KEY and EXT-X-SESSION-KEY do not agree"))
}

fn versions(line: &Line) -> &str {
    line.get("KEYFORMATVERSIONS").unwrap_or("1")
}

fn checked_line(subject: &Subject<'_>, system: Option<System>, tag: &str, text: &str) -> Result<Line> {
    let line = Line::read(tag, text)?;
    let (method, wanted) = (line.get("METHOD").unwrap_or_default(), super::line::method(subject.scheme));
    if method != wanted {
        let scheme = subject.scheme.as_str();
        return Err(Error::bad_source(format!("METHOD is {method}, {scheme} needs {wanted}")));
    }
    let format = match system {
        None => "identity",
        Some(System::Widevine) => "urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed",
        Some(System::Playready) => "com.microsoft.playready",
        Some(System::Fairplay) => fairplay::FORMAT,
        Some(System::ClearKey) => clearkey::FORMAT,
    };
    if !line.format().eq_ignore_ascii_case(format) {
        return Err(Error::bad_source(format!("KEYFORMAT is {:?}, not {format:?}", line.format())));
    }
    match (line.iv()?, subject.iv) {
        (Some(theirs), Some(ours)) if theirs == ours => {}
        (None, _) => {}
        _ => return Err(Error::bad_source("IV is not the one that media are encrypted with")),
    }
    Ok(line)
}

/// Refuses a box of another system or about other keys.
fn checked_box(kid: Kid, system: System, pssh: Pssh) -> Result<Pssh> {
    let own = pssh.system == system.id() || system == System::ClearKey && pssh.system == COMMON_SYSTEM;
    if !own {
        return Err(Error::bad_source(format!("the pssh box is of the system {}", Kid(pssh.system))));
    }
    let mut named = pssh.key_ids.clone().unwrap_or_default();
    match system {
        System::Widevine => named.extend(widevine::Header::read(&pssh.data)?.key_ids),
        System::Playready => named.extend(playready::Header::read(&pssh.data)?.key_ids),
        System::Fairplay | System::ClearKey => {}
    }
    if !named.is_empty() && !named.contains(&kid) {
        return Err(Error::bad_source("the pssh box names other keys"));
    }
    Ok(pssh)
}
