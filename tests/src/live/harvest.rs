//! Collection tasks, and the assets that they make.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::channel::Channel;
use super::clip::{Content, FRAMES};
use super::recording::Recording;
use crate::control::{Asset, Control, OUTPUTS};

/// How long a task may take: what was in its way is looked at again every ten seconds.
const DEADLINE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(20);
/// Packets of sound in a second: 48,000 samples, 1024 of them in each.
const SOUNDS: f64 = 48_000.0 / 1024.0;

/// A collection task.
pub struct Harvest {
    path: String,
    asset: String,
}

impl Harvest {
    /// Begins to make an asset of what a channel has between two dates, milliseconds since 1970. Copies go to the folder
    /// `harvests/{asset}`; its packaging group is made if it is not there.
    pub fn begin(control: &Control, channel: &Channel, endpoint: &str, asset: &str, dates: (u64, u64)) -> Self {
        if control.rest("GET", "/v1/packaging-groups/harvests", None).status == 404 {
            control.group_of_everything("harvests", 2);
        }
        let [start, end] = [dates.0, dates.1].map(packager::media::date::format);
        let body = json!({
            "endpoint": endpoint, "start": start, "end": end,
            "storage_path": format!("harvests/{asset}"), "asset": asset, "packaging_group": "harvests",
        });
        let tasks = format!("{}/collection-tasks", channel.path);
        let task = control.create(&tasks, &body);
        Self { path: format!("{tasks}/{}", task["id"]), asset: asset.to_owned() }
    }

    /// Waits until the task is as wanted; what REST says about it.
    pub fn until(&self, control: &Control, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let json = control.rest("GET", &self.path, None).json();
            if wanted(&json) {
                return json;
            }
            assert!(json["status"] != "FAILED", "{json}\n{}", control.log());
            assert!(started.elapsed() < DEADLINE, "waited for {what} in vain: {json}\n{}", control.log());
            std::thread::sleep(POLL);
        }
    }

    /// The asset, as REST says that it is.
    pub fn asset(&self, control: &Control) -> Asset {
        let asset = Asset { json: control.rest("GET", &format!("/v1/assets/{}", self.asset), None).json() };
        assert_eq!(asset.status(), "PLAYABLE", "{}", asset.json);
        asset
    }

    /// How long the asset is, in seconds.
    pub fn duration(&self, control: &Control) -> f64 {
        self.asset(control).json["duration_seconds"].as_f64().expect("a duration")
    }

    /// Fails unless the asset has, in transport streams, fragments and DASH, exactly these seconds of the test picture, and all
    /// of their sound but for what `breaks` places may lack.
    pub fn assert_seconds(&self, control: &Control, what: &str, content: &Content, seconds: &[u32], breaks: usize) {
        let asset = self.asset(control);
        for output in OUTPUTS.iter().filter(|output| !output.audio_separation) {
            let url = control.playback_of(&asset, output.name);
            let recording = match output.package_type {
                "DASH" => Recording::of_dash(&url),
                _ => Recording::of_hls(&control.client, &url),
            };
            let what = format!("{what}, as {}", output.name);
            recording.assert_seconds(&what, content, seconds, breaks);
            for track in recording.tracks.iter().filter(|track| track.kinds.1) {
                let heard = track.heard(content);
                assert!(!track.kinds.0 || heard.pictures.len() == seconds.len() * FRAMES as usize, "{what}");
                // At either end, and where a break is, sound ends up to two packets beside the pictures.
                let apart = heard.sounds.len() as f64 - seconds.len() as f64 * SOUNDS;
                assert!(apart.abs() <= 2.0 * (breaks + 1) as f64, "{what}, {}: {apart} packets too many", track.name);
            }
        }
    }
}
