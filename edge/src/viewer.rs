//! Who asks: the address of the viewer, also behind proxies, and what `Authorization` says.

use std::net::{IpAddr, SocketAddr};

use packager::access::{self, Refused};
use packager::config::Access;

use crate::http::Headers;
use crate::problem::{Kind, Problem};

/// Header field in which the host tells the address and port of the peer. Spin appends its own to what the client sent
/// under this name, the embedded host replaces that; so the last one is the host's.
const PEER_HEADER: &str = "spin-client-addr";

/// Header field to which each proxy appends the address of its peer.
const FORWARDED_HEADER: &str = "x-forwarded-for";

/// For `WWW-Authenticate`, which every 401 has (RFC 9110, 15.5.2).
const CHALLENGE: &str = "Bearer";

/// Who sent a request.
pub struct Viewer<'a> {
    /// The `Authorization` field, when there is one.
    authorization: Option<&'a str>,
    /// `None` when it is not known.
    address: Option<IpAddr>,
}

impl<'a> Viewer<'a> {
    /// The viewer behind `trusted_proxies` proxies; see [`crate::settings::Settings::trusted_proxies`].
    pub fn new(headers: &'a Headers, trusted_proxies: usize) -> Self {
        Self { authorization: headers.get("authorization"), address: address(headers, trusted_proxies) }
    }

    /// Lets in whom `access` lets in.
    ///
    /// # Errors
    /// 403 for the address, 401 for the code; neither says more than that.
    pub fn admit(&self, access: &Access) -> Result<(), Problem> {
        access::check(access, self.authorization, self.address).map_err(|refused| match refused {
            Refused::Address => Problem::new(Kind::Forbidden, "this may not be played from here"),
            Refused::Code => Problem::new(Kind::Unauthorized, "this is played with authorization only")
                .with("www-authenticate", CHALLENGE),
        })
    }
}

/// The address of the viewer: the peer's, or with `trusted_proxies` that which the farthest of them has seen. What stands
/// before it was written by somebody who is not trusted. `None` when there is none or it is not an address.
fn address(headers: &Headers, trusted_proxies: usize) -> Option<IpAddr> {
    let Some(nearer) = trusted_proxies.checked_sub(1) else {
        return parse(headers.values(PEER_HEADER).next_back()?);
    };
    // As bytes: what a client put in front must not make what a proxy appended unreadable, or be counted instead of it.
    let mut entries = headers.values(FORWARDED_HEADER).rev().flat_map(|field| field.rsplit(|byte| *byte == b','));
    parse(entries.nth(nearer)?)
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let bare = text.strip_prefix('[')?.strip_suffix(']')?;
    bare.parse().ok().map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(fields: &[(&str, &[u8])], trusted_proxies: usize) -> Option<String> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec()));
        address(&Headers::new(fields.collect()), trusted_proxies).map(|address| address.to_string())
    }

    fn forwarded(field: &str, trusted_proxies: usize) -> Option<String> {
        seen(&[("spin-client-addr", b"10.0.0.1:5"), ("X-Forwarded-For", field.as_bytes())], trusted_proxies)
    }

    #[test]
    fn without_proxies_the_peer_counts_and_the_last_one_is_the_hosts() {
        let peer = ("Spin-Client-Addr", &b"192.0.2.1:4711"[..]);
        assert_eq!(seen(&[peer], 0).as_deref(), Some("192.0.2.1"));
        assert_eq!(seen(&[("x-forwarded-for", b"198.51.100.1"), peer], 0).as_deref(), Some("192.0.2.1"));
        assert_eq!(seen(&[("spin-client-addr", b"198.51.100.1:1"), peer], 0).as_deref(), Some("192.0.2.1"));
        assert_eq!(seen(&[("spin-client-addr", b"[2001:db8::1]:443")], 0).as_deref(), Some("2001:db8::1"));
        assert_eq!(seen(&[("x-forwarded-for", b"198.51.100.1")], 0), None);
        assert_eq!(seen(&[("spin-client-addr", b"unknown")], 0), None);
    }

    #[test]
    fn a_proxy_that_is_trusted_names_the_viewer() {
        assert_eq!(forwarded("192.0.2.1", 1).as_deref(), Some("192.0.2.1"));
        assert_eq!(forwarded("198.51.100.9, 192.0.2.1", 1).as_deref(), Some("192.0.2.1"));
        assert_eq!(forwarded("198.51.100.9, 192.0.2.1 , 10.0.0.2", 2).as_deref(), Some("192.0.2.1"));
        assert_eq!(forwarded("192.0.2.1,10.0.0.2,10.0.0.3", 3).as_deref(), Some("192.0.2.1"));
        // Fewer than there are proxies: somebody came past one of them.
        assert_eq!(forwarded("192.0.2.1", 2), None);
        assert_eq!(forwarded("", 1), None);
        assert_eq!(seen(&[("spin-client-addr", b"192.0.2.1:1")], 1), None);
    }

    #[test]
    fn lines_are_one_list_whatever_is_in_front() {
        let lines = [
            ("x-forwarded-for", &b"198.51.100.9"[..]),
            ("x-forwarded-for", b"198.51.100.8,\xff\xfe, 192.0.2.1"),
            ("x-forwarded-for", b"10.0.0.2"),
        ];
        assert_eq!(seen(&lines, 1).as_deref(), Some("10.0.0.2"));
        assert_eq!(seen(&lines, 2).as_deref(), Some("192.0.2.1"));
        assert_eq!(seen(&lines, 3), None);
        assert_eq!(seen(&[lines[0], ("x-forwarded-for", b"\xff")], 1), None);
    }

    #[test]
    fn addresses_have_ports_and_brackets_or_are_none() {
        for (entry, address) in [
            ("192.0.2.1:443", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("\t::ffff:192.0.2.1 ", "::ffff:192.0.2.1"),
        ] {
            assert_eq!(forwarded(&format!("198.51.100.9, {entry}"), 1).as_deref(), Some(address), "{entry}");
        }
        for garbage in
            ["", "unknown", "_hidden", "192.0.2", "192.0.2.1:99999", "[192.0.2.1]", "[::1", "\"::1\"", "for=::1"]
        {
            assert_eq!(forwarded(&format!("192.0.2.1, {garbage}"), 1), None, "{garbage}");
        }
    }
}
