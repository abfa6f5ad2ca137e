//! Clear keys for players: AES-128 keys as they are, and Clear Key licences. No administrator's token is needed here; the
//! `key_delivery` of the configuration, or of the live endpoint, says who may have keys.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use packager::config::Kid;
use serde::{Deserialize, Serialize};

use super::extract::Names;
use crate::clock;
use crate::context::Context;
use crate::db::asset_keys::{self, Pair};
use crate::db::{assets, channels, configurations, endpoint_keys, endpoints};
use crate::delivery::token::{self, Claims, Content};
use crate::error::{ApiError, ApiResult};
use crate::protect::settings::{KeyDelivery, Policy, SecretText};
use crate::protect::{KeySet, Stored};
use crate::vault::Purpose;

/// The longest licence request: some hundred key ids.
const MAX_REQUEST_BYTES: usize = 16 << 10;
/// Keys of one licence.
const MAX_KIDS: usize = 100;
/// Time in which a licence request has to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Seconds for which browsers remember that they may ask.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("86400");

/// Routes of key delivery.
pub fn router() -> Router<Context> {
    Router::new()
        .route("/keys/v1/aes-128/{group}/{asset}/{configuration}/{kid}", get(key).options(preflight))
        .route("/keys/v1/clearkey/{group}/{asset}/{configuration}", post(licence).options(preflight))
        .route("/keys/v1/live/aes-128/{group}/{channel}/{endpoint}/{kid}", get(live_key).options(preflight))
        .route("/keys/v1/live/clearkey/{group}/{channel}/{endpoint}", post(live_licence).options(preflight))
        .layer(middleware::from_fn(add_headers))
}

async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, OPTIONS"));
    headers
        .insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type, range"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
    response
}

/// The names in the path of a request for the keys of an asset.
#[derive(Deserialize)]
struct AssetPath {
    group: String,
    asset: String,
    configuration: String,
    #[serde(default)]
    kid: Option<String>,
}

/// The names in the path of a request for the keys of a live endpoint.
#[derive(Deserialize)]
struct EndpointPath {
    group: String,
    channel: String,
    endpoint: String,
    #[serde(default)]
    kid: Option<String>,
}

/// Where keys are asked for.
enum Place {
    Asset(AssetPath),
    Endpoint(EndpointPath),
}

impl Place {
    /// The key that is asked for.
    fn kid(&self) -> Option<Kid> {
        let kid = match self {
            Self::Asset(path) => &path.kid,
            Self::Endpoint(path) => &path.kid,
        };
        kid.as_deref()?.parse().ok()
    }
}

/// Who asks.
struct Asker {
    address: Option<IpAddr>,
    token: Option<String>,
}

impl Asker {
    fn of(request: &Request) -> Self {
        let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self {
            address: address.map(|ConnectInfo(address)| network(address.ip())),
            token: token_of(request.headers(), request.uri()),
        }
    }
}

/// What was found for a request: who may have what.
struct Found {
    keys: KeySet,
    claims: Option<Claims>,
}

async fn key(State(context): State<Context>, Names(path): Names<AssetPath>, request: Request) -> ApiResult<Response> {
    answer_key(&context, &Place::Asset(path), &Asker::of(&request)).await
}

async fn live_key(
    State(context): State<Context>,
    Names(path): Names<EndpointPath>,
    request: Request,
) -> ApiResult<Response> {
    answer_key(&context, &Place::Endpoint(path), &Asker::of(&request)).await
}

async fn answer_key(context: &Context, place: &Place, asker: &Asker) -> ApiResult<Response> {
    let found = count("aes-128", find(context, place, asker).await)?;
    let stored = place.kid().and_then(|kid| found.keys.keys.iter().find(|key| key.kid == kid));
    let stored = stored.ok_or_else(|| ApiError::not_found("there is no such key"))?;
    if found.claims.is_some_and(|claims| !claims.allows(stored.kid)) {
        return Err(ApiError::forbidden("the token is for other keys"));
    }
    let secret = stored.secret().map_err(ApiError::internal)?;
    let mut response = Response::new(Body::from(secret.reveal().to_vec()));
    let content_type = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}

/// A licence request of the Encrypted Media Extensions, 9.1.3 (Clear Key).
#[derive(Deserialize)]
struct LicenceRequest {
    kids: Vec<String>,
    #[serde(default, rename = "type")]
    session: Option<String>,
}

/// A licence (9.1.4): a JSON Web Key Set.
#[derive(Serialize)]
struct Licence<'a> {
    keys: Vec<JsonWebKey>,
    #[serde(rename = "type")]
    session: &'a str,
}

#[derive(Serialize)]
struct JsonWebKey {
    kty: &'static str,
    kid: String,
    k: SecretText,
}

async fn licence(
    State(context): State<Context>,
    Names(path): Names<AssetPath>,
    request: Request,
) -> ApiResult<Response> {
    answer_licence(&context, &Place::Asset(path), request).await
}

async fn live_licence(
    State(context): State<Context>,
    Names(path): Names<EndpointPath>,
    request: Request,
) -> ApiResult<Response> {
    answer_licence(&context, &Place::Endpoint(path), request).await
}

async fn answer_licence(context: &Context, place: &Place, request: Request) -> ApiResult<Response> {
    let found = count("clearkey", find(context, place, &Asker::of(&request)).await)?;
    let body = tokio::time::timeout(BODY_TIMEOUT, Limited::new(request.into_body(), MAX_REQUEST_BYTES).collect());
    let body = body.await.map_err(|_| ApiError::timeout())?;
    let body = body.map_err(|_| ApiError::too_large(MAX_REQUEST_BYTES))?.to_bytes();
    // Players send it under various content types.
    let wrong =
        || ApiError::bad_request("this is not a Clear Key licence request: {\"kids\":[...],\"type\":\"temporary\"}");
    let asked: LicenceRequest = serde_json::from_slice(&body).map_err(|_| wrong())?;
    let session = asked.session.as_deref().unwrap_or("temporary");
    if asked.kids.len() > MAX_KIDS || !matches!(session, "temporary" | "persistent-license") {
        return Err(wrong());
    }
    let mut keys = Vec::with_capacity(asked.kids.len());
    for text in &asked.kids {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| wrong())?;
        let Ok(kid) = <[u8; 16]>::try_from(bytes).map(Kid) else { return Err(wrong()) };
        let Some(stored) = found.keys.keys.iter().find(|key| key.kid == kid) else { continue };
        if found.claims.as_ref().is_some_and(|claims| !claims.allows(kid)) {
            return Err(ApiError::forbidden("the token is for other keys"));
        }
        let secret = stored.secret().map_err(ApiError::internal)?;
        let k = SecretText::new(URL_SAFE_NO_PAD.encode(secret.reveal()));
        keys.push(JsonWebKey { kty: "oct", kid: URL_SAFE_NO_PAD.encode(kid.0), k });
    }
    if keys.is_empty() {
        return Err(ApiError::not_found("there are no such keys"));
    }
    let json = serde_json::to_vec(&Licence { keys, session }).map_err(ApiError::internal)?;
    let mut response = Response::new(Body::from(json));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Counts what became of a request.
fn count(kind: &'static str, found: ApiResult<Found>) -> ApiResult<Found> {
    let result = match &found {
        Ok(_) => "allowed",
        Err(error) if error.status() == StatusCode::TOO_MANY_REQUESTS => "limited",
        Err(_) => "refused",
    };
    metrics::counter!("control_key_deliveries_total", "kind" => kind, "result" => result).increment(1);
    found
}

/// The keys that a request is for, if whoever asks may have keys of this place and does not ask too often.
async fn find(context: &Context, place: &Place, asker: &Asker) -> ApiResult<Found> {
    let now = Instant::now();
    context.key_limits.addresses.ask(asker.address, now).map_err(ApiError::too_many_requests)?;
    let nothing = || ApiError::not_found("no keys are delivered here");
    let kept = match place {
        Place::Asset(path) => of_asset(context, path).await?,
        Place::Endpoint(path) => of_endpoint(context, path).await?,
    };
    let Kept { delivery, sealed, row, names } = kept.ok_or_else(nothing)?;
    let content = match place {
        Place::Asset(_) => Content::Asset(&names),
        Place::Endpoint(_) => Content::Endpoint(&names),
    };
    let claims = check(context, &delivery, content, asker.token.as_deref(), now)?;
    let (Some(vault), Some(sealed)) = (&context.vault, sealed) else {
        return Err(ApiError::not_found("there are no keys yet"));
    };
    Ok(Found { keys: KeySet::open(vault, row, &sealed).map_err(internal)?, claims })
}

/// What is kept of the keys of a place.
struct Kept {
    /// Who may have them.
    delivery: KeyDelivery,
    /// The last keys that were had.
    sealed: Option<Vec<u8>>,
    /// What they were sealed for.
    row: Purpose,
    /// What tokens call the place.
    names: String,
}

fn internal(error: anyhow::Error) -> ApiError {
    ApiError::internal(format!("{error:#}"))
}

/// What is kept of the keys of an asset; `None` when there is nothing of these names, or no delivery.
async fn of_asset(context: &Context, path: &AssetPath) -> ApiResult<Option<Kept>> {
    let mut db = context.db.read().await?;
    let asset = assets::find(&mut db, &path.asset).await?.filter(|asset| asset.packaging_group == path.group);
    let configuration = configurations::find(&mut db, &path.configuration).await?;
    let Some((asset, configuration)) = asset.zip(configuration) else { return Ok(None) };
    if configuration.group_id != asset.group_id {
        return Ok(None);
    }
    let pair = Pair { asset_id: asset.id, configuration_id: configuration.id };
    let sealed = asset_keys::find(&mut db, pair).await?.and_then(|keys| keys.sealed);
    drop(db);
    let protection = Stored::from(&configuration).settings(context).map_err(internal)?;
    let kept = |delivery| Kept { delivery, sealed, row: pair.into(), names: asset.name };
    Ok(protection.and_then(|protection| protection.key_delivery).map(kept))
}

/// What is kept of the keys of a live endpoint; `None` when there is nothing of these names, or no delivery.
async fn of_endpoint(context: &Context, path: &EndpointPath) -> ApiResult<Option<Kept>> {
    let EndpointPath { group, channel, endpoint, .. } = path;
    let mut db = context.db.read().await?;
    let Some(found) = channels::find(&mut db, group, channel).await? else { return Ok(None) };
    let Some(row) = endpoints::find(&mut db, found.id, endpoint).await? else { return Ok(None) };
    let sealed = endpoint_keys::find(&mut db, row.id).await?.and_then(|keys| keys.sealed);
    drop(db);
    let protection = Stored::from(&row).settings(context).map_err(internal)?;
    let kept = |delivery| Kept {
        delivery,
        sealed,
        row: Purpose::EndpointKeys(row.id),
        names: format!("{group}/{channel}/{endpoint}"),
    };
    Ok(protection.and_then(|protection| protection.key_delivery).map(kept))
}

/// Checks the token of a request, where one is needed.
fn check(
    context: &Context,
    delivery: &KeyDelivery,
    content: Content<'_>,
    token: Option<&str>,
    now: Instant,
) -> ApiResult<Option<Claims>> {
    if delivery.policy == Policy::Open {
        return Ok(None);
    }
    let token = token.ok_or_else(ApiError::unauthorized)?;
    let seconds = clock::now_ms().unsigned_abs() / 1000;
    let claims = token::check(delivery, token, content, seconds).map_err(ApiError::forbidden)?;
    if let Some(subject) = &claims.sub {
        context.key_limits.subjects.ask(subject, now).map_err(ApiError::too_many_requests)?;
    }
    Ok(Some(claims))
}

/// The token of a request: `Authorization: Bearer`, else the parameter `token`.
fn token_of(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned());
    }
    // The characters of a token need no escapes in a query.
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token=")).map(str::to_owned)
}

/// Whom an address counts as: of IPv6 the network of a subscriber, who has all addresses in it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_in_the_header_or_the_query() {
        let none = HeaderMap::new();
        let uri = |text: &'static str| Uri::from_static(text);
        assert_eq!(token_of(&none, &uri("/k?token=a.b.c")).as_deref(), Some("a.b.c"));
        assert_eq!(token_of(&none, &uri("/k?x=1&token=a.b.c&y=2")).as_deref(), Some("a.b.c"));
        assert_eq!(token_of(&none, &uri("/k?xtoken=a")), None);
        assert_eq!(token_of(&none, &uri("/k")), None);
        let mut bearer = HeaderMap::new();
        bearer.insert(header::AUTHORIZATION, HeaderValue::from_static("bearer x.y.z"));
        assert_eq!(token_of(&bearer, &uri("/k?token=a.b.c")).as_deref(), Some("x.y.z"));
    }

    #[test]
    fn a_subscriber_counts_once() {
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }
}
