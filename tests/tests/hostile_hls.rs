//! Broken, lying and foreign playlists and transport streams: FAILED with a reason that names the playlist, the line, the
//! segment and the packet, or PLAYABLE with warnings; never a crash, a hang or memory without bound.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use e2e::{Asset, Control, media, title, tools};
use serde_json::json;

const GROUP: &str = "hostile";
/// The control plane with its embedded edge may take this much memory over all of the titles below.
const MEMORY_BUDGET: u64 = 700 << 20;

/// Whatever is playable has to be servable: each URL answers, and no answer is our mistake.
fn walk(control: &Control, asset: &Asset) {
    for url in control.playbacks(asset).iter().flat_map(|url| title::every_url(&control.client, url)) {
        control.client.get(&url);
    }
}

fn check(control: &Control, name: &str, asset: &Asset, table: &mut String) {
    let _ = writeln!(table, "{name}\t{}\t{}\t{:?}", asset.status(), asset.failure(), asset.warnings());
    match asset.status() {
        "PLAYABLE" => walk(control, asset),
        _ => assert!(asset.failure().len() > 10, "{name}: no reason: {}", asset.json),
    }
    assert_eq!(control.client.get(&format!("{}/healthz", control.url)).status, 200);
}

/// A way to break a good title.
struct Case {
    name: &'static str,
    /// What is ingested, below the title's folder.
    path: &'static str,
    damage: fn(&Path),
    /// Words of the failure; of a warning when the title still plays.
    wanted: &'static [&'static str],
    status: Wanted,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Failed,
    Playable,
    Either,
}

fn edit(file: PathBuf, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(&file).expect("a playlist");
    std::fs::write(file, change(text)).expect("a playlist");
}

fn edit_bytes(file: PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(&file).expect("a segment");
    change(&mut bytes);
    std::fs::write(file, bytes).expect("a segment");
}

const PACKET: usize = 188;

/// Breaks a copy of `tests/media/hls/ts`, whose `180p/index.m3u8` has its segments in lines 7, 9 and 11.
fn cases() -> Vec<Case> {
    let case = |name, damage, wanted, status| Case { name, path: "main.m3u8", damage, wanted, status };
    use Wanted::{Either, Failed, Playable};
    vec![
        Case {
            path: "180p/index.m3u8",
            ..case("media-playlist", |_| {}, &["180p/index.m3u8", "multivariant"], Failed)
        },
        Case { path: "nothing.m3u8", ..case("no-playlist", |_| {}, &["nothing.m3u8"], Failed) },
        Case { path: "180p/1.ts", ..case("a-segment", |_| {}, &["180p/1.ts"], Failed) },
        case(
            "live",
            |folder| {
                edit(folder.join("180p/index.m3u8"), |text| {
                    text.replace("#EXT-X-ENDLIST\n", "").replace("#EXT-X-PLAYLIST-TYPE:VOD\n", "")
                })
            },
            &["180p/index.m3u8", "ENDLIST"],
            Failed,
        ),
        case(
            "no-endlist-but-vod",
            // Its type promises that nothing changes, not that nothing was lost when it was written or copied.
            |folder| edit(folder.join("180p/index.m3u8"), |text| text.replace("#EXT-X-ENDLIST\n", "")),
            &["180p/index.m3u8", "ENDLIST"],
            Failed,
        ),
        case(
            "encrypted",
            |folder| {
                edit(folder.join("180p/index.m3u8"), |text| {
                    let key = "#EXT-X-KEY:METHOD=AES-128,URI=\"key.bin\"\n#EXTINF";
                    text.replacen("#EXTINF", key, 1)
                })
            },
            &["180p/index.m3u8", "line 6", "encrypted"],
            Failed,
        ),
        case(
            "encrypted-sample-aes",
            |folder| {
                edit(folder.join("main.m3u8"), |text| {
                    text.replacen(
                        "#EXT-X-STREAM",
                        "#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://k\"\n#EXT-X-STREAM",
                        1,
                    )
                })
            },
            &["main.m3u8", "line 3", "encrypted"],
            Failed,
        ),
        case(
            "missing-segment",
            |folder| std::fs::remove_file(folder.join("180p/2.ts")).expect("removed"),
            &["180p/index.m3u8", "line 9", "180p/2.ts"],
            Failed,
        ),
        case(
            "missing-rendition",
            |folder| std::fs::remove_file(folder.join("180p/index.m3u8")).expect("removed"),
            &["main.m3u8", "line 6", "180p/index.m3u8"],
            Failed,
        ),
        case(
            "another-duration",
            |folder| {
                edit(folder.join("180p/index.m3u8"), |text| {
                    text.replace("#EXTINF:6.000000,\n2.ts\n#EXTINF:6.000000,\n3.ts\n", "")
                })
            },
            &["180p/index.m3u8 lasts 6.000 s", "144p/index.m3u8 lasts 18.000 s"],
            Failed,
        ),
        case(
            "another-duration-by-a-segment",
            |folder| edit(folder.join("180p/index.m3u8"), |text| text.replace("#EXTINF:6.000000,\n3.ts\n", "")),
            &["180p/index.m3u8 lasts 12.000 s", "144p/index.m3u8 lasts 18.000 s"],
            Failed,
        ),
        case(
            "garbage-segment",
            |folder| edit_bytes(folder.join("180p/2.ts"), |bytes| bytes.fill(0xa5)),
            &["180p/index.m3u8", "line 9", "180p/2.ts"],
            Failed,
        ),
        case(
            "an-error-page",
            |folder| edit_bytes(folder.join("180p/2.ts"), |bytes| *bytes = b"<html>404 Not Found</html>".to_vec()),
            &["180p/index.m3u8", "line 9", "180p/2.ts"],
            Failed,
        ),
        case(
            "empty-segment",
            |folder| edit_bytes(folder.join("180p/2.ts"), Vec::clear),
            &["180p/index.m3u8", "line 9", "180p/2.ts"],
            Failed,
        ),
        case(
            "garbage-inside",
            |folder| edit_bytes(folder.join("180p/2.ts"), |bytes| bytes[PACKET * 50..PACKET * 60].fill(0xa5)),
            &["180p/index.m3u8", "segment 2 packet 50"],
            Either,
        ),
        case(
            "scrambled-packets",
            |folder| edit_bytes(folder.join("180p/2.ts"), |bytes| bytes[PACKET * 50 + 3] |= 0x80),
            &["180p/index.m3u8", "segment 2 packet 50", "scrambled"],
            Either,
        ),
        case(
            "lost-packets",
            |folder| edit_bytes(folder.join("180p/2.ts"), |bytes| drop(bytes.drain(PACKET * 50..PACKET * 53))),
            &["180p/index.m3u8", "segment 2 packet 50", "missing"],
            Playable,
        ),
        case(
            "cut-off",
            |folder| edit_bytes(folder.join("180p/3.ts"), |bytes| bytes.truncate(PACKET * 100 + 60)),
            &["180p/index.m3u8", "segment 3 packet"],
            Either,
        ),
        case(
            "no-program",
            |folder| {
                edit_bytes(folder.join("180p/1.ts"), |bytes| {
                    let pmt = |packet: &&[u8]| packet[1] & 0x1f != 0x10 || packet[2] != 0;
                    *bytes = bytes.chunks_exact(PACKET).filter(pmt).collect::<Vec<_>>().concat();
                })
            },
            &["180p/index.m3u8", "line 7", "180p/1.ts", "program map"],
            Failed,
        ),
        case(
            "outside-by-url",
            |folder| edit(folder.join("180p/index.m3u8"), |text| text.replace("2.ts", "http://127.0.0.1:9/2.ts")),
            &["180p/index.m3u8", "line 9", "http://127.0.0.1:9/2.ts"],
            Failed,
        ),
        case(
            "outside-by-path",
            |folder| edit(folder.join("180p/index.m3u8"), |text| text.replace("2.ts", "../../../../../../etc/passwd")),
            &["180p/index.m3u8", "line 9", "etc/passwd"],
            Failed,
        ),
        case(
            "outside-by-file-url",
            |folder| edit(folder.join("180p/index.m3u8"), |text| text.replace("2.ts", "file:///etc/passwd")),
            &["180p/index.m3u8", "line 9", "etc/passwd"],
            Failed,
        ),
        case(
            "itself",
            |folder| edit(folder.join("main.m3u8"), |text| text.replace("180p/index.m3u8", "main.m3u8")),
            &["main.m3u8", "multivariant"],
            Failed,
        ),
        case(
            "byte-range-too-long",
            |folder| {
                edit(folder.join("180p/index.m3u8"), |text| text.replace("2.ts", "#EXT-X-BYTERANGE:99999999@0\n2.ts"))
            },
            &["180p/index.m3u8", "180p/2.ts", "99999999"],
            Failed,
        ),
        case(
            "not-a-number",
            |folder| edit(folder.join("180p/index.m3u8"), |text| text.replacen("#EXTINF:6.000000", "#EXTINF:six", 1)),
            &["180p/index.m3u8", "line 6"],
            Failed,
        ),
        case(
            "no-segments",
            |folder| {
                edit(folder.join("180p/index.m3u8"), |_| "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-ENDLIST\n".into())
            },
            &["180p/index.m3u8", "segment"],
            Failed,
        ),
        case("no-variants", |folder| edit(folder.join("main.m3u8"), |_| "#EXTM3U\n".into()), &["main.m3u8"], Failed),
        case(
            "not-text",
            |folder| std::fs::write(folder.join("main.m3u8"), [0xff; 4096]).expect("written"),
            &["main.m3u8"],
            Failed,
        ),
        case(
            "endless-line",
            |folder| {
                std::fs::write(folder.join("main.m3u8"), format!("#EXTM3U\n{}", "x".repeat(20 << 20))).expect("written")
            },
            &["main.m3u8"],
            Failed,
        ),
        case(
            "many-variants",
            |folder| {
                let variant = "#EXT-X-STREAM-INF:BANDWIDTH=1\n180p/index.m3u8?";
                let all: String = (0..50_000).map(|number| format!("{variant}{number}\n")).collect();
                std::fs::write(folder.join("main.m3u8"), format!("#EXTM3U\n{all}")).expect("written");
            },
            &["main.m3u8"],
            Failed,
        ),
        case(
            "many-segments",
            |folder| {
                let all = "#EXTINF:6,\n1.ts\n".repeat(1_000_000);
                let text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:6\n{all}#EXT-X-ENDLIST\n");
                std::fs::write(folder.join("180p/index.m3u8"), text).expect("written");
            },
            &["180p/index.m3u8"],
            Failed,
        ),
    ]
}

#[test]
fn bad_playlists_and_segments_fail_with_a_reason_or_play_with_warnings() {
    let control = Control::start();
    control.group_of_everything(GROUP, 4);
    let mut table = String::new();
    let mut wrong = String::new();
    for case in cases() {
        let folder = format!("bad/{}", case.name);
        control.store_folder(&media::hls("ts"), &folder);
        (case.damage)(&control.media.join(&folder));
        let asset = control.ingest_hls(GROUP, case.name, &format!("{folder}/{}", case.path));
        check(&control, case.name, &asset, &mut table);
        let status = asset.status();
        let expected = match case.status {
            Wanted::Failed => status == "FAILED",
            Wanted::Playable => status == "PLAYABLE",
            Wanted::Either => true,
        };
        let said: Vec<String> = if status == "FAILED" { vec![asset.failure()] } else { asset.warnings() };
        let clear = said.iter().any(|text| case.wanted.iter().all(|word| text.contains(word)));
        if !expected || !clear {
            let _ = writeln!(wrong, "{}: {status}: {said:?}, not with {:?}", case.name, case.wanted);
        }
    }
    println!("{table}");
    std::fs::write(tools::results().join("hostile-hls.tsv"), &table).expect("the table");
    assert!(wrong.is_empty(), "{wrong}");
    let peak = control.peak_memory();
    println!("peak memory: {} MiB", peak >> 20);
    assert!(peak < MEMORY_BUDGET, "{} MiB", peak >> 20);
}

#[test]
fn foreign_playlists_streams_and_subtitles_play_or_fail_with_a_reason() {
    let Some(extra) = media::extra() else { return };
    let control = Control::start();
    control.group_of_everything(GROUP, 4);
    let mut table = String::new();

    // Playlists where they are, with whatever is beside them; also those without the extension.
    control.store_folder(&extra.join("hls"), "hls");
    for (index, file) in media::files_below(&extra.join("hls")).iter().enumerate() {
        let text = std::fs::read(file).expect("a file");
        let path = file.strip_prefix(&extra).expect("below it").to_string_lossy().into_owned();
        if !path.ends_with(".m3u8") && !text.starts_with(b"#EXTM3U") {
            continue;
        }
        let asset = control.ingest_hls(GROUP, &format!("p{}", media::asset_name(index, file)), &path);
        check(&control, &path, &asset, &mut table);
    }

    // Transport streams, and what is broken besides: each as the one segment of a title.
    let streams =
        ["ts", "malformed", "generated/malformed"].map(|folder| media::files_below(&extra.join(folder))).concat();
    for (index, file) in streams.iter().enumerate() {
        let name = format!("s{}", media::asset_name(index, file));
        let folder = control.media.join(&name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::copy(file, folder.join("1.ts")).expect("a segment");
        let list = "#EXTM3U\n#EXT-X-TARGETDURATION:60\n#EXTINF:10,\n1.ts\n#EXT-X-ENDLIST\n";
        std::fs::write(folder.join("index.m3u8"), list).expect("a playlist");
        std::fs::write(folder.join("main.m3u8"), "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000000\nindex.m3u8\n")
            .expect("a playlist");
        let asset = control.ingest_hls(GROUP, &name, &format!("{name}/main.m3u8"));
        check(&control, &format!("{}", file.display()), &asset, &mut table);
    }

    // Subtitles beside a film.
    let film = control.store(&media::small("h264_aac.mp4"));
    for (index, file) in media::files_below(&extra.join("subs")).iter().enumerate() {
        let name = format!("t{}", media::asset_name(index, file));
        let extension = file.extension().unwrap_or_default().to_string_lossy().into_owned();
        let stored = format!("{name}.{extension}");
        std::fs::copy(file, control.media.join(&stored)).expect("a stored file");
        let sources = json!([{ "path": film }, { "path": stored, "language": "en" }]);
        control.submit_media(GROUP, &name, json!({ "sources": sources }));
        check(&control, &format!("{}", file.display()), &control.finished(&name), &mut table);
    }
    println!("{table}");
    std::fs::write(tools::results().join("foreign.tsv"), &table).expect("the table");
    let peak = control.peak_memory();
    println!("peak memory: {} MiB", peak >> 20);
    assert!(peak < MEMORY_BUDGET, "{} MiB", peak >> 20);
}

/// A segment that was replaced after it was indexed is not served as something else.
#[test]
fn a_segment_that_changed_is_refused() {
    let control = Control::start();
    control.group_of_everything(GROUP, 4);
    control.store_folder(&media::hls("ts"), "film");
    let asset = control.ingest_hls(GROUP, "changed", "film/main.m3u8");
    assert_eq!(asset.status(), "PLAYABLE", "{}", asset.json);
    assert_eq!(asset.warnings(), Vec::<String>::new());
    // Of another size, and of the same size with another time of change.
    let bytes = std::fs::read(media::hls("ts/180p/1.ts")).expect("a segment");
    std::fs::write(control.media.join("film/180p/2.ts"), bytes).expect("replaced");
    let same = std::fs::read(media::hls("ts/144p/3.ts")).expect("a segment");
    std::fs::write(control.media.join("film/144p/3.ts"), same).expect("replaced");
    let mut refused = Vec::new();
    for url in control.playbacks(&asset).iter().flat_map(|url| title::every_url(&control.client, url)) {
        let response = control.client.try_send("GET", &url, &[], &[]).expect("an answer, not a broken one");
        match response.status {
            200 => {}
            502 => {
                let problem = response.problem();
                assert!(problem.contains("180p/2.ts") || problem.contains("144p/3.ts"), "{url}: {problem}");
                assert!(problem.contains("changed"), "{url}: {problem}");
                assert_eq!(response.header("cache-control"), Some("no-store"));
                refused.push(problem);
            }
            status => panic!("{url}: {status} {}", response.text()),
        }
    }
    for path in ["180p/2.ts", "144p/3.ts"] {
        assert!(refused.iter().any(|problem| problem.contains(path)), "{path} was served: {refused:?}");
    }
    let started = std::time::Instant::now();
    loop {
        let warnings = control.finished("changed").warnings();
        if ["180p/2.ts", "144p/3.ts"].iter().all(|path| warnings.iter().any(|warning| warning.contains(path))) {
            break;
        }
        assert!(started.elapsed().as_secs() < 10, "no warnings: {warnings:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
