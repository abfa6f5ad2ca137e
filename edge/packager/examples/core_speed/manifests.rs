//! Manifests of titles of any length.

use std::sync::Arc;
use std::time::{Duration, Instant};

use packager::Prepared;
use packager::config::PackageType;

use crate::title::Title;
use crate::{Result, report};

/// How long a pass makes the same manifest.
const SPAN: Duration = Duration::from_millis(200);

/// Measures the manifests of each title: rendered from what an earlier request learnt of the index, and with that.
pub fn measure(folder: &str, passes: usize, titles: &[&str]) -> Result<()> {
    for name in titles {
        let title = Title::open(folder, name)?;
        let hls = title.documents(PackageType::Cmaf, None)?;
        let dash = title.documents(PackageType::Dash, None)?;
        let segment = title.segments(&hls)?.iter().map(ToString::to_string).find(|url| url.contains("/v0/"));
        let segment = segment.ok_or("a title without video")?;
        let playlist = segment.rsplit_once('/').map_or("", |(folder, _)| folder).trim_start_matches("/vod/v1/g/a/c/");
        let playlist = format!("{playlist}/playlist.m3u8");
        let kinds =
            [("multivariant", "index.m3u8", &hls), ("playlist", playlist.as_str(), &hls), ("mpd", "index.mpd", &dash)];
        for (kind, path, documents) in kinds {
            for (state, keep) in [("warm", true), ("cold", false)] {
                let mut prepared: Option<Arc<Prepared>> = None;
                let mut once = || -> Result<()> {
                    if !keep {
                        prepared = None;
                    }
                    std::hint::black_box(title.get(path, documents, &mut prepared)?);
                    Ok(())
                };
                let (start, mut count) = (Instant::now(), 0u32);
                while start.elapsed() < SPAN {
                    once()?;
                    count += 1;
                }
                let mut seconds = Vec::new();
                for _ in 0..passes {
                    let start = Instant::now();
                    for _ in 0..count {
                        once()?;
                    }
                    seconds.push(start.elapsed().as_secs_f64());
                }
                report(&format!("{name} {kind} {state}"), "manifests", count.into(), &seconds);
            }
        }
    }
    Ok(())
}
