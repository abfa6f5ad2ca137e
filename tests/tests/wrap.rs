//! A transport stream of 27 hours: its clock of 33 bits begins again at zero after 26.5 hours, in the source and in our
//! output, and nothing of that may be seen.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::mpd::Mpd;
use e2e::playlist::{Media, Multivariant};
use e2e::ts::shift::{Counters, shifted};
use e2e::{Control, tools, ts};

const DEADLINE: Duration = Duration::from_secs(60);
/// A whole number of pictures and of AAC frames: 64 pictures, 500 frames of 1024 samples at 8 kHz.
const SEGMENT_SECONDS: u64 = 64;
/// 27 hours and 16 seconds.
const SEGMENTS: u64 = 1519;
const SECONDS: u64 = SEGMENT_SECONDS * SEGMENTS;
/// Key frames are this far apart; outputs are cut there.
const GROUP_SECONDS: u64 = 8;
/// What the source begins with; ours does too.
const START_SECONDS: u64 = 10;
/// Sound begins one frame earlier than the pictures, and the presentation with it: in ticks of 90 kHz.
const SOUND_FIRST: u64 = 1024 * 90_000 / 8000;
/// Time of the manifest when the clock begins again.
const WRAP_SECONDS: u64 = (1 << 33) / 90_000 - START_SECONDS;

/// One segment with a picture a second and sound, as ffmpeg makes it.
fn segment(folder: &Path) -> Vec<u8> {
    let file = folder.join("one.ts");
    let mut ffmpeg = Command::new(tools::program(&["ffmpeg"]));
    ffmpeg.args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i"]);
    ffmpeg.arg(format!("testsrc2=s=64x64:r=1:d={SEGMENT_SECONDS}"));
    ffmpeg.args(["-f", "lavfi", "-i", &format!("sine=frequency=300:sample_rate=8000:duration={SEGMENT_SECONDS}")]);
    ffmpeg.args(["-c:v", "libx264", "-threads", "1", "-g", &GROUP_SECONDS.to_string(), "-bf", "1", "-crf", "50"]);
    ffmpeg.args(["-pix_fmt", "yuv420p", "-sc_threshold", "0", "-x264-params", "open-gop=0"]);
    // As few bytes as can be: there will be thousands of segments.
    ffmpeg.args(["-af", "volume=0", "-c:a", "aac", "-b:a", "8k", "-frames:a", "500"]);
    ffmpeg.args(["-muxdelay", "4", "-pat_period", "100", "-sdt_period", "100", "-f", "mpegts"]);
    tools::succeed(ffmpeg.arg(&file), DEADLINE);
    std::fs::read(file).expect("a segment")
}

/// Writes the title below `folder`.
fn store(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    let one = segment(folder);
    let report = ts::check(std::slice::from_ref(&one));
    let first = report.streams[&report.pcr_pid].units[0].pts;
    let mut list = format!("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{SEGMENT_SECONDS}\n");
    let mut counters = Counters::new();
    for number in 0..SEGMENTS {
        let start = (START_SECONDS + number * SEGMENT_SECONDS) * 90_000;
        let ticks = start.wrapping_sub(first) & ((1 << 33) - 1);
        std::fs::write(folder.join(format!("{number}.ts")), shifted(&one, ticks, &mut counters)).expect("a segment");
        list += &format!("#EXTINF:{SEGMENT_SECONDS}.0,\n{number}.ts\n");
    }
    std::fs::write(folder.join("index.m3u8"), list + "#EXT-X-ENDLIST\n").expect("a playlist");
    let main =
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=20000,RESOLUTION=64x64,CODECS=\"avc1.64000a,mp4a.40.2\"\nindex.m3u8\n";
    std::fs::write(folder.join("main.m3u8"), main).expect("a playlist");
}

#[test]
fn twenty_seven_hours_of_transport_stream() {
    let control = Control::start();
    control.group_of_everything("wrap", GROUP_SECONDS as u32);
    store(&control.media.join("long"));
    let started = Instant::now();
    let asset = control.ingest_hls("wrap", "long", "long/main.m3u8");
    assert_eq!(asset.status(), "PLAYABLE", "{}", asset.json);
    println!("{SEGMENTS} segments ingested in {:.1} s", started.elapsed().as_secs_f64());
    assert_eq!(asset.warnings(), Vec::<String>::new());
    let duration = asset.json["duration_seconds"].as_f64().expect("a duration");
    assert!((duration - SECONDS as f64).abs() < 1.0, "{duration}");

    transport_stream(&control, &control.playback_of(&asset, "ts"));
    cmaf(&control, &control.playback_of(&asset, "cmaf"));
    let mpd = Mpd::fetch(&control.client, &control.playback_of(&asset, "dash"));
    assert_eq!(mpd.periods.len(), 1, "{}", mpd.text);
    for one in &mpd.representations {
        let (_, start, _) = one.segments[0];
        let (_, last, length) = one.segments[one.segments.len() - 1];
        let seconds = (last + length - start) as f64 / one.timescale as f64;
        assert!((seconds - SECONDS as f64).abs() < 1.0, "{}: {seconds} s", one.id);
        for pair in one.segments.windows(2) {
            assert_eq!(pair[0].1 + pair[0].2, pair[1].1, "{}: a gap or an overlap at {}", one.id, pair[1].1);
        }
    }
    // Segments of pictures are all alike; those of sound are a frame longer and a frame shorter by turns.
    assert!(mpd.text.len() < 400_000, "repeated segments are written once: {} bytes", mpd.text.len());
}

/// The segments at the start, at the wrap and at the end, each stretch by the checker.
fn transport_stream(control: &Control, url: &str) {
    let multivariant = Multivariant::fetch(&control.client, url);
    let list = Media::fetch(&control.client, &multivariant.media_urls()[0]);
    assert!(list.parsed.segments.iter().all(|segment| !segment.discontinuity), "a discontinuity");
    let urls = list.segment_urls();
    assert_eq!(urls.len() as u64, SECONDS / GROUP_SECONDS);
    let wrap = (WRAP_SECONDS / GROUP_SECONDS) as usize;
    for (start, end) in [(0, 3), (wrap - 3, wrap + 4), (urls.len() - 3, urls.len())] {
        let segments: Vec<Vec<u8>> = urls[start..end].iter().map(|url| control.client.get(url).body).collect();
        let report = ts::check(&segments);
        assert!(report.problems.is_empty(), "segments {start} to {end}: {:#?}", report.problems);
        let video = &report.streams[&report.pcr_pid].units;
        assert_eq!(video.len() as u64, (end - start) as u64 * GROUP_SECONDS);
        let wanted = (START_SECONDS + start as u64 * GROUP_SECONDS) * 90_000 + SOUND_FIRST;
        let wanted = wanted % (1 << 33);
        assert_eq!(ts::distance(video[0].pts, wanted), 0, "segment {start} begins at {}", video[0].pts);
        for pair in video.windows(2) {
            assert_eq!(ts::distance(pair[1].dts, pair[0].dts), 90_000, "{} to {}", pair[0].dts, pair[1].dts);
        }
        let first = segments.first().map(Vec::len).unwrap_or_default();
        println!(
            "TS segments {start} to {end}: {first} bytes each, PCR at most {} ms apart",
            report.widest_pcr_interval / 90
        );
    }
}

/// Every segment, put together: as many pictures and packets of sound as there were, and no time that does not follow.
fn cmaf(control: &Control, url: &str) {
    let multivariant = Multivariant::fetch(&control.client, url);
    let folder = tempfile::tempdir().expect("a folder");
    for url in multivariant.media_urls() {
        let list = Media::fetch(&control.client, &url);
        let seconds: f64 = list.parsed.segments.iter().map(|segment| f64::from(segment.duration)).sum();
        assert!((seconds - SECONDS as f64).abs() < 1.0, "{url}: {seconds} s");
        let mut bytes = control.client.get(&list.init_url()).body;
        for url in list.segment_urls() {
            bytes.extend(control.client.get(&url).body);
        }
        let file = folder.path().join("whole.mp4");
        std::fs::write(&file, bytes).expect("a file");
        let mut ffprobe = Command::new(tools::program(&["ffprobe"]));
        ffprobe.args(["-v", "error", "-show_entries", "packet=dts_time,size", "-of", "csv=p=0"]);
        let text = String::from_utf8_lossy(&tools::succeed(ffprobe.arg(&file), DEADLINE)).into_owned();
        let times: Vec<f64> = text
            .lines()
            .filter_map(|line| line.split(',').next())
            .map(|time| time.parse().unwrap_or_else(|_| panic!("a time {time:?}")))
            .collect();
        let is_video = e2e::playlist::track(&url).starts_with('v');
        let (count, step) = if is_video { (SECONDS, 1.0) } else { (500 * SEGMENTS, 0.128) };
        assert_eq!(times.len() as u64, count, "{url}");
        for (index, pair) in times.windows(2).enumerate() {
            let off = pair[1] - pair[0] - step;
            assert!(off.abs() < 0.001, "{url}: packet {index} at {} s, the next at {} s", pair[0], pair[1]);
        }
        println!("{}: {count} packets without a break", e2e::playlist::track(&url));
    }
}
