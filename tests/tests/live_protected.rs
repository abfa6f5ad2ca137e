//! Protected live channels: what a client gets of every scheme is encrypted, and ffmpeg decrypts it to the pictures and sounds that
//! were pushed; browsers play it with the keys that the control plane delivers; an endpoint whose key server is down never serves
//! media; and no key is in a log or a file.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::ffmpeg::{self, Reading, Sound, Streams};
use e2e::live::{Channel, Clip, Container, Encoder, HlsRecorder, Pace, Pusher, Recording, Snapshot, Spec, play};
use e2e::playlist::{Media, Multivariant};
use e2e::{Control, Setup, browser, control, http, tools};
use serde_json::{Value, json};

const KID: &str = "11111111-0000-4000-8000-0000000000a1";
const SOUND_KID: &str = "11111111-0000-4000-8000-0000000000a2";
const KEY: [u8; 16] = *b"\x93\x1f\xc8\x07\xee\x52\x6b\xd4\x18\xa9\x3d\x70\xfb\x44\x86\x2e";
const SOUND_KEY: [u8; 16] = *b"\x27\xb8\x4d\xf1\x5c\x06\xe3\x99\xa0\x7f\x12\xcb\x68\xd5\x3e\x84";
/// Not one of the channel's.
const WRONG_KEY: [u8; 16] = [0x77; 16];
/// Seconds of a clip, and so its segments.
const SECONDS: u32 = 7;
/// How long the last segments may take to come out, and edges to hear of a change.
const OUT: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// An endpoint of a channel: its name and its playback URL.
type Offer = (&'static str, String);

/// Of all endpoints the name, the protocol, and the protection.
fn endpoints() -> Vec<(&'static str, &'static str, Value)> {
    let open = json!({"policy": "open"});
    let key =
        |kid: &str, key: [u8; 16], media: &str| json!({"kid": kid, "key": hex::encode(key), "usage": {"media": media}});
    let one = json!([key(KID, KEY, "all")]);
    let two = json!([key(KID, KEY, "video"), key(SOUND_KID, SOUND_KEY, "audio")]);
    let common =
        |scheme: &str| json!({"scheme": scheme, "systems": ["clearkey"], "static_keys": two, "key_delivery": open});
    let fetched = |scheme: &str| json!({"scheme": scheme, "static_keys": one, "key_delivery": open});
    vec![
        ("aes-128", "HLS", fetched("aes-128")),
        ("sample-aes", "HLS", fetched("sample-aes")),
        ("cmaf-cbcs", "HLS_CMAF", common("cbcs")),
        ("cmaf-cenc", "HLS_CMAF", common("cenc")),
        ("dash-cbcs", "DASH", common("cbcs")),
        ("dash-cenc", "DASH", common("cenc")),
    ]
}

/// An endpoint with segments of `seconds`, and a day of time shift.
fn offer(
    control: &Control,
    channel: &Channel,
    (name, protocol, protection): (&'static str, &str, Value),
    seconds: u32,
) -> Offer {
    let mut body =
        json!({"name": name, "protocol": protocol, "segment": {"duration_seconds": seconds}, "time_shift_days": 1});
    if protection.is_object() {
        body["protection"] = protection;
    }
    body["manifest"] = match protocol {
        "DASH" => json!({"min_update_seconds": seconds, "presentation_delay_seconds": 3 * seconds}),
        _ => json!({"program_date_time_seconds": 0}),
    };
    (name, channel.endpoint(control, &body))
}

/// A protection by a key server that is not there.
fn by_nobody(scheme: &str, systems: &Value) -> Value {
    let url = format!("http://{}/speke", control::free_address());
    let server = json!({"url": url, "version": "2.0", "contract": "SHARED"});
    json!({"scheme": scheme, "systems": systems, "key_server": server, "key_delivery": {"policy": "open"}})
}

#[test]
fn what_clients_get_decrypts_to_what_was_pushed() {
    let control = Control::start();
    let folder = tempfile::tempdir().expect("a folder");
    let channels = [("ts", "HLS", Container::Transport, 0), ("fmp4", "HLS_CMAF", Container::Fragments, 20)];
    let channels = channels.map(|(name, protocol, container, first)| {
        let clip = Arc::new(Clip::make(Spec { container, first, seconds: SECONDS, clock: 700.0 }));
        let channel = Channel::create(&control, name, protocol, 1);
        let clear = offer(&control, &channel, ("clear", "HLS", Value::Null), 1).1;
        let protected: Vec<Offer> = endpoints().into_iter().map(|one| offer(&control, &channel, one, 1)).collect();
        let nobody: Vec<Offer> = [
            ("nobody-hls", "HLS", by_nobody("aes-128", &json!([]))),
            ("nobody-cmaf", "HLS_CMAF", by_nobody("cbcs", &json!(["clearkey"]))),
            ("nobody-dash", "DASH", by_nobody("cenc", &json!(["clearkey"]))),
        ]
        .map(|one| offer(&control, &channel, one, 1))
        .into();
        (channel, clip, clear, protected, nobody)
    });
    let mut pushers = channels.each_ref().map(|(channel, clip, ..)| Pusher::begin(channel.input(1), clip));
    let mut pace = Pace::default();
    for second in 0..SECONDS as usize {
        pace.wait();
        pushers.iter_mut().for_each(|pusher| pusher.push(second));
        for (.., nobody) in &channels {
            nobody.iter().for_each(|(name, url)| assert_nothing(&control, name, url));
        }
    }
    for (channel, clip, clear, protected, nobody) in &channels {
        let what = &channel.path;
        until(what, || window(&control, clear).is_some());
        let window = window(&control, clear).expect("a window");
        let at = |url: &str| format!("{url}?{window}");
        for (name, url) in nobody {
            assert_nothing(&control, name, url);
            let shown = control.rest("GET", &format!("{}/endpoints/{name}", channel.path), None).json();
            assert_eq!(shown["protection_status"]["state"], "FAILED", "{shown}");
            assert!(shown["protection_status"]["reason"].as_str().is_some_and(|why| !why.is_empty()), "{shown}");
        }
        let wanted = Wanted::of(clip);
        for (name, url) in protected {
            let what = format!("{what} {name}");
            match *name {
                "aes-128" | "sample-aes" => check_transport(&control, &what, &at(url), &at(clear), &wanted),
                _ => {
                    let recording = match name.starts_with("dash") {
                        true => Recording::of_dash(&at(url)),
                        false => Recording::of_hls(&control.client, &at(url)),
                    };
                    check_fragments(&what, &recording, &wanted, folder.path());
                }
            }
        }
    }
    a_change_is_never_in_the_clear(&control, &channels[0].0);
    nothing_is_written_down(&control);
}

/// A channel that is there is given protection for which there are no keys: what was in the clear is so no longer. Then it gets keys.
fn a_change_is_never_in_the_clear(control: &Control, channel: &Channel) {
    let url = &offer(control, channel, ("later", "HLS_CMAF", Value::Null), 1).1;
    until("the endpoint", || control.client.try_send("GET", url, &[], &[]).is_some_and(|answer| answer.status == 200));
    let list = Media::fetch(&control.client, &Multivariant::fetch(&control.client, url).media_urls()[0]);
    let (init, segment) = (list.init_url(), list.segment_urls()[0].clone());
    let clear = control.client.get(&segment).body;
    let path = format!("{}/endpoints/later", channel.path);
    let patch = |protection: Value| {
        let answer = control.rest("PATCH", &path, Some(&json!({ "protection": protection })));
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    patch(by_nobody("cbcs", &json!(["clearkey"])));
    until("the change", || control.client.try_send("GET", url, &[], &[]).is_some_and(|answer| answer.status == 503));
    for _ in 0..10 {
        for url in [url, &list.url, &init, &segment] {
            let answer = control.client.send("GET", url, &[], &[]);
            assert_eq!(answer.status, 503, "{url}: {}", answer.text());
            answer.problem();
        }
        std::thread::sleep(POLL);
    }
    let keys = json!([{"kid": KID, "key": hex::encode(KEY)}]);
    patch(json!({"scheme": "cbcs", "systems": ["clearkey"], "static_keys": keys, "key_delivery": {"policy": "open"}}));
    until("the keys", || control.client.try_send("GET", url, &[], &[]).is_some_and(|answer| answer.status == 200));
    let list = Media::fetch(&control.client, &Multivariant::fetch(&control.client, url).media_urls()[0]);
    assert!(list.segment_urls()[0] != segment, "what is encrypted has another URL");
    assert!(control.client.get(&list.segment_urls()[0]).body != clear);
    let old = control.client.send("GET", &segment, &[], &[]);
    assert!(old.status != 200 || old.body != clear, "the clear segment is gone");
}

/// Nothing of an endpoint without keys is served: neither a manifest nor what one would name.
fn assert_nothing(control: &Control, name: &str, url: &str) {
    let base = url.rsplit_once('/').map_or(url, |(base, _)| base);
    let of_clear = format!("{base}/0123456789abcdef");
    let more = ["v0/index.m3u8", "v0/0.m4s", "v0/0.ts", "v0/init-0.mp4"].map(|file| format!("{of_clear}/{file}"));
    let media = control.client.send("GET", url, &[], &[]);
    assert_eq!(media.status, 503, "{name}: {}", media.text());
    media.problem();
    for url in more {
        let answer = control.client.send("GET", &url, &[], &[]);
        assert!(matches!(answer.status, 503 | 404), "{url}: {} {}", answer.status, answer.text());
    }
}

/// A closed window of all that was pushed, when all of it is out.
fn window(control: &Control, clear: &str) -> Option<String> {
    if control.client.try_send("GET", clear, &[], &[]).is_none_or(|answer| answer.status != 200) {
        return None;
    }
    let lists = Multivariant::fetch(&control.client, clear).media_urls();
    let lists = lists.iter().map(|url| Snapshot::read(&control.client.get(url).text()).expect("a playlist"));
    let lists: Vec<Snapshot> = lists.collect();
    let dates: Vec<u64> = lists[0].entries.iter().filter_map(|entry| entry.date_ms).collect();
    let whole = lists.iter().all(|list| list.entries.len() == SECONDS as usize);
    let (first, last) = dates.first().zip(dates.last())?;
    let query = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
    (whole && dates.len() == SECONDS as usize).then(|| format!("start={}&vodend={}", query(*first), query(last + 1000)))
}

fn until(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < OUT, "waited for {what} in vain");
        std::thread::sleep(POLL);
    }
}

/// What was pushed: of each rendition its pictures, and the packets of sound, which all have.
struct Wanted {
    pictures: Vec<Vec<String>>,
    sounds: Vec<String>,
}

impl Wanted {
    fn of(clip: &Clip) -> Self {
        let file = tempfile::Builder::new().suffix(&format!(".{}", clip.spec.extension())).tempfile().expect("a file");
        let streams = clip.renditions.iter().map(|rendition| {
            let bytes = [rendition.init.clone().unwrap_or_default(), rendition.segments.concat()].concat();
            std::fs::write(file.path(), bytes).expect("the clip");
            let transport = clip.spec.container == Container::Transport;
            let (options, sound): (&[&str], Sound) = if transport {
                (&[], Sound::WithoutAdts)
            } else {
                (&["-f", "mov", "-ignore_editlist", "1"], Sound::Packets)
            };
            read(&file.path().to_string_lossy(), (true, true), options, true, sound).expect("the clip")
        });
        let mut streams: Vec<Streams> = streams.collect();
        let sounds = streams[0].audio.remove(0).hashes;
        let pictures: Vec<Vec<String>> = streams.into_iter().map(|mut one| one.video.remove(0).hashes).collect();
        assert!(pictures.iter().all(|one| one.len() == 25 * SECONDS as usize), "the pictures of the clip");
        Self { pictures, sounds }
    }
}

fn read(
    input: &str,
    (video, audio): (bool, bool),
    options: &[&str],
    decode: bool,
    sound: Sound,
) -> Result<Streams, String> {
    let (video, audio): (&[usize], &[usize]) = (if video { &[0] } else { &[] }, if audio { &[0] } else { &[] });
    ffmpeg::read(&Reading { input, video, audio, options, decode, sound })
}

/// ffmpeg plays a closed window with the keys that the playlist names: the packets are those of the endpoint in the clear, and the
/// pictures of that are those that were pushed.
fn check_transport(control: &Control, what: &str, url: &str, clear: &str, wanted: &Wanted) {
    let lists = |url: &str| Multivariant::fetch(&control.client, url).media_urls();
    let (lists, clear_lists) = (lists(url), lists(clear));
    assert_eq!((lists.len(), clear_lists.len()), (2, 2), "{what}");
    let method = if what.ends_with("sample-aes") { "SAMPLE-AES" } else { "AES-128" };
    // ffmpeg does not decrypt the packet of a stream that it has left when the last segment of SAMPLE-AES ends.
    let left = usize::from(method == "SAMPLE-AES");
    for (list, clear) in lists.iter().zip(&clear_lists) {
        let media = Media::fetch(&control.client, list);
        let keys = media.text.lines().filter(|line| line.starts_with("#EXT-X-KEY:"));
        let keys: Vec<&str> = keys.collect();
        assert_eq!(keys.len(), 1, "{what}: one key for ever\n{}", media.text);
        let place = format!("{}/keys/v1/live/aes-128/", control.url);
        assert!(keys[0].contains(&format!("METHOD={method},")) && keys[0].contains(&place), "{}", media.text);
        let bodies = |media: &Media| -> Vec<Vec<u8>> {
            media.segment_urls().iter().map(|url| control.client.get(url).body).collect()
        };
        let open = bodies(&Media::fetch(&control.client, clear));
        assert_eq!(open.len(), SECONDS as usize, "{what}");
        for (ours, open) in bodies(&media).iter().zip(&open) {
            assert!(ours != open, "{what}: a segment in the clear");
            match method {
                "AES-128" => {
                    assert!(ours.len().is_multiple_of(16) && ours.len() == open.len() / 16 * 16 + 16, "{what}")
                }
                _ => assert!(ours.len().is_multiple_of(188), "{what}"),
            }
        }
        let packets = |url: &str| read(url, (true, true), &[], false, Sound::Packets);
        let (ours, open) = (packets(list), packets(clear));
        let (ours, open) =
            (ours.unwrap_or_else(|e| panic!("{what}: {e}")), open.unwrap_or_else(|e| panic!("{what}: {e}")));
        for (ours, open) in ours.video.iter().chain(&ours.audio).zip(open.video.iter().chain(&open.audio)) {
            let whole = open.hashes.len() - left;
            assert!(whole > 100 && ours.hashes.len() >= whole, "{what}: {} of {whole} packets", ours.hashes.len());
            assert!(ours.hashes[..whole] == open.hashes[..whole], "{what}: packets differ");
        }
        let played = read(clear, (true, true), &[], true, Sound::WithoutAdts).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(
            wanted.pictures.contains(&played.video[0].hashes),
            "{what}: the pictures are not those that were pushed"
        );
        assert_sounds(what, &played.audio[0].hashes, wanted);
    }
}

/// Sound is cut where its frames are; at the ends of a clip one may be missing.
fn assert_sounds(what: &str, found: &[String], wanted: &Wanted) {
    let few = wanted.sounds.len() - found.len().min(wanted.sounds.len());
    let first = wanted.sounds.iter().position(|one| Some(one) == found.first()).unwrap_or(usize::MAX);
    assert!(
        few <= 2 && first <= 2,
        "{what}: {} packets of sound from {first} on, of {}",
        found.len(),
        wanted.sounds.len()
    );
    let end = (first + found.len()).min(wanted.sounds.len());
    assert!(wanted.sounds[first..end] == found[..end - first], "{what}: the sound is not what was pushed");
}

/// Every track decrypts with its key, and with no other.
fn check_fragments(what: &str, recording: &Recording, wanted: &Wanted, folder: &std::path::Path) {
    let scheme = if what.ends_with("cenc") { b"cenc" } else { b"cbcs" };
    let mut seen = Vec::new();
    let (mut pictures, mut sounds) = (0, 0);
    for track in &recording.tracks {
        let what = format!("{what} {}", track.name);
        assert_eq!(track.chunks.len(), 1, "{what}");
        let chunk = &track.chunks[0];
        assert_eq!(chunk.segments, SECONDS as usize, "{what}");
        let has = |name: &[u8]| chunk.bytes.windows(name.len()).any(|window| window == name);
        assert!(
            has(scheme) && has(if track.kinds.0 { b"encv" } else { b"enca" }),
            "{what}: the initialization section"
        );
        let file = folder.join("encrypted.mp4");
        std::fs::write(&file, &chunk.bytes).expect("a file");
        let found = |key: [u8; 16]| {
            let clear = decrypted(&file, key)?;
            read(&clear, track.kinds, &["-f", "mov", "-ignore_editlist", "1"], true, Sound::Packets)
        };
        let (own, other) = if track.kinds.0 { (KEY, SOUND_KEY) } else { (SOUND_KEY, KEY) };
        let right = found(own).unwrap_or_else(|error| panic!("{what}: {error}"));
        if track.kinds.0 {
            let of = wanted.pictures.iter().position(|one| *one == right.video[0].hashes);
            seen.push(of.unwrap_or_else(|| panic!("{what}: the pictures are not those that were pushed")));
            pictures += 1;
        } else {
            assert_sounds(&what, &right.audio[0].hashes, wanted);
            sounds += 1;
        }
        for wrong in [other, WRONG_KEY] {
            // A decoder may refuse it altogether.
            if let Ok(found) = found(wrong) {
                let hashes = found.video.iter().chain(&found.audio).flat_map(|stream| &stream.hashes);
                let all: Vec<&String> = wanted.pictures.iter().flatten().chain(&wanted.sounds).collect();
                let right = hashes.filter(|hash| all.contains(hash)).count();
                assert!(right == 0, "{what}: {right} are right with a wrong key");
            }
        }
    }
    seen.sort_unstable();
    assert_eq!((pictures, seen), (2, vec![0, 1]), "{what}: both renditions");
    assert!(sounds > 0, "{what}: sound");
}

/// Decrypts a track of fragments into a file. ffmpeg gets it through a pipe: of an input in which it can seek ffmpeg 5 takes the
/// auxiliary information of the wrong fragments when there is no `sidx`.
fn decrypted(file: &std::path::Path, key: [u8; 16]) -> Result<String, String> {
    let clear = file.with_extension("clear.mp4");
    let mut ffmpeg = Command::new(tools::program(&["ffmpeg"]));
    ffmpeg.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-decryption_key", &hex::encode(key)]);
    ffmpeg.args(["-ignore_editlist", "1", "-i", "pipe:0", "-map", "0", "-c", "copy", "-copyts", "-f", "mp4"]);
    let input = std::fs::File::open(file).expect("the track");
    let output = tools::run_with(ffmpeg.arg(&clear), Stdio::from(input), DEADLINE);
    match output.status.success() {
        true => Ok(clear.to_string_lossy().into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// No key is in a log or a file of the control plane or its edge, in whichever form.
fn nothing_is_written_down(control: &Control) {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let mut forms = Vec::new();
    for key in [KEY, SOUND_KEY] {
        let hex = hex::encode(key);
        forms.extend([key.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()]);
        forms.extend([STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|form| form.encode(key).into_bytes()));
    }
    let files = e2e::media::files_below(&control.data);
    let named = |end: &str| files.iter().any(|file| file.to_string_lossy().ends_with(end));
    assert!(named("control.db") && named("control.log") && files.len() > 10, "{files:?}");
    for file in &files {
        let bytes = std::fs::read(file).unwrap_or_default();
        let found = forms.iter().any(|form| bytes.windows(form.len()).any(|window| window == form.as_slice()));
        assert!(!found, "a key is in {}", file.display());
    }
    assert!(control.log().contains("has its keys"), "{}", control.log());
}

#[test]
fn browsers_play_protected_channels() {
    let folder = tempfile::tempdir().expect("a folder");
    let control = Setup::at(folder.path()).start();
    let channel = Channel::create(&control, "watched", "HLS", 2);
    let offers: Vec<Offer> = endpoints().into_iter().map(|one| offer(&control, &channel, one, 2)).collect();
    let url = |name: &str| offers.iter().find(|one| one.0 == name).map(|one| one.1.as_str()).expect("the endpoint");
    let mut encoder = Encoder::start(channel.input(1), Container::Transport);
    let follow = HlsRecorder::follow(url("sample-aes"));
    follow.wait_for(4, Duration::from_secs(90));
    follow.finish();
    let watched = [("hls", "cmaf-cbcs"), ("shaka", "dash-cbcs"), ("dashjs", "dash-cenc"), ("hls", "sample-aes")];
    let base = control.url.replace("127.0.0.1", "localhost");
    let outcomes = browser::each(&watched, |(engine, name)| {
        let eme = !name.ends_with("sample-aes");
        let mut options = json!({"url": url(name), "watch": 5, "within": 60, "eme": eme});
        // Clear Key in HLS says nothing of a licence server.
        if *engine == "hls" && name.starts_with("cmaf") {
            options["licence"] =
                json!(http::resolve(&control.url, &format!("/keys/v1/live/clearkey/live/watched/{name}")));
        }
        let name = format!("live-protected-{engine}-{name}");
        play(&base, engine, &name, options).map_err(|error| format!("{name}: {error}"))
    });
    let wrong: Vec<String> =
        outcomes.into_iter().filter_map(|outcome| outcome.map(|said| println!("{said}")).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(encoder.runs(), "the encoder gave up");
}
