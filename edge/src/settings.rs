//! The variables of the edge (`spin.toml`), read once by each instance.

use ed25519_dalek::VerifyingKey;
use packager::sealing::SealingKey;

use crate::platform::Platform;

/// More proxies than stand in a row anywhere.
pub const MAX_TRUSTED_PROXIES: usize = 16;

/// What an operator sets. No `Debug`: it holds secrets.
pub struct Settings {
    /// Base URL of the control plane without a slash at the end.
    pub control_url: String,
    /// Value of the `Authorization` field of requests to the control plane.
    pub authorization: String,
    /// Checks pushes; the text says why there is none.
    pub public_key: Result<VerifyingKey, String>,
    /// Name of this edge, the audience of pushes.
    pub edge_name: String,
    /// Opens content keys; the text says why there is none. Only protected output needs it.
    pub sealing_key: Result<SealingKey, String>,
    /// How many proxies in front of this edge are trusted to append the address of their peer to `X-Forwarded-For`.
    pub trusted_proxies: usize,
}

impl Settings {
    /// Reads and checks the variables.
    ///
    /// # Errors
    /// Which variable is missing or wrong; never its value when it is secret.
    pub async fn read<P: Platform>(platform: &P) -> Result<Self, String> {
        let variable = async |name: &str| platform.variable(name).await.map_err(|e| format!("variable {name}: {e}"));
        let control_url = variable("control_url").await?.trim_end_matches('/').to_owned();
        if !control_url.starts_with("http://") && !control_url.starts_with("https://") {
            return Err(format!("variable control_url: {control_url:?} is not an http or https URL"));
        }
        let token = variable("origin_token").await?;
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("variable origin_token: it is empty or has characters that no header field takes".to_owned());
        }
        let trusted_proxies = trusted_proxies(&variable("trusted_proxies").await?)?;
        Ok(Self {
            control_url,
            authorization: format!("Bearer {token}"),
            public_key: variable("control_public_key").await.and_then(|text| public_key(&text)),
            edge_name: variable("edge_name").await?,
            sealing_key: variable("sealing_key").await.and_then(|text| sealing_key(&text)),
            trusted_proxies,
        })
    }
}

fn trusted_proxies(text: &str) -> Result<usize, String> {
    let number = text.trim().parse().ok().filter(|number| *number <= MAX_TRUSTED_PROXIES);
    number.ok_or_else(|| format!("variable trusted_proxies: {text:?} is not a number from 0 to {MAX_TRUSTED_PROXIES}"))
}

fn sealing_key(text: &str) -> Result<SealingKey, String> {
    SealingKey::from_hex(text).map_err(|e| format!("variable sealing_key: {e}"))
}

fn public_key(text: &str) -> Result<VerifyingKey, String> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes)
        .map_err(|e| format!("variable control_public_key: not 64 hexadecimal digits: {e}"))?;
    // With a key of small order anybody can sign.
    let key = VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak());
    key.ok_or_else(|| "variable control_public_key: not an Ed25519 public key".to_owned())
}
