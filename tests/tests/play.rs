//! Real players in a real browser play all outputs of the bundled sample: hls.js, Shaka Player and dash.js each play, switch
//! rendition up and down, switch the language, seek, and reach the end without an error. They also play every other source
//! in every output, to the end, with its subtitles; the outcome is a table, `target/e2e/plays.tsv`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use e2e::control::{OUTPUTS, Output};
use e2e::mpd::Mpd;
use e2e::playlist::Multivariant;
use e2e::source::{self, Source};
use e2e::{Asset, Control, browser, media, tools};
use m3u8_rs::AlternativeMediaType;
use serde_json::{Value, json};

#[test]
fn hls_js_plays_hls() {
    play("hls", "cmaf");
}

#[test]
fn shaka_player_plays_dash() {
    play("shaka", "dash");
}

#[test]
fn shaka_player_plays_hls() {
    play("shaka", "cmaf");
}

#[test]
fn dash_js_plays_dash() {
    play("dashjs", "dash");
}

#[test]
fn hls_js_plays_transport_streams() {
    play("hls", "ts");
}

/// With sound apart: Shaka Player does not get from another language back to sound that is multiplexed.
#[test]
fn shaka_player_plays_transport_streams() {
    play("shaka", "ts-separate");
}

/// By how many frames pictures may come late: hls.js and Shaka Player lay the first decoding time of a transport stream where
/// the playlist has the segment's start, whoever made it, and here one picture is decoded ahead of its time.
fn late(output: &str) -> u32 {
    u32::from(output.starts_with("ts"))
}

fn play(engine: &str, output: &str) {
    let control = Control::start();
    control.group_of_everything("play", 2);
    let asset: Asset = control.playable("play", "sample", &media::ladder());
    let options = json!({
        "url": control.playback_of(&asset, output),
        "duration": 16,
        "heights": [180, 360, 720],
        "languages": 2,
        "late": late(output),
    });
    let name = format!("play-{engine}-{output}");
    println!("{}", browser::play(&control.url, engine, &name, options).unwrap_or_else(|error| panic!("{error}")));
}

#[test]
fn every_source_in_every_output_and_player() {
    const GROUP: &str = "plays";
    let control = Control::start();
    control.group_of_everything(GROUP, 4);
    let wanted = std::env::var("EDGEPACK_SOURCE").ok();
    let sources = source::main();
    let chosen = sources.iter().filter(|source| wanted.as_ref().is_none_or(|name| name == source.name));
    let mut plays = Vec::new();
    for source in chosen {
        let asset = source.playable(&control, GROUP);
        for output in &OUTPUTS {
            let url = control.playback_of(&asset, output.name);
            let engines = if output.package_type == "DASH" { ["shaka", "dashjs"] } else { ["hls", "shaka"] };
            plays.extend(engines.map(|engine| (source, output, engine, url.clone())));
        }
    }
    let outcomes = browser::each(&plays, |(source, output, engine, url)| {
        let name = format!("play-{engine}-{}-{}", source.name, output.name);
        let play = || browser::play(&control.url, engine, &name, options(&control, source, output, engine, url));
        // Two browsers share the machine, and players lose a seek or a cue now and then, other
        // ones in each run. What is wrong with an output is wrong twice; the table tells of the first try.
        match play() {
            Ok(_) => Ok("played to the end".to_owned()),
            Err(first) => {
                let first = first.lines().next().unwrap_or_default().to_owned();
                play().map(|_| format!("played to the end at the second try; at the first {first}"))
            }
        }
    });
    let names = plays.iter().map(|(source, output, engine, _)| (source.name, output.name, *engine));
    let table: BTreeMap<_, _> = names.zip(outcomes).collect();
    let mut text = String::from("source\toutput\tplayer\toutcome\n");
    let mut wrong = String::new();
    for ((source, output, engine), outcome) in &table {
        let shown = match outcome {
            Ok(outcome) => outcome,
            Err(error) => error.lines().next().unwrap_or_default(),
        };
        let _ = writeln!(text, "{source}\t{output}\t{engine}\t{shown}");
        if let Err(error) = outcome {
            let _ = writeln!(wrong, "{source} as {output} by {engine}: {error}\n");
        }
    }
    println!("{text}");
    std::fs::write(tools::results().join("plays.tsv"), text).expect("the table");
    assert!(wrong.is_empty(), "{wrong}");
}

/// What a player must find.
fn options(control: &Control, source: &Source, output: &Output, engine: &str, url: &str) -> Value {
    let languages = if output.package_type == "DASH" {
        let mpd = Mpd::fetch(&control.client, url);
        let sounds = mpd.representations.iter().filter(|one| one.kind == "audio" && one.period == 0);
        sounds.count()
    } else {
        let playlist = Multivariant::fetch(&control.client, url);
        let sounds = playlist.parsed.alternatives.iter().filter(|one| one.media_type == AlternativeMediaType::Audio);
        // Sound without a name of its own is an audio track for Shaka Player alone.
        sounds.count().max(usize::from(engine == "shaka"))
    };
    let seen = &source.seen;
    json!({
        "url": url,
        "brief": true,
        "duration": seen.duration,
        "heights": seen.heights,
        "languages": languages,
        "texts": seen.texts,
        "cues": seen.cues,
        "frames": seen.frames,
        "late": late(output.name),
        // At a discontinuity sound stops up to a frame before the pictures do.
        "hole": if source.name == "operator" { source.frame } else { 0.0 },
    })
}
