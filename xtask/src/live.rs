//! The live channel of the demo: ffmpeg's test source, pushed to the control plane as any encoder would.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::demo::absolute;
use crate::process::Running;
use crate::rest::{Rest, describe};

const GROUP: &str = "demo";
const CHANNEL: &str = "live";
const SEGMENT_SECONDS: u32 = 2;
/// Renditions: width, height, kilobits a second.
const LADDER: [(u32, u32, u32); 3] = [(1280, 720, 2000), (640, 360, 800), (320, 180, 300)];

/// A channel that is being fed.
pub struct Channel {
    /// Ends with the demo.
    encoder: Running,
    /// What REST says of the endpoints.
    pub endpoints: Vec<Value>,
}

/// How long the first segments take.
const FIRST: Duration = Duration::from_secs(30);

/// Makes the channel and its endpoints, starts an encoder, and waits until the channel plays.
pub fn start(rest: &Rest, control: SocketAddr, edge: SocketAddr, data: &Path) -> Result<Channel> {
    rest.ensure("/v1/channel-groups", &json!({ "name": GROUP }))?;
    let channels = format!("/v1/channel-groups/{GROUP}/channels");
    let body = json!({ "name": CHANNEL, "protocol": "HLS", "segment_duration_seconds": SEGMENT_SECONDS });
    rest.ensure(&channels, &body)?;
    let channel = format!("{channels}/{CHANNEL}");
    for (name, protocol) in [("ts", "HLS"), ("hls", "HLS_CMAF"), ("dash", "DASH")] {
        let segment = json!({ "duration_seconds": SEGMENT_SECONDS });
        let body = json!({ "name": name, "protocol": protocol, "segment": segment, "time_shift_days": 1 });
        rest.ensure(&format!("{channel}/endpoints"), &body)?;
    }
    let (status, endpoints) = rest.get(&format!("{channel}/endpoints"))?;
    if status != 200 {
        bail!("GET {channel}/endpoints: {}", describe(status, &endpoints));
    }
    let endpoints = endpoints.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    // Passwords are shown once; an earlier demo with the same data may have had others.
    let (status, inputs) = rest.post(&format!("{channel}/inputs/1/credentials"), &json!({}))?;
    if !(200..300).contains(&status) {
        bail!("POST {channel}/inputs/1/credentials: {}", describe(status, &inputs));
    }
    let input = inputs.pointer("/inputs/0").context("the control plane shows no input")?;
    let part = |name: &str| input.get(name).and_then(Value::as_str).unwrap_or_default();
    let push = format!("http://{}:{}@{control}/ingest/v1/{GROUP}/1/{CHANNEL}", part("username"), part("password"));
    let mut channel = Channel { encoder: encode(&push, data)?, endpoints };
    channel.wait(rest, edge)?;
    Ok(channel)
}

impl Channel {
    /// Waits until a manifest of every endpoint is there.
    fn wait(&mut self, rest: &Rest, edge: SocketAddr) -> Result<()> {
        let started = Instant::now();
        for endpoint in &self.endpoints {
            let url = endpoint.pointer("/playback_urls/0/url").and_then(Value::as_str).unwrap_or_default();
            let url = absolute(url, edge);
            while rest.status(&url) != Some(200) {
                if let Some(status) = self.encoder.ended()? {
                    bail!("ffmpeg ended: {status}; encoder.log beside the data says why");
                }
                if started.elapsed() > FIRST {
                    bail!("{url} does not answer 200");
                }
                thread::sleep(Duration::from_millis(200));
            }
        }
        Ok(())
    }
}

fn encode(push: &str, data: &Path) -> Result<Running> {
    let log_path = data.join("encoder.log");
    let log = fs::File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
    let (width, height, _) = LADDER[0];
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-loglevel", "warning", "-re"]);
    command.args(["-f", "lavfi", "-i", &format!("testsrc2=size={width}x{height}:rate=25")]);
    command.args(["-f", "lavfi", "-i", "sine=frequency=440:beep_factor=4:sample_rate=48000"]);
    let group = (25 * SEGMENT_SECONDS).to_string();
    let mut streams = Vec::new();
    for (number, (width, height, rate)) in LADDER.iter().enumerate() {
        command.args(["-map", "0:v", "-map", "1:a"]);
        command.args([format!("-s:v:{number}"), format!("{width}x{height}")]);
        command.args([
            format!("-b:v:{number}"),
            format!("{rate}k"),
            format!("-maxrate:v:{number}"),
            format!("{rate}k"),
        ]);
        command.args([format!("-bufsize:v:{number}"), format!("{}k", rate * 2)]);
        streams.push(format!("v:{number},a:{number}"));
    }
    command.args([
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        &group,
        "-sc_threshold",
        "0",
        "-pix_fmt",
        "yuv420p",
    ]);
    command.args(["-c:a", "aac", "-b:a", "96k", "-f", "hls", "-hls_time", &SEGMENT_SECONDS.to_string()]);
    command.args(["-hls_list_size", "6", "-var_stream_map", &streams.join(" "), "-master_pl_name", "main.m3u8"]);
    command.args(["-method", "PUT", "-http_persistent", "1", "-ignore_io_errors", "1"]);
    command.args(["-hls_segment_filename", &format!("{push}/v%v_%05d.ts"), &format!("{push}/v%v.m3u8")]);
    let started = Running::start(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log));
    started.context("a live channel needs ffmpeg with libx264 on the PATH")
}
