//! Whether a viewer may play what an [`Access`] guards.

use core::net::IpAddr;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::{Access, Network};

/// Why a viewer may not play. Which network or which code it was about is for nobody to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The address is denied, or not among those that are allowed, or not known while there are lists.
    Address,
    /// The `Authorization` field is missing or carries none of the codes.
    Code,
}

/// Whether a viewer may play who sent this `Authorization` field from this address. The address is looked at first, so that
/// codes cannot be tried from elsewhere.
///
/// The field holds the code, alone or after `Bearer ` (RFC 6750, 2.1). How long the comparison takes depends on neither the
/// code nor which of the codes it is.
///
/// # Errors
/// [`Refused`].
pub fn check(access: &Access, authorization: Option<&str>, address: Option<IpAddr>) -> Result<(), Refused> {
    if !(access.ip_allow.is_empty() && access.ip_deny.is_empty()) {
        let address = address.ok_or(Refused::Address)?;
        let within = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
        if within(&access.ip_deny) || !(access.ip_allow.is_empty() || within(&access.ip_allow)) {
            return Err(Refused::Address);
        }
    }
    if access.authorization_codes.is_empty() {
        return Ok(());
    }
    let field = authorization.unwrap_or_default();
    // Nobody keeps a code from beginning with the name of the scheme, so both readings count.
    let readings = [Some(field), bearer(field)];
    let mut known = Choice::from(0);
    for code in readings.into_iter().flatten().filter(|code| !code.is_empty()) {
        let digest = hex::encode(Sha256::digest(code));
        for expected in &access.authorization_codes {
            known |= digest.as_bytes().ct_eq(expected.as_bytes());
        }
    }
    if known.into() { Ok(()) } else { Err(Refused::Code) }
}

/// What follows the scheme `Bearer`, whose name is written in either case (RFC 9110, 11.1).
fn bearer(field: &str) -> Option<&str> {
    let (scheme, code) = field.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| code.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(codes: &[&str], allow: &[&str], deny: &[&str]) -> Access {
        let networks = |list: &[&str]| list.iter().map(|network| network.parse().unwrap()).collect();
        Access {
            authorization_codes: codes.iter().map(|code| hex::encode(Sha256::digest(code))).collect(),
            ip_allow: networks(allow),
            ip_deny: networks(deny),
        }
    }

    fn from(access: &Access, address: &str) -> Result<(), Refused> {
        check(access, None, Some(address.parse().unwrap()))
    }

    #[test]
    fn an_empty_access_asks_for_nothing() {
        assert_eq!(check(&Access::default(), None, None), Ok(()));
        assert_eq!(check(&Access::default(), Some("x"), Some("192.0.2.1".parse().unwrap())), Ok(()));
    }

    #[test]
    fn any_of_the_codes_counts_alone_or_as_a_bearer_token() {
        let access = access(&["old code", "new"], &[], &[]);
        for good in ["old code", "new", "Bearer new", "bearer new", "BEARER  new", "Bearer old code"] {
            assert_eq!(check(&access, Some(good), None), Ok(()), "{good}");
        }
        let hash = access.authorization_codes[0].clone();
        for bad in ["", "Bearer", "Bearer ", "New", "new ", "ne", "Basic new", "Bearernew", "new,old code", &hash] {
            assert_eq!(check(&access, Some(bad), None), Err(Refused::Code), "{bad:?}");
        }
        assert_eq!(check(&access, None, None), Err(Refused::Code));
    }

    #[test]
    fn a_code_may_begin_like_a_scheme() {
        let access = access(&["Bearer x"], &[], &[]);
        assert_eq!(check(&access, Some("Bearer x"), None), Ok(()));
        assert_eq!(check(&access, Some("Bearer Bearer x"), None), Ok(()));
        assert_eq!(check(&access, Some("x"), None), Err(Refused::Code));
    }

    #[test]
    fn the_hash_of_nothing_is_no_code() {
        let access = access(&[""], &[], &[]);
        for field in [None, Some(""), Some("Bearer ")] {
            assert_eq!(check(&access, field, None), Err(Refused::Code), "{field:?}");
        }
    }

    #[test]
    fn deny_wins_and_an_unknown_address_is_refused() {
        let both = access(&[], &["192.0.2.0/24", "2001:db8::/32"], &["192.0.2.128/25"]);
        for good in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::7"] {
            assert_eq!(from(&both, good), Ok(()), "{good}");
        }
        for bad in ["192.0.2.200", "::ffff:192.0.2.200", "198.51.100.1", "2001:db9::1"] {
            assert_eq!(from(&both, bad), Err(Refused::Address), "{bad}");
        }
        assert_eq!(check(&both, None, None), Err(Refused::Address));
        let deny = access(&[], &[], &["192.0.2.0/24"]);
        assert_eq!(from(&deny, "198.51.100.1"), Ok(()));
        assert_eq!(from(&deny, "192.0.2.1"), Err(Refused::Address));
        assert_eq!(check(&deny, None, None), Err(Refused::Address));
    }

    #[test]
    fn the_address_comes_first_and_both_have_to_hold() {
        let access = access(&["c"], &["192.0.2.0/24"], &[]);
        let (inside, outside) = ("192.0.2.1".parse().ok(), "198.51.100.1".parse().ok());
        assert_eq!(check(&access, Some("c"), inside), Ok(()));
        assert_eq!(check(&access, Some("x"), inside), Err(Refused::Code));
        for code in [Some("c"), Some("x"), None] {
            assert_eq!(check(&access, code, outside), Err(Refused::Address));
        }
    }
}
