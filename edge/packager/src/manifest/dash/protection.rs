//! ContentProtection (ISO/IEC 23009-1, 5.8.4.1; ISO/IEC 23001-7, 11.2; DASH-IF IOP, part 6).

use std::io;
use std::sync::Arc;

use quick_xml::events::BytesText;

use super::{Period, Xml, template};
use crate::config::{Kid, System};
use crate::media::presentation::Rendition;
use crate::media::protection::Key;

const MP4_PROTECTION: &str = "urn:mpeg:dash:mp4protection:2011";
const SWITCHING: &str = "urn:mpeg:dash:adaptation-set-switching:2016";

/// The name that players expect as the value of a system's descriptor.
fn value(system: System) -> &'static str {
    match system {
        System::Widevine => "Widevine",
        System::Playready => "MSPR 2.0",
        System::Fairplay => "FairPlay",
        System::ClearKey => "ClearKey1.0",
    }
}

/// The keys of a rendition in a period, that of the init segment first; none in the clear. What differs in them cannot be
/// in one adaptation set.
pub(super) fn keys<'a>(rendition: &'a Rendition, period: &Period) -> Vec<&'a Arc<Key>> {
    let Some(protection) = &rendition.protection else { return Vec::new() };
    let (before, segments) = template::within(rendition, period);
    let mut keys: Vec<&Arc<Key>> = protection.main().into_iter().collect();
    for (from, key) in &protection.keys {
        let inside = *from > before && *from < before + segments.len();
        if (inside || protection.key(before).is_some_and(|k| k.kid == key.kid))
            && !keys.iter().any(|k| k.kid == key.kid)
        {
            keys.push(key);
        }
    }
    keys
}

/// What two renditions of one adaptation set have to share.
pub(super) fn kids(rendition: &Rendition, period: &Period) -> Vec<Kid> {
    keys(rendition, period).into_iter().map(|key| key.kid).collect()
}

/// The descriptors of an adaptation set with this rendition.
pub(super) fn write(xml: &mut Xml, rendition: &Rendition, period: &Period) -> io::Result<()> {
    let Some(protection) = &rendition.protection else { return Ok(()) };
    let keys = keys(rendition, period);
    let Some(main) = keys.first() else { return Ok(()) };
    let kid = main.kid.to_string();
    xml.create_element("ContentProtection")
        .with_attributes([
            ("schemeIdUri", MP4_PROTECTION),
            ("value", protection.scheme.as_str()),
            ("cenc:default_KID", kid.as_str()),
        ])
        .write_empty()?;
    for system in main.signalling.iter().filter_map(|s| s.system) {
        let entries = keys.iter().flat_map(|key| &key.signalling).filter(|s| s.system == Some(system));
        let scheme = format!("urn:uuid:{}", Kid(system.id()));
        let element = xml
            .create_element("ContentProtection")
            .with_attributes([("schemeIdUri", scheme.as_str()), ("value", value(system))]);
        element.write_inner_content(|xml| {
            // dash.js takes a box of Clear Key for something else; the key id is all that is needed.
            for pssh in entries.clone().filter_map(|s| s.pssh.as_ref()).filter(|_| system != System::ClearKey) {
                xml.create_element("cenc:pssh").write_text_content(BytesText::new(pssh))?;
            }
            let fragments: Vec<&str> = entries.filter_map(|s| s.dash.as_deref()).collect();
            // Rotated keys have one licence server.
            for (number, fragment) in fragments.iter().enumerate() {
                if !fragments.iter().take(number).any(|earlier| earlier == fragment) {
                    xml.write_event(quick_xml::events::Event::Text(BytesText::from_escaped(*fragment)))?;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Says that players may switch between this adaptation set and others, which only differ in their keys.
pub(super) fn write_switching(xml: &mut Xml, others: &[usize]) -> io::Result<()> {
    if others.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = others.iter().map(usize::to_string).collect();
    super::adaptation::descriptor(xml, "SupplementalProperty", SWITCHING, &ids.join(","))
}
