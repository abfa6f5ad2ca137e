//! Where encoders push: `/ingest/v1/{group}/{input}/{channel}/…`.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::BodyDataStream;
use axum::extract::{Request, State};
use axum::routing::put;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::extract::Names;
use crate::context::Context;
use crate::db::channel_inputs::{self, Target};
use crate::error::{ApiError, ApiResult};
use crate::ingest::receive::{self, Reason, Refused, Taken, Upload};

/// When an encoder may try again what there was no room or no place for.
const RETRY_SECONDS: u64 = 1;

/// What is read of a body that was refused: most segments.
const DRAINED_BYTES: usize = 8 << 20;
/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Routes of live ingest; each checks the credentials of its input.
pub fn router() -> Router<Context> {
    Router::new().route("/ingest/v1/{group}/{input}/{channel}/{*name}", put(take).post(take).delete(delete))
}

/// Names in the path: group, input, channel, and what is pushed.
type Path = Names<(String, String, String, String)>;

async fn take(
    State(context): State<Context>,
    Names((group, input, channel, name)): Path,
    request: Request,
) -> ApiResult<StatusCode> {
    to_the_end(async move {
        let (head, body) = request.into_parts();
        let mut body = body.into_data_stream();
        let taken = async {
            let target = authorize(&context, (&group, &input, &channel), &head.headers).await?;
            let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
            let declared_playlist = text(header::CONTENT_TYPE).is_some_and(is_playlist);
            let length = text(header::CONTENT_LENGTH).and_then(|value| value.parse().ok());
            let upload = Upload { name, declared_playlist, length, body: &mut body };
            receive::put(&context, &target, upload).await.map_err(refused)
        };
        match taken.await {
            Ok(Taken::Created) => Ok(StatusCode::CREATED),
            Ok(Taken::Replaced) => Ok(StatusCode::OK),
            Err(problem) => {
                // Whoever waits for leave to send has sent nothing.
                if !head.headers.contains_key(header::EXPECT) {
                    drain(&mut body).await;
                }
                Err(problem)
            }
        }
    })
    .await
}

/// Reads some of what is left of a body that was refused: a connection that is closed with bytes unread is reset, and the
/// encoder would not see why.
async fn drain(body: &mut BodyDataStream) {
    let read = async {
        let mut left = DRAINED_BYTES;
        while let Some(Ok(bytes)) = body.next().await {
            left = left.saturating_sub(bytes.len());
            if left == 0 {
                return;
            }
        }
    };
    // Too slow is as good as too long.
    let _ = tokio::time::timeout(DRAIN_TIME, read).await;
}

async fn delete(
    State(context): State<Context>,
    Names((group, input, channel, name)): Path,
    headers: HeaderMap,
) -> ApiResult<StatusCode> {
    to_the_end(async move {
        let target = authorize(&context, (&group, &input, &channel), &headers).await?;
        // Encoders delete by a list of their own, also what a restart of theirs never pushed.
        receive::delete(&context, &target, &name).await.map_err(refused)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Does the work of a request in a task of its own. Encoders that are done hang up without waiting for the answer to what they
/// sent last, and then nobody would go on with it here.
async fn to_the_end(work: impl Future<Output = ApiResult<StatusCode>> + Send + 'static) -> ApiResult<StatusCode> {
    tokio::spawn(work).await.map_err(ApiError::internal)?
}

/// The media types of playlists (RFC 8216, 4, and what encoders send).
fn is_playlist(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    matches!(
        kind.as_str(),
        "application/vnd.apple.mpegurl" | "application/x-mpegurl" | "audio/mpegurl" | "audio/x-mpegurl"
    )
}

/// The input that a path names, for who has its credentials. Whether there is such an input is not told to others.
async fn authorize(
    context: &Context,
    (group, input, channel): (&str, &str, &str),
    headers: &HeaderMap,
) -> ApiResult<Target> {
    let number = match input {
        "1" => 1,
        "2" => 2,
        _ => return Err(ApiError::not_found("a channel has the inputs 1 and 2")),
    };
    let target = channel_inputs::target(&mut *context.db.read().await?, group, channel, number).await?;
    // Encoders ask without credentials first to be told which kind is wanted.
    let given = headers.get(header::AUTHORIZATION).ok_or_else(ApiError::unauthorized_input)?;
    let given = given.to_str().ok().and_then(basic).unwrap_or_default();
    let target = target.ok_or_else(ApiError::unauthorized_input)?;
    if is_authorized(&target, &given) {
        return Ok(target);
    }
    metrics::counter!("control_live_refused_total", "reason" => "credentials").increment(1);
    if let Some(count) = context.receiver.deny(&target, Instant::now()) {
        receive::count_refused(context, &target, count, "wrong user name or password").await;
    }
    Err(ApiError::unauthorized_input())
}

/// User and password with a colon in between (RFC 7617).
fn basic(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest.trim()).ok())??;
    String::from_utf8(decoded).ok()
}

/// Compared in time that does not depend on where they differ.
fn is_authorized(target: &Target, given: &str) -> bool {
    let (user, password) = given.split_once(':').unwrap_or_default();
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    let user = digest(user).as_slice().ct_eq(digest(&target.username).as_slice());
    let password = digest(password).as_slice().ct_eq(target.password_hash.as_slice());
    bool::from(user & password)
}

fn refused(refused: Refused) -> ApiError {
    let (status, retry_after) = match refused.reason {
        Reason::Name | Reason::Content => (StatusCode::UNPROCESSABLE_ENTITY, None),
        Reason::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Reason::Idle => (StatusCode::REQUEST_TIMEOUT, None),
        Reason::Cut => (StatusCode::BAD_REQUEST, None),
        Reason::TooMany => (StatusCode::TOO_MANY_REQUESTS, Some(RETRY_SECONDS)),
        Reason::Full => (StatusCode::INSUFFICIENT_STORAGE, Some(RETRY_SECONDS)),
        Reason::Failed => (StatusCode::INTERNAL_SERVER_ERROR, None),
        Reason::Gone => (StatusCode::GONE, None),
    };
    ApiError::refused_upload(status, refused.detail, retry_after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::channels::ChannelProtocol;

    #[test]
    fn credentials_are_read_as_rfc_7617_says() {
        assert_eq!(basic("Basic dXNlcjpwYXNz").as_deref(), Some("user:pass"));
        assert_eq!(basic("bAsIc  dXNlcjpwYXNz").as_deref(), Some("user:pass"));
        for wrong in ["", "Basic", "Basic !", "Bearer dXNlcjpwYXNz", "Basic /w=="] {
            assert_eq!(basic(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn user_and_password_have_to_be_right() {
        let target = Target {
            channel_id: 1,
            input: 1,
            uid: String::new(),
            protocol: ChannelProtocol::Hls,
            username: "user".into(),
            password_hash: Sha256::digest(b"a:b").to_vec(),
        };
        assert!(is_authorized(&target, "user:a:b"), "a password may have colons");
        for wrong in ["", ":", "user", "user:", "user:a", "User:a:b", ":a:b", "user:a:b "] {
            assert!(!is_authorized(&target, wrong), "{wrong}");
        }
    }
}
