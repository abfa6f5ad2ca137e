//! The fields that say who may play: `authorization_codes`, `ip_allow` and `ip_deny` of endpoints and of packaging
//! configurations.

use packager::config::Network;
use packager::limits::{MAX_AUTHORIZATION_CODES, MAX_NETWORKS};
use sha2::{Digest as _, Sha256};

use crate::error::{ApiError, ApiResult};
use crate::push::documents;

/// Characters of an authorization code.
const CODE_BYTES: std::ops::RangeInclusive<usize> = 8..=256;

/// What a request says of who may play; what it leaves out stays.
#[derive(Default)]
pub struct AccessFields {
    /// The codes themselves.
    pub authorization_codes: Option<Vec<String>>,
    /// Networks that may play.
    pub ip_allow: Option<Vec<String>>,
    /// Networks that may not.
    pub ip_deny: Option<Vec<String>>,
}

impl AccessFields {
    /// Writes what was given to the stored form, in which codes are hashes.
    ///
    /// # Errors
    /// 422 with the field. A code is not repeated in it.
    pub fn write(&self, stored: &mut String) -> ApiResult<()> {
        let mut access = documents::access(stored)?;
        if let Some(codes) = &self.authorization_codes {
            access.authorization_codes = hashes(codes)?;
        }
        if let Some(list) = &self.ip_allow {
            access.ip_allow = networks("/ip_allow", list)?;
        }
        if let Some(list) = &self.ip_deny {
            access.ip_deny = networks("/ip_deny", list)?;
        }
        *stored = serde_json::to_string(&access).map_err(ApiError::internal)?;
        Ok(())
    }
}

/// Networks as they are shown.
pub fn shown(networks: &[Network]) -> Vec<String> {
    networks.iter().map(Network::to_string).collect()
}

fn hashes(codes: &[String]) -> ApiResult<Vec<String>> {
    if codes.len() > MAX_AUTHORIZATION_CODES {
        let detail =
            format!("give at most {MAX_AUTHORIZATION_CODES} codes: the old one and the new one during a change");
        return Err(ApiError::invalid("/authorization_codes", detail));
    }
    let mut hashes: Vec<String> = Vec::with_capacity(codes.len());
    for (number, code) in codes.iter().enumerate() {
        let field = || format!("/authorization_codes/{number}");
        let printable = code.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) && code.trim() == code;
        if !CODE_BYTES.contains(&code.len()) || !printable {
            let detail = format!(
                "use {} to {} printable ASCII characters without spaces at the ends",
                CODE_BYTES.start(),
                CODE_BYTES.end()
            );
            return Err(ApiError::invalid(field(), detail));
        }
        let hash = hex::encode(Sha256::digest(code.as_bytes()));
        if hashes.contains(&hash) {
            return Err(ApiError::invalid(field(), "this code stands there twice"));
        }
        hashes.push(hash);
    }
    Ok(hashes)
}

fn networks(field: &str, list: &[String]) -> ApiResult<Vec<Network>> {
    if list.len() > MAX_NETWORKS {
        return Err(ApiError::invalid(field, format!("give at most {MAX_NETWORKS} networks")));
    }
    let read = |(number, text): (usize, &String)| {
        text.parse().map_err(|why: String| ApiError::invalid(format!("{field}/{number}"), why))
    };
    list.iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stored: &str) -> packager::config::Access {
        documents::access(stored).unwrap()
    }

    #[test]
    fn what_is_left_out_stays() {
        let mut stored = "{}".to_owned();
        let codes = Some(vec!["first code".to_owned()]);
        AccessFields { authorization_codes: codes, ip_deny: Some(vec!["10.0.0.0/8".into()]), ip_allow: None }
            .write(&mut stored)
            .unwrap();
        assert!(!stored.contains("first code"));
        let first = read(&stored);
        assert_eq!(first.authorization_codes, [hex::encode(Sha256::digest(b"first code"))]);
        AccessFields { ip_allow: Some(vec!["::1".into()]), ..AccessFields::default() }.write(&mut stored).unwrap();
        let second = read(&stored);
        assert_eq!((second.authorization_codes, second.ip_deny), (first.authorization_codes, first.ip_deny));
        assert_eq!(shown(&second.ip_allow), ["::1"]);
        assert!(read(&stored).check().is_ok());
        AccessFields { authorization_codes: Some(vec![]), ip_allow: Some(vec![]), ip_deny: Some(vec![]) }
            .write(&mut stored)
            .unwrap();
        assert!(read(&stored).is_open());
    }
}
