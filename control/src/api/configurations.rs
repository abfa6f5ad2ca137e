//! Packaging configurations.

use axum::Json;
use axum::extract::State;
use http::{HeaderName, StatusCode, header};
use packager::config;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{self, AccessFields};
use super::deleted::Deletion;
use super::extract::{Body, Names, Query, present};
use super::page::{Page, PageQuery};
use super::{fields, found, protection};
use crate::clock;
use crate::context::Context;
use crate::db::{asset_keys, configurations, groups};
use crate::error::{ApiError, ApiResult};
use crate::protect::{self, Protection, ProtectionView};
use crate::push::documents;

/// Which output.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PackageType {
    /// HLS with TS segments.
    Hls,
    /// HLS with CMAF segments.
    Cmaf,
    /// DASH with CMAF segments.
    Dash,
}

impl PackageType {
    fn as_str(self) -> &'static str {
        config::PackageType::from(self).as_str()
    }
}

impl From<PackageType> for config::PackageType {
    fn from(package_type: PackageType) -> Self {
        match package_type {
            PackageType::Hls => Self::Hls,
            PackageType::Cmaf => Self::Cmaf,
            PackageType::Dash => Self::Dash,
        }
    }
}

impl From<config::PackageType> for PackageType {
    fn from(package_type: config::PackageType) -> Self {
        match package_type {
            config::PackageType::Hls => Self::Hls,
            config::PackageType::Cmaf => Self::Cmaf,
            config::PackageType::Dash => Self::Dash,
        }
    }
}

/// How WebVTT subtitles are carried in DASH.
#[derive(Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TextFormat {
    /// Segments of `wvtt` samples (ISO/IEC 14496-30).
    #[default]
    Wvtt,
    /// One WebVTT file for the whole title.
    Webvtt,
}

impl TextFormat {
    fn as_str(self) -> &'static str {
        match self {
            Self::Wvtt => "WVTT",
            Self::Webvtt => "WEBVTT",
        }
    }
}

/// In which order video renditions are listed.
#[derive(Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StreamOrder {
    /// As the sources were given.
    #[default]
    Original,
    /// Lowest bit rate first.
    Ascending,
    /// Highest bit rate first.
    Descending,
}

impl StreamOrder {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Original => "ORIGINAL",
            Self::Ascending => "ASCENDING",
            Self::Descending => "DESCENDING",
        }
    }
}

/// Which video renditions are offered, and in which order.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamSelection {
    /// Order of the video renditions.
    #[serde(default)]
    order: StreamOrder,
    /// Lowest average video bit rate to offer, bits a second.
    #[schema(maximum = 1_000_000_000_000_u64)]
    min_video_bitrate: Option<u64>,
    /// Highest average video bit rate to offer, bits a second.
    #[schema(maximum = 1_000_000_000_000_u64)]
    max_video_bitrate: Option<u64>,
}

/// Changes of a stream selection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamSelectionPatch {
    /// Order of the video renditions.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    order: Option<StreamOrder>,
    /// Lowest average video bit rate to offer; `null` takes the limit away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>, maximum = 1_000_000_000_000_u64)]
    min_video_bitrate: Option<Option<u64>>,
    /// Highest average video bit rate to offer; `null` takes the limit away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>, maximum = 1_000_000_000_000_u64)]
    max_video_bitrate: Option<Option<u64>>,
}

/// How the assets of a packaging group are packaged.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct PackagingConfiguration {
    /// Name, unique over all groups, part of the playback URL.
    name: String,
    /// Name of its group.
    packaging_group: String,
    /// Which output.
    package_type: PackageType,
    /// Target duration of a segment.
    segment_duration_seconds: i64,
    /// File name of the manifest without extension.
    manifest_name: String,
    /// Which video renditions, in which order.
    stream_selection: StreamSelection,
    /// Of HLS: whether audio has segments and renditions of its own instead of being in the segments of the video.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    audio_separation: Option<bool>,
    /// Of HLS: 4 offers renditions and I-frame playlists, 3 is for players that know neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    hls_version: Option<i64>,
    /// Of DASH: how WebVTT subtitles are carried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    text_format: Option<TextFormat>,
    /// How its output is protected, without anything secret; `null` when it is in the clear.
    protection: Option<ProtectionView>,
    /// How many authorization codes are valid; viewers need none when it is 0. The codes are not shown.
    authorization_code_count: usize,
    /// Addresses and CIDR blocks that may play; everybody when empty.
    ip_allow: Vec<String>,
    /// Addresses and CIDR blocks that may not, whatever `ip_allow` says.
    ip_deny: Vec<String>,
    /// When it was made (RFC 3339).
    created_at: String,
}

/// A new packaging configuration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPackagingConfiguration {
    /// Name, unique over all groups, part of the playback URL.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200)]
    name: String,
    /// Which output.
    package_type: PackageType,
    /// Target duration of a segment.
    #[serde(default = "default_segment_duration")]
    #[schema(minimum = 1, maximum = 30, default = 6)]
    segment_duration_seconds: i64,
    /// File name of the manifest without extension.
    #[serde(default = "default_manifest_name")]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200, default = "index")]
    manifest_name: String,
    /// Which video renditions, in which order.
    #[serde(default)]
    stream_selection: StreamSelection,
    /// Only of HLS: audio in segments and renditions of its own instead of in the segments of the video. Not with version 3.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, default = false)]
    audio_separation: Option<bool>,
    /// Only of HLS: 4 offers renditions and I-frame playlists, 3 is for players that know neither.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 3, maximum = 4, default = 4)]
    hls_version: Option<i64>,
    /// Only of DASH: how WebVTT subtitles are carried.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    text_format: Option<TextFormat>,
    /// How its output is protected; by default it is in the clear.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    protection: Option<Protection>,
    /// Codes of which the header `Authorization` of viewers has to carry one; two during a change. They are not shown again.
    #[serde(default)]
    #[schema(max_items = 2, write_only)]
    authorization_codes: Vec<String>,
    /// Addresses and CIDR blocks that may play; everybody when empty.
    #[serde(default)]
    #[schema(max_items = 1024)]
    ip_allow: Vec<String>,
    /// Addresses and CIDR blocks that may not, whatever `ip_allow` says.
    #[serde(default)]
    #[schema(max_items = 1024)]
    ip_deny: Vec<String>,
}

/// Renditions and I-frame playlists.
const DEFAULT_HLS_VERSION: i64 = 4;

fn default_segment_duration() -> i64 {
    6
}

fn default_manifest_name() -> String {
    "index".to_owned()
}

/// Changes of a packaging configuration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PackagingConfigurationPatch {
    /// Another name. Playback URLs with the old one stop working.
    #[serde(default, deserialize_with = "present")]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200, nullable = false)]
    name: Option<String>,
    /// Which output.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    package_type: Option<PackageType>,
    /// Target duration of a segment.
    #[serde(default, deserialize_with = "present")]
    #[schema(minimum = 1, maximum = 30, nullable = false)]
    segment_duration_seconds: Option<i64>,
    /// File name of the manifest without extension.
    #[serde(default, deserialize_with = "present")]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200, nullable = false)]
    manifest_name: Option<String>,
    /// Which video renditions, in which order.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    stream_selection: Option<StreamSelectionPatch>,
    /// Only of HLS: audio in segments and renditions of its own instead of in the segments of the video. Not with version 3.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    audio_separation: Option<bool>,
    /// Only of HLS: 4 offers renditions and I-frame playlists, 3 is for players that know neither.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 3, maximum = 4)]
    hls_version: Option<i64>,
    /// Only of DASH: how WebVTT subtitles are carried.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    text_format: Option<TextFormat>,
    /// How its output is protected, in place of all that was said before; `null` puts it in the clear. Keys are asked for anew.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Protection>)]
    protection: Option<Option<Protection>>,
    /// All codes that are valid from now on, in place of those before.
    #[serde(default, deserialize_with = "present")]
    #[schema(max_items = 2, nullable = false, write_only)]
    authorization_codes: Option<Vec<String>>,
    /// Addresses and CIDR blocks that may play, in place of those before.
    #[serde(default, deserialize_with = "present")]
    #[schema(max_items = 1024, nullable = false)]
    ip_allow: Option<Vec<String>>,
    /// Addresses and CIDR blocks that may not, in place of those before.
    #[serde(default, deserialize_with = "present")]
    #[schema(max_items = 1024, nullable = false)]
    ip_deny: Option<Vec<String>>,
}

/// The fields that only one package type has, as a request gives them.
struct Particulars {
    audio_separation: Option<bool>,
    hls_version: Option<i64>,
    text_format: Option<TextFormat>,
}

impl Particulars {
    /// Writes what was given to `row`, whose package type is the one that counts. What another type had is put back to
    /// what a new configuration has.
    fn write(self, row: &mut configurations::Configuration) -> ApiResult<()> {
        let package_type = documents::package_type(&row.package_type)?;
        let only = |field: &str, given: bool, wanted: config::PackageType| {
            if !given || package_type == wanted {
                return Ok(());
            }
            let detail = format!("only configurations of package_type {} have this field", wanted.as_str());
            Err(ApiError::invalid(field, detail))
        };
        only("/audio_separation", self.audio_separation.is_some(), config::PackageType::Hls)?;
        only("/hls_version", self.hls_version.is_some(), config::PackageType::Hls)?;
        only("/text_format", self.text_format.is_some(), config::PackageType::Dash)?;
        if package_type != config::PackageType::Hls {
            (row.audio_separation, row.hls_version) = (false, DEFAULT_HLS_VERSION);
        }
        if package_type != config::PackageType::Dash {
            row.text_format = TextFormat::default().as_str().to_owned();
        }
        row.audio_separation = self.audio_separation.unwrap_or(row.audio_separation);
        row.hls_version = self.hls_version.unwrap_or(row.hls_version);
        if let Some(text_format) = self.text_format {
            row.text_format = text_format.as_str().to_owned();
        }
        Ok(())
    }
}

impl PackagingConfiguration {
    fn new(row: configurations::Configuration) -> ApiResult<Self> {
        let package_type = PackageType::from(documents::package_type(&row.package_type)?);
        let order = match documents::stream_order(&row.stream_order)? {
            config::StreamOrder::Original => StreamOrder::Original,
            config::StreamOrder::Ascending => StreamOrder::Ascending,
            config::StreamOrder::Descending => StreamOrder::Descending,
        };
        let text_format = match documents::text_format(&row.text_format)? {
            config::TextFormat::Wvtt => TextFormat::Wvtt,
            config::TextFormat::Webvtt => TextFormat::Webvtt,
        };
        let is_hls = package_type == PackageType::Hls;
        let access = documents::access(&row.access)?;
        Ok(Self {
            name: row.name,
            packaging_group: row.packaging_group,
            package_type,
            segment_duration_seconds: row.segment_duration_seconds,
            manifest_name: row.manifest_name,
            stream_selection: StreamSelection {
                order,
                min_video_bitrate: row.min_video_bitrate.map(i64::unsigned_abs),
                max_video_bitrate: row.max_video_bitrate.map(i64::unsigned_abs),
            },
            audio_separation: is_hls.then_some(row.audio_separation),
            hls_version: is_hls.then_some(row.hls_version),
            text_format: (package_type == PackageType::Dash).then_some(text_format),
            protection: row.protection.as_deref().map(ProtectionView::from_json).transpose()?,
            authorization_code_count: access.authorization_codes.len(),
            ip_allow: access::shown(&access.ip_allow),
            ip_deny: access::shown(&access.ip_deny),
            created_at: clock::rfc3339(row.created_at),
        })
    }
}

/// Checks all fields of a row.
fn check(row: &configurations::Configuration) -> ApiResult<()> {
    fields::name("/name", &row.name)?;
    fields::segment_duration("/segment_duration_seconds", row.segment_duration_seconds)?;
    fields::name("/manifest_name", &row.manifest_name)?;
    fields::hls_version("/hls_version", row.hls_version)?;
    if row.audio_separation && row.hls_version < DEFAULT_HLS_VERSION {
        let detail = "audio apart from video needs renditions, which hls_version 3 does not have";
        return Err(ApiError::invalid("/audio_separation", detail));
    }
    let (min, max) = (row.min_video_bitrate, row.max_video_bitrate);
    fields::bitrates("/stream_selection", min.map(i64::unsigned_abs), max.map(i64::unsigned_abs))
}

/// A bit rate as it is stored. What is too high stays too high, for [`check`].
fn stored(bitrate: Option<u64>) -> Option<i64> {
    bitrate.map(|b| i64::try_from(b).unwrap_or(i64::MAX))
}

/// Adds a packaging configuration
#[utoipa::path(post, path = "/v1/packaging-groups/{group}/configurations", tag = "packaging configurations",
    operation_id = "createConfiguration", params(("group" = String, Path, description = "Name of the group")),
    request_body = NewPackagingConfiguration,
    responses((status = 201, description = "The new configuration", body = PackagingConfiguration),
              (status = 409, description = "The name is taken, in this or another group")))]
pub async fn create(
    State(context): State<Context>,
    Names(group): Names<String>,
    Body(new): Body<NewPackagingConfiguration>,
) -> ApiResult<(StatusCode, [(HeaderName, String); 1], Json<PackagingConfiguration>)> {
    let mut tx = context.db.write().await?;
    let group = found(groups::find(&mut tx, &group).await?, "packaging group", &group)?;
    let mut row = configurations::Configuration {
        id: 0,
        group_id: group.id,
        packaging_group: group.name,
        name: new.name,
        package_type: new.package_type.as_str().to_owned(),
        segment_duration_seconds: new.segment_duration_seconds,
        manifest_name: new.manifest_name,
        stream_order: new.stream_selection.order.as_str().to_owned(),
        min_video_bitrate: stored(new.stream_selection.min_video_bitrate),
        max_video_bitrate: stored(new.stream_selection.max_video_bitrate),
        audio_separation: false,
        hls_version: DEFAULT_HLS_VERSION,
        text_format: TextFormat::default().as_str().to_owned(),
        access: "{}".to_owned(),
        protection: None,
        protection_sealed: None,
        protection_revision: 0,
        created_at: clock::now_ms(),
    };
    let particulars = Particulars {
        audio_separation: new.audio_separation,
        hls_version: new.hls_version,
        text_format: new.text_format,
    };
    particulars.write(&mut row)?;
    let access = AccessFields {
        authorization_codes: Some(new.authorization_codes),
        ip_allow: Some(new.ip_allow),
        ip_deny: Some(new.ip_deny),
    };
    access.write(&mut row.access)?;
    check(&row)?;
    check_free(&mut tx, &row.name).await?;
    if let Some(wanted) = &new.protection {
        protection::check(&context, wanted, protection::Output::of(&row)?)?;
        protection::check_assets(&mut tx, &row).await?;
    }
    row.id = configurations::insert(&mut tx, &row).await?;
    if new.protection.is_some() {
        protection::write(&context, &mut tx, &mut row, new.protection.as_ref()).await?;
    }
    documents::put_configuration(&mut tx, &row).await?;
    tx.commit().await?;
    context.push_wake.wake();
    context.keys_wake.wake();
    let location = format!("/v1/packaging-groups/{}/configurations/{}", row.packaging_group, row.name);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(PackagingConfiguration::new(row)?)))
}

/// Lists the packaging configurations of a group
#[utoipa::path(get, path = "/v1/packaging-groups/{group}/configurations", tag = "packaging configurations",
    operation_id = "listConfigurations", params(("group" = String, Path, description = "Name of the group"), PageQuery),
    responses((status = 200, description = "One page", body = Page<PackagingConfiguration>)))]
pub async fn list(
    State(context): State<Context>,
    Names(group): Names<String>,
    Query(query): Query<PageQuery>,
) -> ApiResult<Json<Page<PackagingConfiguration>>> {
    let rows = query.rows()?;
    let mut db = context.db.read().await?;
    let group = found(groups::find(&mut db, &group).await?, "packaging group", &group)?;
    let rows = configurations::list(&mut db, group.id, rows).await?;
    let page = query.page(rows, |row| row.id, PackagingConfiguration::new)?;
    let items = page.items.into_iter().collect::<ApiResult<Vec<_>>>()?;
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}

/// Shows a packaging configuration
#[utoipa::path(get, path = "/v1/packaging-groups/{group}/configurations/{configuration}",
    tag = "packaging configurations", operation_id = "getConfiguration",
    params(("group" = String, Path, description = "Name of the group"),
           ("configuration" = String, Path, description = "Name of the configuration")),
    responses((status = 200, description = "The configuration", body = PackagingConfiguration)))]
pub async fn get(
    State(context): State<Context>,
    Names((group, name)): Names<(String, String)>,
) -> ApiResult<Json<PackagingConfiguration>> {
    let mut db = context.db.read().await?;
    Ok(Json(PackagingConfiguration::new(find(&mut db, &group, &name).await?)?))
}

/// Changes a packaging configuration
#[utoipa::path(patch, path = "/v1/packaging-groups/{group}/configurations/{configuration}",
    tag = "packaging configurations", operation_id = "updateConfiguration",
    params(("group" = String, Path, description = "Name of the group"),
           ("configuration" = String, Path, description = "Name of the configuration")),
    request_body = PackagingConfigurationPatch,
    responses((status = 200, description = "The configuration as it is now", body = PackagingConfiguration),
              (status = 409, description = "The name is taken, in this or another group")))]
pub async fn patch(
    State(context): State<Context>,
    Names((group, name)): Names<(String, String)>,
    Body(patch): Body<PackagingConfigurationPatch>,
) -> ApiResult<Json<PackagingConfiguration>> {
    let mut tx = context.db.write().await?;
    let before = find(&mut tx, &group, &name).await?;
    let mut row = before.clone();
    row.name = patch.name.unwrap_or(row.name);
    row.package_type = patch.package_type.map_or(row.package_type, |t| t.as_str().to_owned());
    row.segment_duration_seconds = patch.segment_duration_seconds.unwrap_or(row.segment_duration_seconds);
    row.manifest_name = patch.manifest_name.unwrap_or(row.manifest_name);
    if let Some(selection) = patch.stream_selection {
        row.stream_order = selection.order.map_or(row.stream_order, |o| o.as_str().to_owned());
        row.min_video_bitrate = selection.min_video_bitrate.map_or(row.min_video_bitrate, stored);
        row.max_video_bitrate = selection.max_video_bitrate.map_or(row.max_video_bitrate, stored);
    }
    let particulars = Particulars {
        audio_separation: patch.audio_separation,
        hls_version: patch.hls_version,
        text_format: patch.text_format,
    };
    particulars.write(&mut row)?;
    let access = AccessFields {
        authorization_codes: patch.authorization_codes,
        ip_allow: patch.ip_allow,
        ip_deny: patch.ip_deny,
    };
    access.write(&mut row.access)?;
    check(&row)?;
    if row.name != before.name {
        check_free(&mut tx, &row.name).await?;
        documents::retract_configuration(&mut tx, &before).await?;
        protect::documents::retract_configuration(&mut tx, &before).await?;
    }
    configurations::update(&mut tx, &row).await?;
    match &patch.protection {
        Some(Some(wanted)) => {
            protection::check(&context, wanted, protection::Output::of(&row)?)?;
            protection::check_assets(&mut tx, &row).await?;
            protection::write(&context, &mut tx, &mut row, Some(wanted)).await?;
        }
        Some(None) if before.protection.is_some() => protection::write(&context, &mut tx, &mut row, None).await?,
        Some(None) => {}
        // What holds for the package type may not hold for another.
        None => {
            let kept = protect::Stored::from(&row).settings(&context);
            let kept = kept.map_err(|e| ApiError::internal(format!("{e:#}")))?;
            if let Some(kept) = kept {
                protection::check(&context, &kept, protection::Output::of(&row)?)?;
                if row.package_type != before.package_type {
                    // Key servers are asked for what a kind of manifest needs.
                    asset_keys::expire_configuration(&mut tx, row.id).await?;
                }
            }
        }
    }
    documents::put_configuration(&mut tx, &row).await?;
    let put = protect::documents::put_configuration(&context, &mut tx, &row).await;
    put.map_err(|e| ApiError::internal(format!("{e:#}")))?;
    tx.commit().await?;
    context.push_wake.wake();
    context.keys_wake.wake();
    Ok(Json(PackagingConfiguration::new(row)?))
}

/// Removes a packaging configuration
#[utoipa::path(delete, path = "/v1/packaging-groups/{group}/configurations/{configuration}",
    tag = "packaging configurations", operation_id = "deleteConfiguration",
    params(("group" = String, Path, description = "Name of the group"),
           ("configuration" = String, Path, description = "Name of the configuration")),
    responses((status = 200, description = "What was removed", body = Deletion)))]
pub async fn delete(
    State(context): State<Context>,
    Names((group, name)): Names<(String, String)>,
) -> ApiResult<Json<Deletion>> {
    let mut tx = context.db.write().await?;
    let row = find(&mut tx, &group, &name).await?;
    documents::retract_configuration(&mut tx, &row).await?;
    protect::documents::retract_configuration(&mut tx, &row).await?;
    configurations::delete(&mut tx, row.id).await?;
    tx.commit().await?;
    context.push_wake.wake();
    let mut deletion = Deletion::default();
    deletion.deleted.configurations.push(row.name);
    Ok(Json(deletion))
}

async fn find(db: &mut sqlx::SqliteConnection, group: &str, name: &str) -> ApiResult<configurations::Configuration> {
    let group = found(groups::find(db, group).await?, "packaging group", group)?;
    let row = configurations::find(db, name).await?.filter(|row| row.group_id == group.id);
    found(row, "packaging configuration", name)
}

async fn check_free(db: &mut sqlx::SqliteConnection, name: &str) -> ApiResult<()> {
    match configurations::find(db, name).await? {
        None => Ok(()),
        Some(row) => {
            let detail = format!(
                "there is a configuration {name} in the group {} already; names are unique over all groups",
                row.packaging_group
            );
            Err(ApiError::conflict(Some("/name"), detail))
        }
    }
}
