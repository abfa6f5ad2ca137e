//! A live channel.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::Control;
use crate::http::resolve;

/// The group of all channels of the tests.
const GROUP: &str = "live";

/// A channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its path in the REST interface.
    pub path: String,
    inputs: Vec<Ingest>,
}

/// Where an encoder pushes.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// Base URL, with a slash at its end.
    pub url: String,
    /// User name and password.
    pub user: (String, String),
}

impl Ingest {
    /// The header `Authorization`.
    pub fn authorization(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user.0, self.user.1)))
    }

    /// The URL with user name and password in it, as encoders want it.
    pub fn url_with_user(&self) -> String {
        self.url.replacen("://", &format!("://{}:{}@", self.user.0, self.user.1), 1)
    }
}

impl Channel {
    /// Makes one of `protocol` (`HLS` or `HLS_CMAF`), and the group of the channels if that is not there.
    pub fn create(control: &Control, name: &str, protocol: &str, segment_seconds: u32) -> Self {
        let group = control.rest("POST", "/v1/channel-groups", Some(&json!({ "name": GROUP })));
        assert!(matches!(group.status, 201 | 409), "{}", group.text());
        let channels = format!("/v1/channel-groups/{GROUP}/channels");
        let body = json!({ "name": name, "protocol": protocol, "segment_duration_seconds": segment_seconds });
        let json = control.create(&channels, &body);
        let text = |input: &Value, field: &str| input[field].as_str().unwrap_or_default().to_owned();
        let inputs = json["inputs"].as_array().cloned().unwrap_or_default();
        let inputs: Vec<Ingest> = inputs
            .iter()
            .map(|input| Ingest {
                url: resolve(&control.url, &text(input, "url")),
                user: (text(input, "username"), text(input, "password")),
            })
            .collect();
        assert_eq!(inputs.len(), 2, "{json}");
        Self { path: format!("{channels}/{name}"), inputs }
    }

    /// An input, 1 or 2.
    pub fn input(&self, number: usize) -> &Ingest {
        &self.inputs[number - 1]
    }

    /// Makes an endpoint; its playback URL.
    pub fn endpoint(&self, control: &Control, body: &Value) -> String {
        let json = control.create(&format!("{}/endpoints", self.path), body);
        let url = json["playback_urls"][0]["url"].as_str().unwrap_or_else(|| panic!("no playback URL: {json}"));
        resolve(&control.edge, url)
    }

    /// An endpoint of each protocol, with segments of `seconds`, the last minute in DASH, and a day of time shift; the URLs of
    /// HLS, HLS_CMAF and DASH.
    pub fn endpoints(&self, control: &Control, seconds: u32) -> [String; 3] {
        let hls = json!({ "segments": 10, "program_date_time_seconds": 0 });
        // What is behind by more than a few segments needs no minute to start.
        let dash =
            json!({ "window_seconds": 60, "min_update_seconds": seconds, "presentation_delay_seconds": 3 * seconds });
        [("HLS", &hls), ("HLS_CMAF", &hls), ("DASH", &dash)].map(|(protocol, manifest)| {
            let name = protocol.to_lowercase();
            let segment = json!({ "duration_seconds": seconds });
            let body = json!({ "name": name, "protocol": protocol, "segment": segment, "manifest": manifest, "time_shift_days": 1 });
            self.endpoint(control, &body)
        })
    }

    /// What REST says about it.
    pub fn json(&self, control: &Control) -> Value {
        let response = control.rest("GET", &self.path, None);
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()
    }

    /// Waits until what REST says about it is as wanted.
    pub fn until(&self, control: &Control, what: &str, within: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let json = self.json(control);
            if wanted(&json) {
                return json;
            }
            assert!(started.elapsed() < within, "waited for {what} in vain: {json}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
