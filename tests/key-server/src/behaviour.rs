//! How a server answers, rightly and wrongly.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{HeaderName, HeaderValue, LOCATION};
use axum::response::Response;

use crate::answer::{self, Twist};
use crate::request::Request;
use crate::said;
use crate::systems::Child;

/// How the server behaves. A server that is not there at all is [`KeyServer::down`](crate::KeyServer::down).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should.
    #[default]
    Sound,
    /// It answers rightly after this time.
    Slow(Duration),
    /// It answers with 500 this many times and rightly from then on.
    Failing(u32),
    /// It answers with a status and a text.
    Refusing(u16, String),
    /// It answers with a redirect to itself.
    Redirecting,
    /// 200 with a page.
    Html,
    /// 200 and `application/xml` with entities that grow without end.
    XmlBomb,
    /// An answer of 8 MiB.
    Huge,
    /// The first half of a right answer.
    Truncated,
    /// An answer in a version that was not asked for.
    OtherVersion,
    /// Every identifier is another.
    OtherKid,
    /// Half of the keys.
    HalfTheKeys,
    /// Encrypted keys with a wrong MAC.
    WrongMac,
    /// Keys in the clear although a certificate was sent.
    NotEncrypted,
    /// An element is left out: `PSSH`, `ContentProtectionData`, `HLSSignalingData`,
    /// `SmoothStreamingProtectionHeaderData`, `URIExtXKey` or `ProtectionHeader`.
    LeavingOut(&'static str),
    /// Another scheme than was asked for.
    OtherScheme,
    /// All keys are for the tracks of the first.
    SameTracks,
    /// Every key comes twice.
    RepeatedKey,
    /// Keys of 15 bytes.
    ShortKey,
}

/// The behaviour of one answer.
pub fn next(behaviour: &mut Behaviour) -> Behaviour {
    match behaviour {
        Behaviour::Failing(0) => *behaviour = Behaviour::Sound,
        Behaviour::Failing(left) => {
            *left -= 1;
            return Behaviour::Failing(1);
        }
        _ => {}
    }
    behaviour.clone()
}

pub fn answer(request: &Request, behaviour: &Behaviour) -> Response {
    let twist = Twist {
        other_kids: *behaviour == Behaviour::OtherKid,
        half_the_keys: *behaviour == Behaviour::HalfTheKeys,
        wrong_mac: *behaviour == Behaviour::WrongMac,
        left_out: match behaviour {
            Behaviour::LeavingOut(name) => child(name),
            _ => None,
        },
        clear: *behaviour == Behaviour::NotEncrypted,
        other_scheme: *behaviour == Behaviour::OtherScheme,
        same_rules: *behaviour == Behaviour::SameTracks,
        repeated_key: *behaviour == Behaviour::RepeatedKey,
        short_keys: *behaviour == Behaviour::ShortKey,
    };
    let document = match answer::document(request, &twist) {
        Ok(document) => document,
        Err(reason) => return said(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", reason),
    };
    let mut response = match behaviour {
        Behaviour::Failing(_) => said(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "try again"),
        Behaviour::Refusing(status, text) => {
            said(StatusCode::from_u16(*status).unwrap_or(StatusCode::FORBIDDEN), "text/plain", text.clone())
        }
        Behaviour::Redirecting => said(StatusCode::TEMPORARY_REDIRECT, "text/plain", ""),
        Behaviour::Html => said(StatusCode::OK, "text/html", "<!doctype html><title>Sign in</title>"),
        Behaviour::XmlBomb => said(StatusCode::OK, "application/xml", bomb()),
        Behaviour::Huge => {
            said(StatusCode::OK, "application/xml", document.replace("</CPIX>", &" ".repeat(8 << 20)) + "</CPIX>")
        }
        Behaviour::Truncated => said(StatusCode::OK, "application/xml", document[..document.len() / 2].to_owned()),
        _ => said(StatusCode::OK, "application/xml", document),
    };
    let headers = response.headers_mut();
    if *behaviour == Behaviour::Redirecting {
        headers.insert(LOCATION, HeaderValue::from_static("/elsewhere"));
    }
    let mut set = |name, value| headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    if request.is_v1() {
        set("speke-user-agent", "key-server of the tests");
    } else {
        set("x-speke-user-agent", "key-server of the tests");
        set("x-speke-version", if *behaviour == Behaviour::OtherVersion { "3.0" } else { request.version });
    }
    response
}

fn child(name: &str) -> Option<Child> {
    Some(match name {
        "PSSH" => Child::Pssh,
        "ContentProtectionData" => Child::ContentProtection,
        "HLSSignalingData" => Child::HlsMultivariant,
        "SmoothStreamingProtectionHeaderData" => Child::Smooth,
        "URIExtXKey" => Child::Uri,
        "ProtectionHeader" => Child::ProtectionHeader,
        _ => return None,
    })
}

/// A gigabyte in ten lines.
fn bomb() -> String {
    let mut text = "<?xml version=\"1.0\"?>\n<!DOCTYPE CPIX [\n<!ENTITY a0 \"aaaaaaaaaa\">\n".to_owned();
    for level in 1..10 {
        let before = format!("&a{};", level - 1).repeat(10);
        text += &format!("<!ENTITY a{level} \"{before}\">\n");
    }
    text + "]>\n<CPIX xmlns=\"urn:dashif:org:cpix\">&a9;</CPIX>\n"
}
