//! Who may play: authorization codes and addresses.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::limits;

/// Who may play what an endpoint or a packaging configuration offers. Empty lists ask for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// SHA-256 of the codes of which the `Authorization` header has to carry one, 64 lower-case hexadecimal digits each: two
    /// during a change. Edges hold no code that could be used elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_codes: Vec<String>,
    /// Networks that may play; everybody when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_allow: Vec<Network>,
    /// Networks that may not, whatever `ip_allow` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_deny: Vec<Network>,
}

/// An IPv4 or IPv6 network: `192.0.2.0/24`, or one address, `2001:db8::1`. Bits after the prefix are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    /// Its first address.
    address: IpAddr,
    /// How many bits of an address name it.
    prefix: u8,
}

impl Access {
    /// Whether anything is asked for.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// Checks what serde cannot.
    ///
    /// # Errors
    /// The field and why.
    pub fn check(&self) -> Result<(), String> {
        let hash = |code: &String| code.len() == 64 && code.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if self.authorization_codes.len() > limits::MAX_AUTHORIZATION_CODES {
            return Err("access.authorization_codes: too many".to_owned());
        }
        if !self.authorization_codes.iter().all(hash) {
            return Err("access.authorization_codes: not 64 lower-case hexadecimal digits".to_owned());
        }
        if self.ip_allow.len().max(self.ip_deny.len()) > limits::MAX_NETWORKS {
            return Err(format!("access: more than {} networks in a list", limits::MAX_NETWORKS));
        }
        Ok(())
    }
}

impl Network {
    /// Whether `address` is in it. An IPv4 address that is written as IPv6 (`::ffff:a.b.c.d`) is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same(own.to_bits().into(), other.to_bits().into(), 32, self.prefix),
            (IpAddr::V6(own), IpAddr::V6(other)) => same(own.to_bits(), other.to_bits(), 128, self.prefix),
            _ => false,
        }
    }
}

/// Whether the first `prefix` of `width` bits are the same.
fn same(a: u128, b: u128, width: u8, prefix: u8) -> bool {
    let rest = u32::from(width.saturating_sub(prefix));
    (a ^ b).checked_shr(rest).unwrap_or(0) == 0
}

impl core::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr =
            address.parse().map_err(|_| format!("{text:?} is neither an IP address nor a CIDR block"))?;
        if matches!(address, IpAddr::V6(a) if a.to_ipv4_mapped().is_some()) {
            return Err(format!("{text:?} is an IPv4 address in the form of IPv6; write it as IPv4"));
        }
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().unwrap_or(u8::MAX),
            Some(_) => u8::MAX,
            None => width,
        };
        if prefix > width {
            return Err(format!("the prefix of {text:?} is not 0 to {width}"));
        }
        let network = Self { address, prefix };
        let bits = match address {
            IpAddr::V4(a) => u128::from(a.to_bits()),
            IpAddr::V6(a) => a.to_bits(),
        };
        let rest = u32::from(width - prefix);
        let first = bits.checked_shr(rest).and_then(|b| b.checked_shl(rest)).unwrap_or(0);
        if first == bits { Ok(network) } else { Err(format!("{text:?} has bits after its prefix")) }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl core::fmt::Display for Network {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        match self.prefix {
            whole if whole == width => write!(f, "{}", self.address),
            prefix => write!(f, "{}/{prefix}", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_what_they_are_written_as() {
        for (text, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.1.2.3", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "::1", "10.0.0.1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
        ] {
            let network: Network = text.parse().unwrap();
            assert_eq!(network.to_string(), text);
            assert!(network.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{text} {outside}");
        }
        for bad in [
            "",
            "192.0.2.1/24",
            "192.0.2.0/33",
            "192.0.2.0/+8",
            "192.0.2.0/",
            "a/8",
            "2001:db8::1/64",
            "::/129",
            "::ffff:192.0.2.0/120",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
