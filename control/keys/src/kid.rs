//! Key identifiers.

use core::fmt;
use core::str::FromStr;

/// A key identifier: 16 bytes in the order of the text form (big-endian, never the order of Microsoft GUIDs).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid(pub [u8; 16]);

impl fmt::Display for Kid {
    /// Lower case, `8-4-4-4-12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not `8-4-4-4-12` hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID of the form 8-4-4-4-12")]
pub struct NotAKid;

impl FromStr for Kid {
    type Err = NotAKid;

    fn from_str(text: &str) -> Result<Self, NotAKid> {
        let mut kid = [0; 16];
        let mut digits = 0;
        for (index, byte) in text.bytes().enumerate() {
            if matches!(index, 8 | 13 | 18 | 23) {
                if byte != b'-' {
                    return Err(NotAKid);
                }
                continue;
            }
            let digit = (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(NotAKid)?;
            let place = kid.get_mut(digits / 2).ok_or(NotAKid)?;
            *place = *place << 4 | digit;
            digits += 1;
        }
        if digits == 32 { Ok(Self(kid)) } else { Err(NotAKid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_both_ways() {
        let text = "11111111-0000-4000-8000-0000000000a1";
        let kid: Kid = text.parse().unwrap();
        assert_eq!(kid.0[0], 0x11);
        assert_eq!(kid.0[15], 0xa1);
        assert_eq!(kid.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(kid));
        let wrong = [
            "",
            "11111111-0000-4000-8000-0000000000a",
            "11111111-0000-4000-8000-0000000000a12",
            "111111110000400080000000000000a1",
            "{11111111-0000-4000-8000-0000000000a1}",
            "1111111g-0000-4000-8000-0000000000a1",
            "11111111-0000-4000-80000-000000000a1",
            "11111111-0000-4000-8000-0000000000aé",
        ];
        for text in wrong {
            assert_eq!(text.parse::<Kid>(), Err(NotAKid), "{text}");
        }
    }
}
