//! Drives the core over a timeline that may say anything. The fuzz target and the replay of its finds both call this.

use std::sync::Arc;

use bytes::Bytes;
use packager::ErrorKind;
use packager::config::{Access, Endpoint, LiveManifest, PackageType, StreamSelection, Timeline};
use packager::live::{Documents, Job, Query, Step, tag};
use packager::response::{Part, Response};
use packager::route::{LiveResource, LiveRoute};

/// An URL, a newline, a timeline as JSON, a newline, and bytes that answer every fetch: no answer may panic, whatever the
/// timeline and its parts hold. Tags in the URL are set right, so that it leads somewhere. What came of it, for tests that want
/// something to come of it.
pub fn live(data: &[u8]) -> Vec<packager::Result<Response>> {
    let mut lines = data.splitn(3, |b| *b == b'\n');
    let (Some(url), Some(json), Some(object)) = (lines.next(), lines.next(), lines.next()) else { return Vec::new() };
    let Ok(url) = std::str::from_utf8(url) else { return Vec::new() };
    let Ok(timeline) = serde_json::from_slice::<Timeline>(json) else { return Vec::new() };
    let (timeline, object) = (Arc::new(timeline), Bytes::copy_from_slice(object));
    let types = [PackageType::Hls, PackageType::Cmaf, PackageType::Dash];
    types.map(|package_type| ask(url, package_type, &timeline, &object)).into_iter().collect()
}

fn ask(url: &str, package_type: PackageType, timeline: &Arc<Timeline>, object: &Bytes) -> packager::Result<Response> {
    let manifest = match package_type {
        PackageType::Dash => LiveManifest::Dash {
            min_buffer_seconds: 4,
            min_update_seconds: 4,
            presentation_delay_seconds: 12,
            window_seconds: 60,
        },
        _ => LiveManifest::Hls { segments: 5, program_date_time_seconds: Some(10) },
    };
    let endpoint = Endpoint {
        name: "e".into(),
        channel_group: "g".into(),
        channel: "c".into(),
        package_type,
        manifest_name: "main".into(),
        segment_duration_seconds: 4,
        audio_separation: object.len() % 2 == 1,
        stream_selection: StreamSelection::default(),
        manifest,
        time_shift_seconds: 2_592_000,
        access: Access::default(),
        protection: None,
    };
    let documents = Documents { endpoint: Arc::new(endpoint), timeline: timeline.clone(), keys: None };
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut route = LiveRoute::parse(path)?;
    assert_eq!(route.to_string(), path, "one resource, one URL");
    let query = Query::parse(query)?;
    assert_eq!(Query::parse(&query.to_string())?, query, "a query is read as it is written");
    if let LiveResource::Tagged { tag: own, .. } = &mut route.resource {
        *own = tag(&documents);
    }
    let now_ms = timeline.published_ms;
    let mut job = Job::new(route, query, documents, now_ms, None)?;
    for _ in 0..64 {
        match job.step()? {
            Step::Done(response) => {
                assert!(response.len() < u64::MAX);
                for part in &response.parts {
                    if let Part::Source { range, .. } = part {
                        assert!(range.start <= range.end);
                    }
                }
                assert!(job.prepared().is_of(timeline));
                return Ok(response);
            }
            Step::Fetch(fetches) => {
                assert!(!fetches.is_empty(), "a fetch asks for something");
                for fetch in fetches {
                    // Storage that has no such bytes answers with an error; here they are zeros, but not too many.
                    let length = fetch.range.end - fetch.range.start;
                    if length > 1 << 22 {
                        return Err(packager::Error::new(ErrorKind::Upstream, "too long for a test"));
                    }
                    let start = usize::try_from(fetch.range.start).unwrap_or(usize::MAX).min(object.len());
                    let end = start.saturating_add(length as usize).min(object.len());
                    let mut bytes = object[start..end].to_vec();
                    bytes.resize(length as usize, 0);
                    job.supply(fetch.id, bytes.into())?;
                }
            }
        }
    }
    // A timeline of many parts takes many rounds only where each tells of the next.
    Err(packager::Error::new(ErrorKind::Limit, "many rounds"))
}
