//! What live MPDs say holds from one refresh to the next.

#![allow(clippy::disallowed_methods, reason = "a test may read files and run xmllint")]

mod channel;
mod drive;
#[path = "channel/mpd.rs"]
mod mpd;

use std::collections::BTreeMap;

use channel::{Channel, Source};
use mpd::{Follower, validate};
use packager::config::Endpoint;
use packager::media::date;
use sha2::{Digest, Sha256};

fn cmaf(part_positions: u32, listing_parts: usize) -> Channel {
    Channel::new(Source::new("cmaf", 1), 2, part_positions, listing_parts)
}

#[test]
fn an_mpd_is_refreshed_over_hundreds_of_positions() {
    let mut channel = cmaf(64, 64);
    let endpoint = channel::dash(4, 60);
    let mut follower = Follower::default();
    let mut bytes: BTreeMap<String, [u8; 32]> = BTreeMap::new();
    channel.begin(3_000_000, false);
    let mut periods = 0;
    for step in 0..200u64 {
        match step {
            50 => channel.begin(channel.edge() + 7_123_000, true),
            95 => channel.begin(channel.edge() + 4_000_000, false),
            99 => channel.begin(channel.edge() + 500_000, true),
            _ => {}
        }
        let missing: &[usize] = match step {
            60..=62 => &[1],
            120..=131 => &[2],
            _ => &[],
        };
        channel.push(missing);
        if step == 150 {
            channel.remove(70);
        }
        if step == 0 || (step > 20 && step % 3 == 1) {
            continue;
        }
        let text = channel.text(&endpoint, "/v1/g/c/e/main.mpd");
        let mpd = follower.follow(&text);
        let root = |name: &str| mpd.attributes.get(name).map(String::as_str);
        assert_eq!(root("type"), Some("dynamic"));
        assert_eq!(root("availabilityStartTime"), Some(date::format(channel::EPOCH_MS).as_str()));
        assert_eq!(root("publishTime"), Some(date::format(channel.timeline.published_ms).as_str()));
        assert_eq!(root("minimumUpdatePeriod"), Some("PT8S"));
        assert_eq!(root("timeShiftBufferDepth"), Some("PT60S"));
        assert_eq!(root("suggestedPresentationDelay"), Some("PT12S"));
        assert_eq!(root("minBufferTime"), Some("PT8S"));
        assert_eq!(mpd.clock.as_deref(), Some("../../../time"));
        assert!(!mpd.periods.last().unwrap().attributes.contains_key("duration"));
        periods = periods.max(mpd.periods.len());
        // The window is as long as it says, give or take a segment, or where it begins between two periods what is there.
        let last = &mpd.periods.last().unwrap().representations[0];
        let scale: u64 = last.template["timescale"].parse().unwrap();
        let end = last.segments.values().next_back().map(|s| (s.0 + s.1) / scale).unwrap();
        let first = &mpd.periods[0].representations[0];
        let start = first.segments.values().next().map(|s| s.0 / scale).unwrap();
        assert!(end - start <= 60 + 5 && (step < 40 || end - start >= 52), "{start} {end}");
        if [1, 52, 61, 100, 125, 199].contains(&step) {
            validate(&format!("step{step}"), &text);
        }
        // Of each representation the first and the last segment that it lists.
        for representation in mpd.periods.iter().flat_map(|p| &p.representations) {
            let numbers = representation.segments.keys();
            let template = |name: &str| representation.template[name].replace("$RepresentationID$", &representation.id);
            let ends = numbers.clone().take(1).chain(numbers.rev().take(1));
            let files = ends.map(|n| template("media").replace("$Number$", &n.to_string()));
            for name in files.chain([template("initialization")]) {
                let url = format!("/v1/g/c/e/{name}");
                let response = channel.get(&endpoint, &url).unwrap_or_else(|e| panic!("{url}: {e}"));
                let hash: [u8; 32] = Sha256::digest(channel.body(&response)).into();
                assert_eq!(*bytes.entry(url.clone()).or_insert(hash), hash, "{url} keeps its bytes");
            }
        }
    }
    assert_eq!(periods, 3, "windows over several periods");
    // Where a rendition has nothing, its segment has a type and nothing else.
    let empty = follower.seen.keys().any(|(_, id, _)| id == "v1");
    assert!(empty);
    channel.end();
    let text = channel.text(&endpoint, "/v1/g/c/e/main.mpd");
    let mpd = follower.follow(&text);
    assert!(!mpd.attributes.contains_key("minimumUpdatePeriod"), "{text}");
    assert!(mpd.attributes.contains_key("mediaPresentationDuration"));
    assert!(mpd.periods.last().unwrap().attributes.contains_key("duration"));
    validate("ended", &text);
}

#[test]
fn a_segment_without_samples_is_there_all_the_same() {
    let mut channel = cmaf(64, 64);
    channel.begin(0, false);
    for step in 0..12 {
        channel.push(if (4..6).contains(&step) { &[1] } else { &[] });
    }
    let endpoint = channel::dash(4, 60);
    let text = channel.text(&endpoint, "/v1/g/c/e/main.mpd");
    let tag = drive::tag_in(&text);
    let body = |name: &str| {
        let url = format!("/v1/g/c/e/{tag:016x}/{name}");
        channel.body(&channel.get(&endpoint, &url).unwrap_or_else(|e| panic!("{url}: {e}")))
    };
    assert_eq!(body("v1/2.m4s"), b"\0\0\0\x18stypmsdh\0\0\0\0msdhcmfs");
    assert!(body("v0/2.m4s").len() > 1000 && body("v1/3.m4s").len() > 1000);
}

#[test]
fn what_is_lost_for_everybody_ends_a_period() {
    let mut channel = cmaf(64, 64);
    let endpoint = channel::dash(4, 60);
    let mut follower = Follower::default();
    channel.begin(0, false);
    for step in 0..24 {
        // First it comes back in the same period, then a new one begins.
        if step == 18 {
            channel.begin(channel.edge(), false);
        }
        channel.push(if (8..10).contains(&step) || (14..18).contains(&step) { &[0, 1, 2, 3] } else { &[] });
        if step == 0 {
            continue;
        }
        let text = channel.text(&endpoint, "/v1/g/c/e/main.mpd");
        let mpd = follower.follow(&text);
        let listed = |period: usize| mpd.periods[period].representations[0].segments.len();
        match step {
            8..=10 => assert_eq!(listed(0), 4, "{text}"),
            13..=18 => assert_eq!(listed(0), 7, "{text}"),
            19.. => assert_eq!((listed(0), listed(1)), (7, (step - 17) / 2), "{text}"),
            _ => {}
        }
        if step == 19 {
            assert_eq!(mpd.periods[0].attributes["duration"], "PT28S");
            assert_eq!(mpd.periods[1].attributes["start"], "PT36S");
            validate("lost", &text);
        }
    }
}

#[test]
fn a_window_that_is_closed_is_static() {
    let mut channel = cmaf(4, 3);
    channel.begin(100_000_000, false);
    (0..20).for_each(|_| channel.push(&[]));
    channel.begin(channel.edge() + 3_000_000, true);
    (0..30).for_each(|_| channel.push(&[]));
    let endpoint = Endpoint { time_shift_seconds: 3600, ..channel::dash(4, 60) };
    let second = channel::EPOCH_MS / 1000;
    let url = format!("/v1/g/c/e/main.mpd?start={}&vodend={}", second + 120, second + 160);
    let text = channel.text(&endpoint, &url);
    validate("static", &text);
    let mpd = Follower::default().follow(&text);
    assert_eq!(mpd.attributes["type"], "static");
    assert_eq!(mpd.periods.len(), 2);
    assert_eq!(mpd.periods[0].attributes["start"], "PT0S");
    assert!(mpd.clock.is_none() && !mpd.attributes.contains_key("availabilityStartTime"));
    let length = mpd::micros(&mpd.attributes["mediaPresentationDuration"]);
    assert!((40_000_000..=48_000_000).contains(&length), "{length}");
    (0..10).for_each(|_| channel.push(&[]));
    assert_eq!(channel.text(&endpoint, &url), text, "it does not change");
    // Late on purpose: as a channel that began later.
    let late = channel.text(&endpoint, "/v1/g/c/e/main.mpd?offset=30");
    validate("offset", &late);
    let late = Follower::default().follow(&late);
    assert_eq!(late.attributes["availabilityStartTime"], date::format(channel::EPOCH_MS + 30_000));
}
