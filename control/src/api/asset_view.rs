//! Assets as the REST interface shows them.

use packager::route::{Resource, Route};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use utoipa::ToSchema;

use super::fields;
use super::key_status::KeyStatus;
use crate::clock;
use crate::context::Context;
use crate::db::asset_keys::Pair;
use crate::db::assets::Status;
use crate::db::{asset_keys, assets, configurations, edges, source_warnings, sources};
use crate::error::{ApiError, ApiResult};
use crate::push::documents;

/// One media file of an asset.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Path in the media storage.
    #[schema(min_length = 1, max_length = 1024)]
    pub path: String,
    /// BCP 47 tag; else what the media says.
    #[schema(
        min_length = 2,
        max_length = 35,
        pattern = "^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*|[xX](-[A-Za-z0-9]{1,8})+)$"
    )]
    pub language: Option<String>,
    /// Name in a player's menu; else made from the language.
    #[schema(min_length = 1, max_length = 200)]
    pub label: Option<String>,
    /// DASH role, e.g. `main`, `alternate`, `commentary`, `dub`, `description`.
    #[schema(
        pattern = "^(caption|subtitle|main|alternate|supplementary|commentary|dub|description|sign|metadata|enhanced-audio-intelligibility|emergency|forced-subtitle|easyreader|karaoke)$"
    )]
    pub role: Option<String>,
    /// Of subtitles: shown also to viewers who chose none.
    #[serde(default, skip_serializing_if = "is_false")]
    pub forced: bool,
    /// Whether players start with it, among its kind.
    #[serde(default, skip_serializing_if = "is_false")]
    pub default: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Source {
    /// Checks all fields; `parent` is the pointer of this source.
    ///
    /// # Errors
    /// 422 with the field.
    pub fn check(&self, parent: &str) -> ApiResult<()> {
        fields::storage_path(&format!("{parent}/path"), &self.path)?;
        if self.path.ends_with(".m3u8") {
            let detail = "this is a playlist; give it as `source` in the place of `sources`";
            return Err(ApiError::invalid(format!("{parent}/path"), detail));
        }
        if let Some(language) = &self.language {
            fields::language(&format!("{parent}/language"), language)?;
        }
        if let Some(label) = &self.label {
            fields::label(&format!("{parent}/label"), label)?;
        }
        if let Some(role) = &self.role {
            fields::role(&format!("{parent}/role"), role)?;
        }
        Ok(())
    }
}

impl From<Source> for sources::Source {
    fn from(source: Source) -> Self {
        let Source { path, language, label, role, forced, default } = source;
        Self { path, language, label, role, forced, is_default: default, bytes: None, etag: None }
    }
}

impl From<sources::Source> for Source {
    fn from(row: sources::Source) -> Self {
        let sources::Source { path, language, label, role, forced, is_default, .. } = row;
        Self { path, language, label, role, forced, default: is_default }
    }
}

/// An HLS title as the source of an asset.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaylistSource {
    /// Path of the multivariant playlist in the media storage. What it names is looked for in the same storage: relative
    /// to it, or from the root with a leading slash.
    #[schema(min_length = 1, max_length = 1024)]
    pub path: String,
}

impl PlaylistSource {
    /// Checks all fields.
    ///
    /// # Errors
    /// 422 with the field.
    pub fn check(&self) -> ApiResult<()> {
        fields::storage_path("/source/path", &self.path)
    }
}

/// How many segments of an HLS title were read.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Segments {
    /// So many were.
    done: u64,
    /// So many there are.
    total: u64,
}

/// Why an asset cannot be played.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// What is wrong, where, and what can be done.
    pub reason: String,
}

/// A track of an asset.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Track {
    /// Name in URLs, `v0`, `a0`, `t0`, ...
    name: String,
    /// Position of the source that it is in; `null` when it comes from a playlist, or is subtitles that were read into the
    /// index.
    source: Option<u64>,
    /// `video`, `audio`, `text` or `metadata`.
    kind: String,
    /// RFC 6381 codec string.
    codec: String,
    /// Average bits a second.
    average_bitrate: u64,
    /// Most bits a second over one segment or group of pictures.
    peak_bitrate: u64,
    /// Width of video.
    width: Option<u32>,
    /// Height of video.
    height: Option<u32>,
    /// Frames a second of video.
    frame_rate: Option<f64>,
    /// `SDR`, `PQ` or `HLG`, of video.
    video_range: Option<String>,
    /// Channels of audio as HLS writes them, e.g. `2`, `6`, `16/JOC`.
    channels: Option<String>,
    /// Samples a second of audio.
    sample_rate: Option<u32>,
    /// BCP 47 tag.
    language: Option<String>,
    /// Name shown to viewers.
    label: Option<String>,
    /// DASH role.
    role: Option<String>,
    /// Number of samples (frames, cues).
    samples: u64,
}

/// Where an asset is played under one configuration.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct PlaybackUrl {
    /// Name of the configuration.
    configuration: String,
    /// Which output.
    package_type: super::configurations::PackageType,
    /// URL of the manifest.
    url: String,
    /// Of configurations that protect: whether its keys are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    protection: Option<KeyStatus>,
}

/// An asset.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Asset {
    /// Unique name, part of the playback URLs.
    pub name: String,
    /// Name of its packaging group.
    pub packaging_group: String,
    /// Id of the content at key servers.
    pub content_id: Option<String>,
    /// Where it is on its way to be played.
    pub status: Status,
    /// How much of it is indexed, 0 to 1.
    pub progress: f64,
    /// How many segments of its playlists were read; only while it is PROCESSING, once they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub segments: Option<Segments>,
    /// Why it cannot be played; only while it is FAILED.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub failure: Option<Failure>,
    /// What was left out of it or looks wrong, and which stored objects changed or went away since it was indexed.
    pub warnings: Vec<String>,
    /// Presentation length; `null` until it is PLAYABLE.
    pub duration_seconds: Option<f64>,
    /// Its tracks, once it is PLAYABLE.
    pub tracks: Vec<Track>,
    /// Its media files, unless it has a `source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sources: Option<Vec<Source>>,
    /// Its playlist, unless it has `sources`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub source: Option<PlaylistSource>,
    /// One URL for each configuration of its group, once it is PLAYABLE and there is an edge.
    pub playback_urls: Vec<PlaybackUrl>,
    /// When it was made (RFC 3339).
    pub created_at: String,
}

/// The base of playback URLs.
///
/// # Errors
/// When the database fails.
pub async fn playback_base(context: &Context, db: &mut SqliteConnection) -> ApiResult<Option<String>> {
    if let Some(url) = &context.public_url {
        return Ok(Some(url.clone()));
    }
    Ok(edges::first(db).await?.map(|edge| edge.url))
}

impl Asset {
    /// What is stored of an asset as it is shown.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(db: &mut SqliteConnection, row: assets::Asset, base: Option<&str>) -> ApiResult<Self> {
        let (sources, source) = match row.playlist.clone() {
            Some(path) => (None, Some(PlaylistSource { path })),
            None => (Some(sources::list(db, row.id).await?.into_iter().map(Source::from).collect()), None),
        };
        let mut warnings: Vec<String> = serde_json::from_str(&row.warnings).map_err(ApiError::internal)?;
        warnings.extend(source_warnings::list(db, row.id).await?);
        let segments = row.segments_done.zip(row.segments_total).filter(|_| row.status == Status::Processing);
        let playback_urls = match base {
            Some(base) if row.status == Status::Playable => playback_urls(db, &row, base).await?,
            _ => Vec::new(),
        };
        let duration_seconds = row.duration_ms.map(|ms| ms as f64 / 1000.0);
        Ok(Self {
            name: row.name,
            packaging_group: row.packaging_group,
            content_id: row.content_id,
            status: row.status,
            progress: row.progress,
            segments: segments.map(|(done, total)| Segments { done: done.unsigned_abs(), total: total.unsigned_abs() }),
            failure: row.failure.map(|reason| Failure { reason }),
            warnings,
            duration_seconds,
            tracks: serde_json::from_str(&row.tracks).map_err(ApiError::internal)?,
            sources,
            source,
            playback_urls,
            created_at: clock::rfc3339(row.created_at),
        })
    }
}

async fn playback_urls(db: &mut SqliteConnection, row: &assets::Asset, base: &str) -> ApiResult<Vec<PlaybackUrl>> {
    let mut urls = Vec::new();
    for configuration in configurations::all(db, row.group_id).await? {
        let package_type = documents::package_type(&configuration.package_type)?;
        let protection = match &configuration.protection {
            None => None,
            Some(_) => {
                let pair = Pair { asset_id: row.id, configuration_id: configuration.id };
                Some(KeyStatus::from(asset_keys::find(db, pair).await?))
            }
        };
        let route = Route {
            packaging_group: row.packaging_group.clone(),
            asset: row.name.clone(),
            configuration: configuration.name.clone(),
            resource: Resource::Manifest {
                name: configuration.manifest_name,
                extension: package_type.manifest_extension(),
            },
        };
        urls.push(PlaybackUrl {
            configuration: configuration.name,
            package_type: package_type.into(),
            url: format!("{base}{route}"),
            protection,
        });
    }
    Ok(urls)
}
