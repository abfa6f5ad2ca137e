//! ffmpeg as the other reader: what it decrypts is what it finds in the clear.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use packager::config::Scheme;

use crate::site::{ASSETS, Asset, Site};
use crate::{IV, KEY, one_key};

/// Writes a site to a folder, with the key next to every media playlist.
fn write(site: &Site, folder: &Path) {
    for (path, body) in &site.bodies {
        let target = folder.join(path);
        fs::create_dir_all(target.parent().expect("a folder")).unwrap();
        if path.ends_with("playlist.m3u8") {
            fs::write(target.with_file_name("key.bin"), [KEY; 16]).unwrap();
        }
        fs::write(target, body).unwrap();
    }
}

/// Times and hashes of packets or decoded frames by stream, and what ffmpeg complained about.
type Found = (BTreeMap<String, Vec<String>>, String);

fn frames(playlist: &Path, arguments: &[&str]) -> Found {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-allowed_extensions", "ALL", "-extension_picky", "0", "-i"])
        .arg(playlist)
        .args(arguments)
        .args(["-f", "framehash", "-hash", "md5", "-"])
        .output()
        .expect("ffmpeg is there");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {errors}", playlist.display());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (stream, rest) in text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(',')) {
        found.entry(stream.to_owned()).or_default().push(rest.to_owned());
    }
    (found, errors)
}

/// Compares what was found. ffmpeg does not decrypt the packet of a stream that it has left when the last segment of SAMPLE-AES
/// ends; `left` is how many frames at the end may differ for that.
fn compare(name: &str, wanted: &Found, found: &Found, left: usize) {
    // It also counts the time of packed audio otherwise then; times are compared elsewhere.
    let untimed = |line: &String| match left {
        0 => vec![line.clone()],
        _ => line.rsplitn(3, ',').take(2).map(str::to_owned).collect(),
    };
    assert_eq!(wanted.1, "", "{name}");
    assert!(left > 0 || found.1.is_empty(), "{name}: {}", found.1);
    assert!(wanted.0.keys().eq(found.0.keys()), "{name}: other streams");
    for (wanted, found) in wanted.0.values().zip(found.0.values()) {
        assert!(wanted.len() > 20 && wanted.len().abs_diff(found.len()) <= left, "{name}: {}", found.len());
        let end = wanted.len() - left;
        let differing = wanted[..end].iter().zip(found).enumerate().find(|(_, (a, b))| untimed(a) != untimed(b));
        assert!(differing.is_none(), "{name}: {differing:?} of {}", wanted.len());
    }
}

fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("encrypted").join(name);
    let _ = fs::remove_dir_all(&path);
    path
}

#[test]
fn ffmpeg_decrypts_to_the_clear_frames() {
    let mut compared = 0;
    for (number, names) in ASSETS.iter().enumerate().filter(|(_, n)| !n.iter().any(|n| n.ends_with(".vtt"))) {
        let asset = Asset::ingest(names);
        for separate in [false, true] {
            let clear = asset.site(2, separate, None);
            let plain = scratch(&format!("{number}-{separate}-clear"));
            write(&clear, &plain);
            let schemes = [(Scheme::Aes128, 1, None), (Scheme::Aes128, 0, Some(IV)), (Scheme::SampleAes, 0, Some(IV))];
            let sites = schemes.into_iter().filter_map(|(scheme, lead, iv)| {
                let site = asset.try_site(2, separate, Some((scheme, lead, &one_key(iv)))).ok()?;
                let method = if scheme == Scheme::Aes128 { "AES-128" } else { "SAMPLE-AES" };
                let folder = scratch(&format!("{number}-{separate}-{method}-{lead}"));
                write(&site, &folder);
                Some((method, site, folder))
            });
            let sites: Vec<_> = sites.collect();
            // Gaps are segments that it asks for.
            for playlist in clear
                .playlists()
                .into_iter()
                .filter(|list| !list.starts_with('t') && !clear.text(list).contains("#EXT-X-GAP"))
            {
                // What is the same as bytes is the same as frames; SAMPLE-AES is looked at by the decoders too.
                for decode in [false, true] {
                    let copy: &[&str] = if decode { &[] } else { &["-c", "copy"] };
                    let mut wanted = None;
                    for (method, site, folder) in
                        sites.iter().filter(|(_, site, _)| site.bodies.contains_key(&playlist))
                    {
                        // MP3 is left out under SAMPLE-AES.
                        let map: &[&str] = if asset.name.contains("mp3") && playlist.starts_with('v') {
                            &["-map", "0:v"]
                        } else {
                            &["-map", "0:a?", "-map", "0:v?"]
                        };
                        let arguments = [map, copy].concat();
                        // It reads packed AC-3 and E-AC-3 to their end before it decrypts anything.
                        let dolby =
                            site.segments(&playlist).iter().any(|(_, p)| p.ends_with(".ac3") || p.ends_with(".ec3"));
                        if (dolby && *method == "SAMPLE-AES") || (decode && (separate || *method == "AES-128")) {
                            continue;
                        }
                        let left = usize::from(*method == "SAMPLE-AES") * if decode { 3 } else { 1 };
                        let name = format!("{} {playlist} {method} {separate} {decode}", asset.name);
                        assert!(!site.segments(&playlist).is_empty());
                        let wanted = wanted.get_or_insert_with(|| frames(&plain.join(&playlist), &arguments));
                        compare(&name, wanted, &frames(&folder.join(&playlist), &arguments), left);
                        compared += 1;
                    }
                }
            }
        }
    }
    println!("{compared} comparisons");
    assert!(compared > 60, "{compared}");
}
