//! The inputs of a channel: where to push, with which credentials, and what came.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::SqliteConnection;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::channels::find;
use super::extract::Names;
use crate::clock;
use crate::context::Context;
use crate::db::channel_inputs::{self, Credentials, INPUTS};
use crate::db::channels::Channel;
use crate::db::uploads;
use crate::error::{ApiError, ApiResult};
use crate::protect::SecretText;
use crate::vault::Purpose;

/// Random bytes of a password: 32 characters in URLs.
const PASSWORD_BYTES: usize = 24;
/// Random bytes of a user name.
const USERNAME_BYTES: usize = 6;

/// Over how long a bit rate is measured.
const BIT_RATE_MS: i64 = 30_000;
/// After so many segments that did not come an input counts as stopped.
const RECEIVING_SEGMENTS: i64 = 3;

/// An input of a channel.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ChannelInput {
    /// 1 or 2.
    input: i64,
    /// Base URL of everything that an encoder pushes.
    url: String,
    /// User name of Basic authentication.
    username: String,
    /// Its password. Not in lists; without a master key only in the answer that it was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>)]
    password: Option<SecretText>,
    /// What came to it.
    status: InputStatus,
}

/// What came to an input.
#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct InputStatus {
    /// Uploads that were taken, playlists included.
    uploads: u64,
    /// Their bytes.
    bytes: u64,
    /// When the last one was (RFC 3339).
    last_upload_at: Option<String>,
    /// Uploads that were refused, wrong credentials included.
    refused: u64,
    /// Why the last one was.
    last_refusal: Option<String>,
    /// When that was (RFC 3339).
    last_refusal_at: Option<String>,
    /// Whether segments come: the last one is not older than three of them should be.
    receiving: bool,
    /// Name of the last segment.
    last_segment: Option<String>,
    /// When it came (RFC 3339).
    last_segment_at: Option<String>,
    /// Bits a second of all renditions together, over the last half minute.
    bitrate: u64,
    /// Whether its segments begin and end where those of the timeline do, so that it can take over without a break; `null` when
    /// that is not known.
    aligned: Option<bool>,
    /// How often its segments began or ended elsewhere than those of the other input.
    misaligned: u64,
    /// Segments that were taken and then could not be used.
    unusable: u64,
    /// Why the last one could not.
    last_error: Option<String>,
}

/// Inputs that have new credentials.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct RotatedInputs {
    /// They, with their passwords, which without a master key are shown only now.
    inputs: Vec<ChannelInput>,
}

/// A password that was made just now.
pub struct MadePassword {
    input: i64,
    password: SecretText,
}

/// Which passwords are shown.
pub enum Passwords {
    /// None.
    Hidden,
    /// Those that can be.
    Stored,
    /// Those that were made just now.
    Made(Vec<MadePassword>),
}

/// Makes new credentials for inputs of a channel. The old ones are no longer valid once this is committed.
///
/// # Errors
/// When the database fails.
pub async fn make(
    context: &Context,
    db: &mut SqliteConnection,
    channel_id: i64,
    inputs: &[i64],
) -> ApiResult<Vec<MadePassword>> {
    let mut made = Vec::with_capacity(inputs.len());
    for &input in inputs {
        let bytes = Zeroizing::new(rand::random::<[u8; PASSWORD_BYTES]>());
        let password = SecretText::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        let seal = |vault: &crate::vault::Vault| {
            vault.seal(Purpose::InputPassword { channel: channel_id, input }, password.reveal().as_bytes())
        };
        let credentials = Credentials {
            input,
            username: format!("in{input}-{}", hex::encode(rand::random::<[u8; USERNAME_BYTES]>())),
            password_hash: Sha256::digest(password.reveal().as_bytes()).to_vec(),
            password_sealed: context.vault.as_ref().map(seal).transpose().map_err(ApiError::internal)?,
        };
        channel_inputs::put(db, channel_id, &credentials).await?;
        made.push(MadePassword { input, password });
    }
    Ok(made)
}

/// The inputs of a channel as they are shown.
///
/// # Errors
/// When the database fails.
pub async fn load(
    context: &Context,
    db: &mut SqliteConnection,
    channel: &Channel,
    passwords: Passwords,
) -> ApiResult<Vec<ChannelInput>> {
    let live = context.live.of(channel.id).map(|published| published.status()).unwrap_or_default();
    let now = clock::now_ms();
    let mut statuses = channel_inputs::status(db, channel.id).await?;
    let mut inputs = Vec::with_capacity(INPUTS.len());
    for row in channel_inputs::list(db, channel.id).await? {
        let password = match &passwords {
            Passwords::Hidden => None,
            Passwords::Stored => stored(context, channel.id, &row),
            Passwords::Made(made) => {
                let made = made.iter().find(|made| made.input == row.input).map(|made| made.password.clone());
                made.or_else(|| stored(context, channel.id, &row))
            }
        };
        let place = statuses.iter().position(|status| status.input == row.input);
        let status = place.map(|place| statuses.swap_remove(place)).unwrap_or_default();
        let segments = uploads::last_segments(db, channel.id, row.input, now - BIT_RATE_MS).await?;
        let bytes =
            segments.iter().filter(|(_, _, at)| *at >= now - BIT_RATE_MS).map(|(_, bytes, _)| bytes).sum::<i64>();
        let last = segments.into_iter().next();
        let patience = channel.segment_duration_seconds.saturating_mul(1000 * RECEIVING_SEGMENTS);
        let state = usize::try_from(row.input - 1).ok().and_then(|n| live.inputs.get(n)).cloned().unwrap_or_default();
        let denied = context.receiver.denied(channel.id, row.input);
        inputs.push(ChannelInput {
            input: row.input,
            url: format!("{}/ingest/v1/{}/{}/{}/", context.ingest_url, channel.channel_group, row.input, channel.name),
            username: row.username,
            password,
            status: InputStatus {
                uploads: status.uploads.unsigned_abs(),
                bytes: status.bytes.unsigned_abs(),
                last_upload_at: status.last_upload_at.map(clock::rfc3339),
                refused: status.refused.saturating_add(denied).unsigned_abs(),
                last_refusal: status.last_refusal,
                last_refusal_at: status.last_refusal_at.map(clock::rfc3339),
                receiving: last.as_ref().is_some_and(|(_, _, at)| now.saturating_sub(*at) <= patience),
                last_segment_at: last.as_ref().map(|(_, _, at)| clock::rfc3339(*at)),
                last_segment: last.map(|(name, _, _)| name),
                bitrate: bytes.saturating_mul(8_000).unsigned_abs() / BIT_RATE_MS.unsigned_abs(),
                aligned: state.aligned,
                misaligned: state.misaligned,
                unusable: state.unusable,
                last_error: state.last_error,
            },
        });
    }
    Ok(inputs)
}

/// The password of an input, when there is a master key and it was made with one.
fn stored(context: &Context, channel_id: i64, row: &Credentials) -> Option<SecretText> {
    let (vault, sealed) = (context.vault.as_ref()?, row.password_sealed.as_ref()?);
    let opened = vault.open_secret(Purpose::InputPassword { channel: channel_id, input: row.input }, sealed);
    match opened {
        Ok(text) => std::str::from_utf8(&text).ok().map(SecretText::new),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the password of an input cannot be shown");
            None
        }
    }
}

/// Gives both inputs of a channel new credentials; the old ones stop working at once
#[utoipa::path(post, path = "/v1/channel-groups/{group}/channels/{channel}/credentials", tag = "channels",
    operation_id = "rotateCredentials",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel")),
    responses((status = 200, description = "Both inputs", body = RotatedInputs)))]
pub async fn rotate_both(
    State(context): State<Context>,
    Names((group, channel)): Names<(String, String)>,
) -> ApiResult<Json<RotatedInputs>> {
    rotate(&context, &group, &channel, &INPUTS).await
}

/// Gives one input of a channel new credentials; the old ones stop working at once
#[utoipa::path(post, path = "/v1/channel-groups/{group}/channels/{channel}/inputs/{input}/credentials",
    tag = "channels", operation_id = "rotateInputCredentials",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel"),
           ("input" = String, Path, description = "1 or 2")),
    responses((status = 200, description = "The input", body = RotatedInputs)))]
pub async fn rotate_one(
    State(context): State<Context>,
    Names((group, channel, input)): Names<(String, String, String)>,
) -> ApiResult<Json<RotatedInputs>> {
    let input = INPUTS.into_iter().find(|number| number.to_string() == input);
    let input = input.ok_or_else(|| ApiError::not_found("a channel has the inputs 1 and 2"))?;
    rotate(&context, &group, &channel, &[input]).await
}

async fn rotate(context: &Context, group: &str, channel: &str, inputs: &[i64]) -> ApiResult<Json<RotatedInputs>> {
    let mut tx = context.db.write().await?;
    let row = find(&mut tx, group, channel).await?;
    let made = make(context, &mut tx, row.id, inputs).await?;
    let mut shown = load(context, &mut tx, &row, Passwords::Made(made)).await?;
    shown.retain(|shown| inputs.contains(&shown.input));
    tx.commit().await?;
    Ok(Json(RotatedInputs { inputs: shown }))
}
