//! Drives the readers of what key servers answer over arbitrary bytes. The fuzz target and the replay both call it.

use packager::config::{Iv, Kid, PackageType, Scheme, System};
use packager::drm::line::{KEY, Line, SESSION_KEY};
use packager::drm::pssh::Pssh;
use packager::drm::{Fragment, Returned, Subject, Urls, merge, playready, widevine};

/// A box, a PlayReady object, a Widevine header, a line and a DASH fragment, each of the same bytes: what is read is written
/// again the same, and what is merged can stand in a manifest.
pub fn any(data: &[u8]) {
    if let Ok(pssh) = Pssh::read(data) {
        assert_eq!(pssh.write(), data, "a box has one form");
        let _ = widevine::Header::read(&pssh.data);
        let _ = playready::Header::read(&pssh.data);
    }
    if let Ok(header) = widevine::Header::read(data) {
        assert_eq!(widevine::Header::read(&header.write()).as_ref(), Ok(&header));
    }
    if let Ok(header) = playready::Header::read(data)
        && header.key_ids.len() == 1
        && let Ok(object) = header.write()
    {
        let again = playready::Header::read(&object).expect("what is written is read");
        assert_eq!(again.key_ids, header.key_ids);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(fragment) = Fragment::read(text) {
        let again = Fragment::read(&fragment.rest).expect("what is kept is a fragment");
        assert_eq!((again.pssh, again.pro, again.rest), (None, fragment.pro, fragment.rest));
    }
    for tag in [KEY, SESSION_KEY] {
        if let Ok(line) = Line::read(tag, text) {
            assert_eq!(Line::read(tag, &line.write(tag)).as_ref(), Ok(&line));
        }
    }
    returned(text);
}

/// The same text in every field of an answer.
fn returned(text: &str) {
    let urls = Urls { key: Some("https://keys.example/".into()), ..Urls::default() };
    let all = [Some(System::Widevine), Some(System::Playready), Some(System::Fairplay), Some(System::ClearKey), None];
    for (package_type, scheme) in
        [(PackageType::Cmaf, Scheme::Cbcs), (PackageType::Dash, Scheme::Cenc), (PackageType::Hls, Scheme::Aes128)]
    {
        for system in all {
            let systems: Vec<System> = system.into_iter().collect();
            let subject = Subject {
                kid: Kid([1; 16]),
                iv: (scheme != Scheme::Cenc).then_some(Iv([2; 16])),
                key: None,
                scheme,
                package_type,
                systems: &systems,
                urls: &urls,
                content_id: "",
            };
            let own = || Some(text.to_owned());
            let empty = Returned { system, ..Returned::default() };
            for one in [
                Returned { pssh: own(), ..empty.clone() },
                Returned { playready: own(), ..empty.clone() },
                Returned { uri: own(), ..empty.clone() },
                Returned { hls: own(), ..empty.clone() },
                Returned { hls_session: own(), ..empty.clone() },
                Returned { dash: own(), ..empty.clone() },
            ] {
                for entry in merge(&subject, &[one]).unwrap_or_default() {
                    for line in [&entry.hls, &entry.hls_session].into_iter().flatten() {
                        assert!(line.starts_with("#EXT-X-") && !line.chars().any(char::is_control), "{line:?}");
                        assert_eq!(line.matches('"').count() % 2, 0, "{line:?}");
                    }
                    assert!(entry.pssh.is_none_or(|pssh| Pssh::from_base64(&pssh).is_ok()));
                    assert!(entry.dash.is_none_or(|dash| Fragment::read(&dash).is_ok()));
                }
            }
        }
    }
}
