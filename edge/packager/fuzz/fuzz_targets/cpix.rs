//! CPIX documents, as a key server could send them.

#![no_main]

use std::collections::HashSet;

use keys::cpix::Document;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(document) = Document::read(data) else { return };
    let kids: HashSet<_> = document.keys.iter().map(|key| key.kid).collect();
    assert_eq!(kids.len(), document.keys.len());
    assert!(document.systems.iter().all(|system| system.kid.is_some_and(|kid| kids.contains(&kid))));
    for rule in &document.rules {
        assert!(kids.contains(&rule.kid));
        let _ = rule.key_use();
    }
    // What goes into playlists stays on its line.
    let lines = document.systems.iter().flat_map(|system| system.hls_media.iter().chain(&system.hls_multivariant).flatten());
    assert!(lines.into_iter().all(|line| line.starts_with("#EXT-X-") && !line.contains(['\n', '\r'])));
});
