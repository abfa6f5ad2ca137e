//! Good answers of key servers with one thing wrong. The driver checks that nothing panics and nothing that is wrong comes
//! into a manifest.

mod signals;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use packager::config::{Kid, Scheme};
use packager::drm::{clearkey, fairplay, line, playready, widevine};
use packager::sealing::ContentKey;

/// One good input of each kind.
fn good() -> Vec<Vec<u8>> {
    let kid = Kid([1; 16]);
    let key = ContentKey::new([3; 16]);
    let widevine = widevine::pssh(kid, Scheme::Cbcs, "a title");
    let object = playready::header(kid, Scheme::Cenc, Some(&key), Some("https://a.example/?b=1&c=2")).write().unwrap();
    let other = playready::header(kid, Scheme::Cbcs, None, None).write().unwrap();
    let boxed = playready::pssh(object.clone());
    let fragment = format!(
        "<pssh xmlns=\"urn:mpeg:cenc:2013\">{}</pssh><m:pro xmlns:m=\"urn:microsoft:playready\">{}</m:pro>",
        boxed.to_base64(),
        STANDARD.encode(&object)
    );
    vec![
        widevine.write(),
        widevine.data.clone(),
        widevine.to_base64().into_bytes(),
        clearkey::pssh(kid).write(),
        boxed.write(),
        boxed.to_base64().into_bytes(),
        object,
        other,
        fragment.into_bytes(),
        clearkey::licence_url("https://a.example/?b=1&c=2", Some("EME-1.0")).into_bytes(),
        clearkey::line(kid, Scheme::Cbcs).write(line::KEY).into_bytes(),
        fairplay::line(Scheme::Cbcs, "skd://a").write(line::SESSION_KEY).into_bytes(),
        b"#EXT-X-KEY:METHOD=AES-128,URI=\"https://a.example/\",IV=0x02020202020202020202020202020202".to_vec(),
    ]
}

#[test]
fn any_byte_may_be_wrong() {
    for good in good() {
        signals::any(&good);
        let step = 1 + good.len() / 400;
        for at in (0..good.len()).step_by(step) {
            for value in [0x00, 0x22, 0x26, 0x3c, 0x0a, 0x7f, 0xff, good[at] ^ 0x01, good[at].wrapping_add(0x40)] {
                let mut bad = good.clone();
                bad[at] = value;
                signals::any(&bad);
            }
        }
    }
}

#[test]
fn any_of_it_may_be_cut_off_or_doubled() {
    for good in good() {
        let step = 1 + good.len() / 400;
        for at in (0..good.len()).step_by(step) {
            signals::any(&good[..at]);
            signals::any(&good[at..]);
            signals::any(&[&good[..at], &good].concat());
        }
    }
}
