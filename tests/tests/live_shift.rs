//! Time shift: windows of what was pushed, across a failover, a restart of the encoders and what was lost, exact to the picture;
//! and a harvest of such a window. All but the windows that grow is asked of a control plane and an edge that were started anew.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::http::Client;
use e2e::live::{
    Channel, Clip, Container, Content, Entry, Harvest, Pace, Pusher, Recording, Rules, Snapshot, Spec, play,
};
use e2e::mpd::Mpd;
use e2e::playlist::Multivariant;
use e2e::{Control, browser};
use serde_json::json;
use tempfile::TempDir;

/// How long the last segments may take to come out.
const OUT: Duration = Duration::from_secs(20);
/// Where the second clip begins in the test picture.
const SECOND: u32 = 40;
/// Segments of the clips.
const SEGMENTS: [usize; 2] = [14, 7];
/// The segment of the second clip that neither encoder can push.
const LOST: usize = 3;

/// A channel with something in its archive.
struct Archive {
    control: Control,
    channel: Channel,
    urls: [String; 3],
    content: Content,
    /// For each segment its second of the test picture, unless it was lost, and its date, milliseconds since 1970.
    segments: Vec<(Option<u32>, u64)>,
    _folder: TempDir,
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    u64::try_from(now.as_millis()).expect("milliseconds")
}

/// The first media playlist of a multivariant playlist.
fn list(client: &Client, url: &str) -> Snapshot {
    let url = &Multivariant::fetch(client, url).media_urls()[0];
    let text = client.get(url).text();
    let list = Snapshot::read(&text).unwrap_or_else(|error| panic!("{url}: {error}\n{text}"));
    Rules::default().check(&list).unwrap_or_else(|error| panic!("{url}: {error}\n{text}"));
    list
}

/// Seconds since 1970, as queries have them.
fn query(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

#[test]
fn windows_are_exact_to_the_picture() {
    let archive = pushed();
    let Archive { control, urls, content, segments, .. } = &archive;
    let [hls, cmaf, dash] = urls;
    let date = |at: usize| segments[at].1;
    let breaks_at = SEGMENTS[0];
    // First and last millisecond, and which segments that is.
    let windows = [
        ("from one segment to another", date(0), date(4), 0..4),
        ("from the middle of segments", date(2) + 500, date(6) + 250, 2..7),
        ("of a moment", date(5) + 300, date(5) + 310, 5..6),
        ("across a failover", date(7), date(12), 7..12),
        ("up to a restart", date(11), date(breaks_at), 11..breaks_at),
        ("across a restart", date(12), date(16), 12..16),
        ("across what was lost", date(15), date(20), 15..20),
        ("up to what was lost", date(15), date(breaks_at + LOST) + 500, 15..breaks_at + LOST + 1),
        ("of everything", date(0), date(20) + 1000, 0..21),
        ("from before the beginning", date(0) - 60_000, date(2), 0..2),
    ];
    for (what, start, end, wanted) in windows {
        let seconds: Vec<u32> = segments[wanted.clone()].iter().filter_map(|(second, _)| *second).collect();
        let across = wanted.start < breaks_at && wanted.end > breaks_at;
        let lost = wanted.clone().position(|at| at == breaks_at + LOST);
        // After what was lost there is a new period, which is no discontinuity.
        let breaks = usize::from(across) + usize::from(lost.is_some_and(|at| at + 1 < wanted.len()));
        let window = format!("start={}&vodend={}", query(start), query(end));
        // A closed window of what is over is the same whichever way it is asked for; `vodend` wins.
        let closed = format!("start={}&end={}", query(start), query(end));
        let both = format!("{window}&end={}", query(end + 3_600_000));
        for (name, url) in [("HLS", hls), ("HLS_CMAF", cmaf)] {
            let what = format!("{name} {what}");
            let vod = list(&control.client, &format!("{url}?{window}"));
            assert!(vod.ended && vod.kind.as_deref() == Some("VOD"), "{what}: {vod:?}");
            let entries =
                |list: &Snapshot| list.entries.iter().map(|e| (e.duration, e.discontinuity, e.gap)).collect::<Vec<_>>();
            assert_eq!(vod.entries.len(), wanted.len(), "{what}");
            assert_eq!(vod.entries.iter().position(|e| e.gap), lost, "{what}");
            assert_eq!(vod.entries.iter().skip(1).filter(|e| e.discontinuity).count(), usize::from(across), "{what}");
            for query in [&closed, &both] {
                let other = list(&control.client, &format!("{url}?{query}"));
                assert!(other.ended, "{what}, {query}");
                assert_eq!(entries(&other), entries(&vod), "{what}, {query}");
            }
            let recording = Recording::of_hls(&control.client, &format!("{url}?{window}"));
            recording.assert_seconds(&what, content, &seconds, breaks);
        }
        let mpd = Mpd::fetch(&control.client, &format!("{dash}?{window}"));
        assert_eq!(mpd.attributes.get("type").map_or("static", String::as_str), "static", "{what}\n{}", mpd.text);
        assert_eq!(mpd.periods.len(), 1 + breaks, "{what}\n{}", mpd.text);
        let recording = Recording::of_dash(&format!("{dash}?{window}"));
        recording.assert_seconds(&format!("DASH {what}"), content, &seconds, breaks);
    }
    refusals(&archive);
    harvested(&archive);
    plays(&archive);
}

/// An asset of a range across all that happened has exactly that.
fn harvested(archive: &Archive) {
    let Archive { control, channel, content, segments, .. } = archive;
    let wanted = 6..20;
    let dates = (segments[wanted.start].1 + 500, segments[wanted.end - 1].1 + 500);
    let harvest = Harvest::begin(control, channel, "hls", "shift", dates);
    harvest.until(control, "copies", |json| json["status"] == "FINISHED");
    let seconds: Vec<u32> = segments[wanted].iter().filter_map(|(second, _)| *second).collect();
    let duration = harvest.duration(control);
    assert!((duration - seconds.len() as f64).abs() < 0.2, "{duration} s");
    harvest.assert_seconds(control, "a harvest", content, &seconds, 2);
}

/// Pushes two clips, one after the other as by encoders that are started anew, the preferred input away for a while; looks
/// meanwhile at windows that are not over.
fn pushed() -> Archive {
    let container = Container::Transport;
    let [first, second] = SEGMENTS.map(|segments| segments as u32);
    let first = Arc::new(Clip::make(Spec { container, first: 0, seconds: first, clock: 500.0 }));
    let second = Arc::new(Clip::make(Spec { container, first: SECOND, seconds: second, clock: 1.0 }));
    let content = Content::of(&[&first, &second]);
    let folder = tempfile::tempdir().expect("a folder");
    let control = e2e::Setup::at(folder.path()).start();
    let channel = Channel::create(&control, "shift", "HLS", 1);
    let urls = channel.endpoints(&control, 1);
    let mut pushers = [1, 2].map(|input| Pusher::begin(channel.input(input), &first));
    let mut growing = None;
    let mut pace = Pace::default();
    for (clip, segments) in [(None, SEGMENTS[0]), (Some(&second), SEGMENTS[1])] {
        if let Some(clip) = clip {
            pushers.iter_mut().for_each(|pusher| pusher.restart(clip));
        }
        for segment in 0..segments {
            pace.wait();
            for (input, pusher) in pushers.iter_mut().enumerate() {
                if clip.is_some() && segment == LOST {
                    pusher.lose(segment);
                } else if input == 1 || clip.is_some() || !(8..11).contains(&segment) {
                    pusher.push(segment);
                }
            }
            if clip.is_none() && segment == 5 {
                growing = Some(begin_growing(&control, &urls));
            }
        }
    }
    let total = SEGMENTS.iter().sum::<usize>();
    channel.until(&control, "all segments", OUT, |json| json["status"]["positions"].as_u64() == Some(total as u64));
    let since = now_ms() / 1000 - 3600;
    let whole = list(&control.client, &format!("{}?start={since}", urls[0]));
    assert!(!whole.ended && whole.entries.len() == total, "{whole:?}");
    behind(&control, &urls[0], &whole);
    let seconds = (0..SEGMENTS[0] as u32).chain(SECOND..SECOND + SEGMENTS[1] as u32);
    let seconds = seconds.map(|second| (second != SECOND + LOST as u32).then_some(second));
    let dates = whole.entries.iter().map(|entry| entry.date_ms.expect("a date"));
    let segments = seconds.zip(dates).collect();
    end_growing(&control, growing.expect("a window that grows"));
    let control = control.kill().start();
    behind(&control, &urls[0], &whole);
    Archive { control, channel, urls, content, segments, _folder: folder }
}

/// A window that begins with the second segment and ends in a few seconds: it is open.
fn begin_growing(control: &Control, urls: &[String; 3]) -> [String; 2] {
    let first = list(&control.client, &urls[0]);
    let start = first.entries[1].date_ms.expect("a date");
    let window = format!("start={}&end={}", query(start), query(start + 10_000));
    let url = format!("{}?{window}", urls[0]);
    let open = list(&control.client, &url);
    assert!(!open.ended && open.kind.as_deref() != Some("VOD"), "{open:?}");
    assert_eq!(open.entries[0].date_ms, Some(start));
    let dash = format!("{}?{window}", urls[2]);
    let mpd = Mpd::fetch(&control.client, &dash);
    assert_eq!(mpd.attributes.get("type").map(String::as_str), Some("dynamic"), "{}", mpd.text);
    // What is not there yet cannot be closed.
    let early = control.client.send("GET", &format!("{}?{}", urls[0], window.replace("&end", "&vodend")), &[], &[]);
    assert_eq!(early.status, 404, "{}", early.text());
    early.problem();
    [url, dash]
}

/// Its end has come: it is closed.
fn end_growing(control: &Control, [hls, dash]: [String; 2]) {
    let closed = list(&control.client, &hls);
    assert!(closed.ended, "{closed:?}");
    assert_eq!(closed.entries.len(), 10, "{closed:?}");
    // A presentation that was dynamic says that it is over by its duration, and that it will not change (ISO/IEC 23009-1, 5.3.1.2).
    let mpd = Mpd::fetch(&control.client, &dash);
    let has = |name: &str| mpd.attributes.contains_key(name);
    assert!(has("mediaPresentationDuration") && !has("minimumUpdatePeriod"), "{}", mpd.text);
    let segments = mpd.representations[0].segments.len();
    assert_eq!(segments, 10, "{}", mpd.text);
}

/// What is `offset` seconds behind ends there: before the segment of that time. What was lost is in it, and said to be.
fn behind(control: &Control, url: &str, whole: &Snapshot) {
    let dates: Vec<u64> = whole.entries.iter().map(|entry| entry.date_ms.expect("a date")).collect();
    for offset in [5, 8] {
        let before = now_ms();
        let list = list(&control.client, &format!("{url}?offset={offset}"));
        let after = now_ms();
        assert!(!list.ended, "{offset} s behind: {list:?}");
        let place = |entry: &Entry| (entry.date_ms, entry.gap, entry.discontinuities);
        let known: Vec<_> = whole.entries.iter().map(place).collect();
        let found: Vec<_> = list.entries.iter().map(place).collect();
        assert!(found.len() == 10 && known.windows(10).any(|some| some == found), "{found:?} {known:?}");
        let last = list.entries.last().and_then(|entry| entry.date_ms).expect("a date");
        let at = dates.iter().position(|date| *date == last).unwrap_or_else(|| panic!("no segment began at {last}"));
        assert!(last + 1000 <= after - offset * 1000, "{offset} s behind {after}: the last segment began at {last}");
        let next = dates.get(at + 1).unwrap_or_else(|| panic!("{offset} s behind is nothing behind"));
        // Manifests are made anew every half segment.
        let due = next + 1000 + 600;
        assert!(due > before - offset * 1000, "{offset} s behind {before}: the segment of {next} is missing");
    }
}

fn refusals(archive: &Archive) {
    let Archive { control, urls, segments, .. } = archive;
    let plain = json!({ "name": "plain", "protocol": "HLS" });
    let plain = control.create("/v1/channel-groups/live/channels/shift/endpoints", &plain);
    let plain = plain["playback_urls"][0]["url"].as_str().expect("a URL").to_owned();
    let start = query(segments[3].1);
    for (url, query, status, says) in [
        (&urls[0], format!("start={start}&offset=3"), 400, "start and offset"),
        (&urls[2], format!("offset=3&start={start}"), 400, "start and offset"),
        (&urls[0], format!("start={}", now_ms() / 1000 - 2 * 86_400), 400, "start"),
        (&urls[1], format!("offset={}", 2 * 86_400), 400, "offset"),
        (&urls[0], "start=yesterday".to_owned(), 400, "start"),
        (&urls[2], format!("start={start}&vodend={start}"), 400, "vodend"),
        (&urls[0], format!("start={start}&vodend={}", now_ms() / 1000 + 3600), 404, "vodend"),
        (&urls[0], format!("start={}", now_ms() / 1000 + 3600), 404, "nothing"),
        (&plain, format!("start={start}"), 400, "no time shift"),
        (&plain, "offset=3".to_owned(), 400, "no time shift"),
    ] {
        let answer = control.client.send("GET", &format!("{url}?{query}"), &[], &[]);
        assert_eq!(answer.status, status, "{url}?{query}: {}", answer.text());
        let detail = answer.problem();
        assert!(detail.contains(says), "{url}?{query}: {detail}");
    }
    control.client.get(&plain);
}

/// Players play a window to its end, across the restart.
fn plays(archive: &Archive) {
    let Archive { control, urls, segments, .. } = archive;
    let [hls, cmaf, dash] = urls;
    let window = format!("start={}&vodend={}", query(segments[9].1), query(segments[17].1));
    let mpd = Mpd::fetch(&control.client, &format!("{dash}?{window}"));
    let duration = mpd.attributes.get("mediaPresentationDuration").expect("a duration");
    let duration: f64 = duration.trim_start_matches("PT").trim_end_matches('S').parse().expect("seconds");
    let whole = [("hls", hls, 8.0), ("hls", cmaf, 8.0), ("shaka", dash, duration), ("dashjs", dash, duration)];
    let outcomes = browser::each(&whole, |(engine, url, seconds)| {
        let name = format!("live-window-{engine}-{}", url.rsplit('/').nth(1).unwrap_or_default());
        let options = json!({ "url": format!("{url}?{window}"), "whole": seconds, "within": 60 });
        play(&control.url, engine, &name, options).map_err(|error| format!("{name}: {error}"))
    });
    let wrong: Vec<String> =
        outcomes.into_iter().filter_map(|outcome| outcome.map(|said| println!("{said}")).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
