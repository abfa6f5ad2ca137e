//! Clear Key of the Encrypted Media Extensions.
//!
//! DASH: the element that DASH-IF defined, under the prefix `dashif` (dash.js looks at the prefix) and in the namespace that
//! Shaka Player looks at. There is no `cenc:pssh`: both players make the request from `cenc:default_KID`, and dash.js would
//! hand a box to the browser as if it were a list of key ids.
//!
//! HLS has no standard for it, and players differ:
//!
//! * hls.js knows KEYFORMAT "org.w3.clearkey", takes the key id from KEYID or a data URI, holds one session for each URI,
//!   and asks the licence server of its configuration. Without a `pssh` box in the init segment it needs
//!   `drmSystems["org.w3.clearkey"].generateRequest` to answer `{initDataType: "keyids", ...}`; with one
//!   ([`crate::config::Protection::pssh_in_moov`]) it needs nothing, but asks for one key only.
//! * Shaka Player knows KEYFORMAT "identity" only: the URI answers 16 bytes, the key id is that of the init segment.
//!
//! So both lines are there. With cbcs hls.js would take the "identity" line and then refuse to decrypt CMAF with it, so
//! METHOD=NONE stands between the two. For a player that keeps to RFC 8216bis the first line then ends before any segment;
//! Shaka Player collects the lines of a segment and passes over METHOD=NONE. With cenc hls.js ignores the "identity" line.

use super::line::Line;
use super::pssh::{COMMON_SYSTEM, Pssh};
use crate::config::{Kid, Scheme};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::escape;

/// KEYFORMAT of the line for hls.js.
pub const FORMAT: &str = "org.w3.clearkey";
/// Namespace of `Laurl` as players know it.
pub const DASH_IF: &str = "https://dashif.org/CPS";

/// The line for hls.js.
pub fn line(kid: Kid, scheme: Scheme) -> Line {
    let uri = format!("data:application/octet-stream;base64,{}", STANDARD.encode(kid.0));
    Line::new(scheme, &uri).in_format(FORMAT).with_number("KEYID", &kid.0)
}

/// The line for players that fetch the key itself.
pub fn identity_line(scheme: Scheme, key_url: &str) -> Line {
    Line::new(scheme, key_url).in_format("identity")
}

/// The box for init segments: the one that browsers understand for Clear Key.
pub fn pssh(kid: Kid) -> Pssh {
    Pssh { system: COMMON_SYSTEM, key_ids: Some(vec![kid]), data: Vec::new() }
}

/// The element that names a licence server.
pub fn licence_url(url: &str, kind: Option<&str>) -> String {
    let kind = kind.map(|kind| format!(" licenseType=\"{kind}\"")).unwrap_or_default();
    format!("<dashif:Laurl xmlns:dashif=\"{DASH_IF}\"{kind}>{}</dashif:Laurl>", escape(url))
}
