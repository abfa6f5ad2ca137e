//! Real players in a real browser play both outputs of the bundled sample: hls.js, Shaka Player and dash.js each play,
//! switch rendition up and down, switch the language, seek, and reach the end without an error.

use std::process::Command;
use std::time::Duration;

use e2e::{Asset, Control, media, tools};
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(180);

#[test]
fn hls_js_plays_hls() {
    play("hls", "CMAF");
}

#[test]
fn shaka_player_plays_dash() {
    play("shaka", "DASH");
}

#[test]
fn shaka_player_plays_hls() {
    play("shaka", "CMAF");
}

#[test]
fn dash_js_plays_dash() {
    play("dashjs", "DASH");
}

fn play(engine: &str, package_type: &str) {
    let control = Control::start();
    control.group("play", 2);
    let asset: Asset = control.playable("play", "sample", &media::ladder());
    let profile = tempfile::tempdir().expect("an empty profile");
    let screenshot = tools::results().join(format!("play-{engine}-{}.png", package_type.to_lowercase()));
    let options = json!({
        "page": format!("{}/player", control.url),
        "url": control.playback(&asset, package_type),
        "engine": engine,
        "chromium": tools::program(&["chromium", "chromium-browser", "google-chrome"]),
        "profile": profile.path(),
        "screenshot": screenshot,
        "duration": 16,
        "heights": [180, 360, 720],
        "languages": 2,
    });
    let script = tools::built("tests/browser/play.mjs");
    tools::built("tests/browser/node_modules/playwright-core");
    let output = tools::succeed(Command::new(tools::program(&["node"])).arg(script).arg(options.to_string()), DEADLINE);
    println!("{}", String::from_utf8_lossy(&output).trim());
}
