//! Two encoders push the same to both inputs of a channel, and everything goes wrong that can: one of them stops and comes back,
//! the control plane is killed, a segment is lost on the way to both inputs, and both encoders are started anew with another
//! clock. Who watches sees every picture once, in order, and every manifest keeps the rules.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use e2e::Control;
use e2e::live::{
    Channel, Clip, Container, Content, DashRecorder, HlsRecorder, Pace, Pusher, Recording, Spec, whole_window,
};
use serde_json::json;

/// How long the last segments may take to come out.
const OUT: Duration = Duration::from_secs(30);
/// How long nobody is there after one of the power cuts: who follows the channel notices.
const AWAY: Duration = Duration::from_millis(1500);
/// Where the second clip begins in the test picture.
const SECOND: u32 = 40;

#[test]
fn nothing_is_lost_or_repeated_from_transport_streams() {
    run("ts", Container::Transport);
}

#[test]
fn nothing_is_lost_or_repeated_from_fragments() {
    run("fmp4", Container::Fragments);
}

fn run(name: &str, container: Container) {
    // The second clock is behind the first, as that of an encoder is that begins anew.
    let first = Arc::new(Clip::make(Spec { container, first: 0, seconds: 24, clock: 1000.0 }));
    let second = Arc::new(Clip::make(Spec { container, first: SECOND, seconds: 8, clock: 2.0 }));
    let content = Content::of(&[&first, &second]);
    let folder = tempfile::tempdir().expect("a folder");
    let mut control = e2e::Setup::at(folder.path()).start();
    let protocol = if container == Container::Transport { "HLS" } else { "HLS_CMAF" };
    let channel = Channel::create(&control, name, protocol, 1);
    let [hls, cmaf, dash] = channel.endpoints(&control, 1);
    let recorders = [HlsRecorder::follow(&hls), HlsRecorder::follow(&cmaf)];
    let dash_recorder = DashRecorder::follow(&dash);

    let mut one = Pusher::begin(channel.input(1), &first);
    let mut two = Pusher::begin(channel.input(2), &first);
    two.playlists_first = true;
    let mut pace = Pace::default();
    for segment in 0..24 {
        pace.wait();
        match segment {
            // The preferred input stops.
            5..=8 => two.push(segment),
            // Some renditions are late, of both.
            10 => {
                one.lag(segment, Duration::from_millis(400));
                two.lag(segment, Duration::from_millis(100));
            }
            // A segment is lost on the way to both inputs.
            15 => {
                one.lose(segment);
                two.lose(segment);
            }
            // The other input stops.
            18 => one.push(segment),
            _ => {
                one.push(segment);
                two.push(segment);
            }
        }
        // Power cuts: after everything came back, and in the middle of a segment.
        if segment == 12 {
            let setup = control.kill();
            std::thread::sleep(AWAY);
            control = setup.start();
        }
        if segment == 20 {
            one.send(21, 0);
            control = control.kill().start();
        }
    }
    // Both encoders are started anew.
    one.restart(&second);
    two.restart(&second);
    for segment in 0..8 {
        pace.wait();
        one.push(segment);
        two.push(segment);
    }

    for recorder in &recorders {
        recorder.wait_for(32, OUT);
    }
    let [hls_recording, cmaf_recording] = recorders.map(HlsRecorder::finish);
    let dash_recording = dash_recorder.finish();

    let pushed: BTreeSet<(u32, usize)> = one.acknowledged.iter().chain(&two.acknowledged).copied().collect();
    let wanted: Vec<u32> = pushed.iter().map(|(clip, segment)| clip + *segment as u32).collect();
    assert_eq!(wanted.len(), 31);
    for (what, recording) in [("HLS", &hls_recording), ("HLS_CMAF", &cmaf_recording)] {
        recording.assert_seconds(what, &content, &wanted, 2);
        for track in &recording.tracks {
            assert_eq!((track.breaks, track.gaps.as_slice()), (1, &[15][..]), "{what}, {}", track.name);
        }
        assert!(recording.refreshes > 40, "{what}: {} refreshes", recording.refreshes);
    }
    assert!(hls_recording.waits > 0, "nobody was away");
    dash_recording.assert_seconds("DASH", &content, &wanted, 2);
    for track in &dash_recording.tracks {
        assert_eq!(track.breaks, 2, "periods of {}: after what was lost, and with the other clock", track.name);
    }

    // The archive has all of it.
    let window = whole_window(&control.client, &hls);
    for (what, url) in [("HLS", &hls), ("HLS_CMAF", &cmaf)] {
        let recording = Recording::of_hls(&control.client, &format!("{url}?{window}"));
        recording.assert_seconds(&format!("the archive as {what}"), &content, &wanted, 2);
    }
    let recording = Recording::of_dash(&format!("{dash}?{window}"));
    recording.assert_seconds("the archive as DASH", &content, &wanted, 2);

    let json = channel.json(&control);
    assert_eq!((&json["status"]["discontinuities"], &json["status"]["positions"]), (&json!(1), &json!(32)), "{json}");
    println!("{name}: {} refreshes, {} waits", hls_recording.refreshes, hls_recording.waits);
}

/// An input whose segments begin elsewhere is not mixed in, people are told, and it takes over when there is nothing else.
#[test]
fn an_input_that_is_not_aligned_is_reported_and_not_mixed() {
    let spec = Spec { container: Container::Transport, first: 0, seconds: 20, clock: 100.0 };
    let first = Arc::new(Clip::make(spec));
    // The same clock, but segments begin half a second later.
    let other = Arc::new(Clip::make(Spec { first: SECOND, clock: 100.5, ..spec }));
    let content = Content::of(&[&first, &other]);
    let control = Control::start();
    let channel = Channel::create(&control, "apart", "HLS", 1);
    let [hls, ..] = channel.endpoints(&control, 1);
    let recorder = HlsRecorder::follow(&hls);
    let mut one = Pusher::begin(channel.input(1), &first);
    let mut two = Pusher::begin(channel.input(2), &other);
    let mut pace = Pace::default();
    for segment in 0..8 {
        pace.wait();
        one.push(segment);
        two.push(segment);
    }
    let json = channel.until(&control, "a report", OUT, |json| {
        json["inputs"][1]["status"]["misaligned"].as_u64().is_some_and(|count| count > 0)
    });
    assert_eq!(json["inputs"][0]["status"]["misaligned"], 0, "{json}");
    // The first encoder stops.
    for segment in 8..16 {
        pace.wait();
        two.push(segment);
    }
    std::thread::sleep(Duration::from_secs(3));
    let recording = recorder.finish();
    let heard = recording.tracks[0].heard(&content);
    let seconds: Vec<u32> = heard.pictures.iter().map(|(_, number)| number / e2e::live::FRAMES).collect();
    let from_first = seconds.iter().take_while(|second| **second < SECOND).count();
    let whole: Vec<u32> = (0..8).flat_map(|second| [second; e2e::live::FRAMES as usize]).collect();
    assert_eq!(seconds[..from_first], whole[..], "the first input, whole");
    let rest = &seconds[from_first..];
    assert!(rest.iter().all(|second| *second >= SECOND) && rest.is_sorted(), "then the second: {rest:?}");
    assert!(rest.last().is_some_and(|second| *second >= SECOND + 13), "the second takes over: {rest:?}\n{json}");
    println!("{} pictures of the first, {} of the second", from_first, rest.len());
}
