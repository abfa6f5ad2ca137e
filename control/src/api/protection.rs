//! The field `protection` of what protects: its checks, and how it is stored.

use keys::contract::Contract;
use packager::config::{self, Iv};
use sqlx::SqliteConnection;

use super::{MAX_LICENCE_URL_BYTES, MAX_STATIC_KEYS, MAX_TOKEN_KEYS};
use crate::context::Context;
use crate::db::configurations::Configuration;
use crate::db::{asset_keys, assets, configurations};
use crate::delivery::token;
use crate::error::{ApiError, ApiResult};
use crate::protect::key_server::KeyServer;
use crate::protect::settings::{
    KeyDelivery, LicenceUrls, Policy, Scheme, StaticKey, TokenAlgorithm, Usage, UsageMedia,
};
use crate::protect::{Protection, ProtectionView, Stored, documents, static_keys};
use crate::push::documents::package_type;
use crate::vault::{HOW_TO_MAKE, Purpose};

/// Pointer of the field.
const FIELD: &str = "/protection";
/// Assets that a problem names.
const NAMED_ASSETS: i64 = 10;
/// Characters of a secret for HS256: at least as many bits as the hash has (RFC 7518, 3.2).
const TOKEN_SECRET_BYTES: std::ops::RangeInclusive<usize> = 32..=512;
/// The longest public key in PEM.
const MAX_PUBLIC_KEY_BYTES: usize = 8192;
/// The longest claim that tokens must have.
const MAX_CLAIM_BYTES: usize = 256;

/// 422 for a field below `protection`.
pub(super) fn invalid(field: &str, detail: impl Into<String>) -> ApiError {
    ApiError::invalid(format!("{FIELD}/{field}"), detail)
}

/// The output that a protection is for.
#[derive(Clone, Copy)]
pub struct Output {
    /// Which output.
    pub package_type: config::PackageType,
    /// Whether its audio is apart from video.
    pub audio_separation: bool,
}

impl Output {
    /// That of a configuration.
    ///
    /// # Errors
    /// When the database holds what cannot be.
    pub fn of(row: &Configuration) -> ApiResult<Self> {
        Ok(Self { package_type: package_type(&row.package_type)?, audio_separation: row.audio_separation })
    }
}

/// Checks everything about a protection for the output that it is for.
///
/// # Errors
/// 409 without a master key, 422 with the field.
pub fn check(context: &Context, protection: &Protection, output: Output) -> ApiResult<()> {
    if context.vault.is_none() {
        let detail = format!("content keys are stored under a master key, and there is none; {HOW_TO_MAKE}");
        return Err(ApiError::conflict(Some(FIELD), detail));
    }
    let Output { package_type, audio_separation } = output;
    protection.output().check(package_type).map_err(|(field, why)| invalid(field, why))?;
    let muxed = package_type == config::PackageType::Hls && !audio_separation;
    check_source(protection, muxed)?;
    check_place_of_keys(protection)?;
    if let Some(iv) = &protection.constant_iv {
        check_iv("constant_iv", iv, protection.scheme)?;
    }
    if let Some(urls) = &protection.licence_urls {
        check_licence_urls(urls)?;
    }
    match &protection.key_delivery {
        Some(delivery) => check_delivery(delivery),
        None => Ok(()),
    }
}

fn check_source(protection: &Protection, muxed: bool) -> ApiResult<()> {
    match (&protection.key_server, &protection.static_keys) {
        (None, Some(keys)) => check_static_keys(keys, protection.scheme, muxed),
        (Some(server), None) => check_key_server(server, muxed),
        (Some(_), Some(_)) => Err(invalid("static_keys", "keys come from key_server or static_keys, not from both")),
        (None, None) => Err(invalid("key_server", "say where keys come from: give key_server or static_keys")),
    }
}

fn check_key_server(server: &KeyServer, muxed: bool) -> ApiResult<()> {
    let checked = server.checked().map_err(|error| invalid(&format!("key_server/{}", error.field), error.reason))?;
    if muxed && checked.contract != Contract::SHARED {
        let detail = "segments that hold video and audio need one key for all: use the contract SHARED, or set \
                      audio_separation";
        return Err(invalid("key_server/contract", detail));
    }
    Ok(())
}

/// Whether players can be told where a key is that they fetch as it is.
fn check_place_of_keys(protection: &Protection) -> ApiResult<()> {
    let fetched = protection.systems.is_empty();
    let given = protection.licence_urls.as_ref().is_some_and(|urls| urls.key.is_some());
    if fetched && protection.key_server.is_none() && protection.key_delivery.is_none() && !given {
        let detail = "players fetch the key itself: give key_delivery, or licence_urls/key when another server has it";
        return Err(invalid("key_delivery", detail));
    }
    Ok(())
}

fn check_iv(field: &str, iv: &str, scheme: Scheme) -> ApiResult<()> {
    if scheme == Scheme::Cenc {
        return Err(invalid(field, "cenc counts its initialisation vectors; leave this out"));
    }
    Iv::try_from(iv.to_owned()).map(drop).map_err(|_| invalid(field, "use 32 hexadecimal digits"))
}

fn check_static_keys(keys: &[StaticKey], scheme: Scheme, muxed: bool) -> ApiResult<()> {
    if !(1..=MAX_STATIC_KEYS).contains(&keys.len()) {
        return Err(invalid("static_keys", format!("give 1 to {MAX_STATIC_KEYS} keys")));
    }
    let mut kids = Vec::with_capacity(keys.len());
    for (number, key) in keys.iter().enumerate() {
        let field = |name: &str| format!("static_keys/{number}/{name}");
        static_keys::secret(key).map_err(|why| invalid(&field("key"), why))?;
        let kid = static_keys::kid(key).map_err(|why| invalid(&field("kid"), why))?;
        if kids.contains(&kid) {
            return Err(invalid(&field("kid"), format!("{kid} stands there twice; a key is listed once")));
        }
        kids.push(kid);
        if let Some(iv) = &key.iv {
            check_iv(&field("iv"), iv, scheme)?;
        }
        check_usage(&field("usage"), &key.usage)?;
    }
    let all = |key: &StaticKey| key.usage.media == UsageMedia::All;
    if muxed && !(keys.len() == 1 && keys.iter().all(all)) {
        let detail = "segments that hold video and audio need one key for all; give one, or set audio_separation";
        return Err(invalid("static_keys", detail));
    }
    if keys.len() > 1 && keys.iter().any(all) {
        return Err(invalid("static_keys", "a key for all tracks stands alone; say which tracks each key is for"));
    }
    Ok(())
}

fn check_usage(field: &str, usage: &Usage) -> ApiResult<()> {
    let pixels = usage.min_pixels.is_some() || usage.max_pixels.is_some();
    let channels = usage.min_channels.is_some() || usage.max_channels.is_some();
    if pixels && usage.media != UsageMedia::Video || channels && usage.media != UsageMedia::Audio {
        return Err(invalid(field, "pixels bound video, channels bound audio"));
    }
    let crossed = usage.min_pixels.zip(usage.max_pixels).is_some_and(|(min, max)| min > max)
        || usage.min_channels.zip(usage.max_channels).is_some_and(|(min, max)| min > max);
    if crossed {
        return Err(invalid(field, "the lower bound is above the upper one"));
    }
    Ok(())
}

fn check_licence_urls(urls: &LicenceUrls) -> ApiResult<()> {
    let LicenceUrls { widevine, playready, fairplay, clearkey, key } = urls;
    let all = [
        ("widevine", widevine),
        ("key", key),
        ("playready", playready),
        ("clearkey", clearkey),
        ("fairplay", fairplay),
    ];
    for (name, url) in all {
        let Some(url) = url else { continue };
        let field = format!("licence_urls/{name}");
        let printable = url.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\".contains(&b));
        if url.len() > MAX_LICENCE_URL_BYTES || !printable {
            let detail = format!(
                "use at most {MAX_LICENCE_URL_BYTES} printable ASCII characters without quotes, < > and backslashes"
            );
            return Err(invalid(&field, detail));
        }
        let good = if name == "fairplay" {
            url.starts_with("skd://")
        } else {
            let uri = url.replace("{kid}", "kid").parse::<http::Uri>().ok();
            let scheme = uri.as_ref().and_then(http::Uri::scheme_str);
            let authority = uri.as_ref().and_then(http::Uri::authority);
            matches!(scheme, Some("http" | "https")) && authority.is_some_and(|a| !a.as_str().contains('@'))
        };
        if !good {
            let example = if name == "fairplay" { "skd://example/{kid}" } else { "https://licence.example.com/" };
            return Err(invalid(&field, format!("this is not such a URL; use e.g. {example}")));
        }
    }
    Ok(())
}

fn check_delivery(delivery: &KeyDelivery) -> ApiResult<()> {
    match (delivery.policy, delivery.tokens.len()) {
        (Policy::Open, 0) => {}
        (Policy::Open, _) => return Err(invalid("key_delivery/tokens", "only the policy restricted checks tokens")),
        (Policy::Restricted, 1..=MAX_TOKEN_KEYS) => {}
        (Policy::Restricted, _) => {
            let detail = format!("give the 1 to {MAX_TOKEN_KEYS} keys that tokens are checked with");
            return Err(invalid("key_delivery/tokens", detail));
        }
    }
    for (name, claim) in [("issuer", &delivery.issuer), ("audience", &delivery.audience)] {
        let good = |text: &String| (1..=MAX_CLAIM_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if claim.as_ref().is_some_and(|text| !good(text)) {
            let detail = format!("use 1 to {MAX_CLAIM_BYTES} bytes without control characters");
            return Err(invalid(&format!("key_delivery/{name}"), detail));
        }
    }
    for (number, token) in delivery.tokens.iter().enumerate() {
        let field = |name: &str| format!("key_delivery/tokens/{number}/{name}");
        match (token.algorithm, &token.secret, &token.public_key) {
            (TokenAlgorithm::Hs256, Some(secret), None) => {
                if !TOKEN_SECRET_BYTES.contains(&secret.reveal().len()) {
                    let detail = "use 32 to 512 bytes, e.g. made with `openssl rand -hex 32`";
                    return Err(invalid(&field("secret"), detail));
                }
            }
            (TokenAlgorithm::Rs256, None, Some(pem)) => {
                if pem.len() > MAX_PUBLIC_KEY_BYTES {
                    return Err(invalid(&field("public_key"), format!("use at most {MAX_PUBLIC_KEY_BYTES} bytes")));
                }
                token::check_public_key(pem).map_err(|why| invalid(&field("public_key"), why))?;
            }
            (TokenAlgorithm::Hs256, None, _) => return Err(invalid(&field("secret"), "HS256 needs a secret")),
            (TokenAlgorithm::Hs256, Some(_), Some(_)) => {
                return Err(invalid(&field("public_key"), "HS256 has a secret and no public key"));
            }
            (TokenAlgorithm::Rs256, _, None) => return Err(invalid(&field("public_key"), "RS256 needs a public key")),
            (TokenAlgorithm::Rs256, Some(_), Some(_)) => {
                return Err(invalid(&field("secret"), "RS256 has a public key and no secret"));
            }
        }
    }
    Ok(())
}

/// Whether every asset of the group of a configuration that is to protect has a content id.
///
/// # Errors
/// 409 with the names of those that have none.
pub async fn check_assets(db: &mut SqliteConnection, row: &Configuration) -> ApiResult<()> {
    let mut names = assets::without_content_id(db, row.group_id, NAMED_ASSETS + 1).await?;
    if names.is_empty() {
        return Ok(());
    }
    let more = names.len() > usize::try_from(NAMED_ASSETS).unwrap_or(usize::MAX);
    names.truncate(usize::try_from(NAMED_ASSETS).unwrap_or(usize::MAX));
    let names = names.join(", ") + if more { ", ..." } else { "" };
    let detail = format!("content protection needs a content_id, which these assets of the group do not have: {names}");
    Err(ApiError::conflict(Some(FIELD), detail))
}

/// Whether an asset with this content id may be in a group.
///
/// # Errors
/// 422 when it has none and a configuration of the group protects.
pub async fn check_content_id(db: &mut SqliteConnection, group_id: i64, content_id: Option<&str>) -> ApiResult<()> {
    if content_id.is_some() {
        return Ok(());
    }
    match configurations::any_protected(db, group_id).await? {
        None => Ok(()),
        Some(name) => {
            let detail =
                format!("the configuration {name} of the group protects content; give the id that key servers know");
            Err(ApiError::invalid("/content_id", detail))
        }
    }
}

/// Writes the protection of a configuration that was checked: what may be shown, and all of it sealed. Keys are asked for
/// anew; documents with older ones for the same scheme stay until then.
///
/// # Errors
/// When the database fails.
pub async fn write(
    context: &Context,
    db: &mut SqliteConnection,
    row: &mut Configuration,
    protection: Option<&Protection>,
) -> ApiResult<()> {
    let (view, sealed) = stored(context, Purpose::Protection(row.id), protection)?;
    if outlives_keys(Stored::from(&*row), protection)? {
        documents::retract_configuration(db, row).await?;
    }
    row.protection_revision = configurations::set_protection(db, row.id, view.as_deref(), sealed.as_deref()).await?;
    (row.protection, row.protection_sealed) = (view, sealed);
    if protection.is_some() {
        asset_keys::expire_configuration(db, row.id).await?;
    } else {
        asset_keys::clear_configuration(db, row.id).await?;
    }
    Ok(())
}

/// What is stored of a protection: JSON of what may be shown, and of all of it, sealed for this purpose.
pub(super) fn stored(
    context: &Context,
    purpose: Purpose,
    protection: Option<&Protection>,
) -> ApiResult<(Option<String>, Option<Vec<u8>>)> {
    let (Some(protection), Some(vault)) = (protection, &context.vault) else { return Ok((None, None)) };
    let json = zeroize::Zeroizing::new(serde_json::to_vec(protection).map_err(ApiError::internal)?);
    let sealed = vault.seal(purpose, &json).map_err(ApiError::internal)?;
    let view = serde_json::to_string(&ProtectionView::from(protection)).map_err(ApiError::internal)?;
    Ok((Some(view), Some(sealed)))
}

/// Whether edges must no longer use the keys of the protection before this one: keys are for one scheme.
pub(super) fn outlives_keys(before: Stored<'_>, protection: Option<&Protection>) -> ApiResult<bool> {
    let before = before.view()?;
    Ok(before.is_some_and(|before| protection.is_none_or(|now| now.scheme != before.scheme)))
}
