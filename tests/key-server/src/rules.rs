//! Usage rules and the presets of the encryption contract.

use std::collections::BTreeSet;

use roxmltree::Node;

use crate::request::{Key, Period, Refused, elements, kid, named, no_content, only_attributes};

const CPIX: &str = "urn:dashif:org:cpix";

/// A rule that is as it should be.
#[derive(Clone, Debug)]
pub struct Rule {
    pub kid: [u8; 16],
    pub track_type: Option<String>,
    pub period: Option<String>,
    /// Filters with their bounds.
    pub filters: Vec<(&'static str, Vec<(String, String)>)>,
}

/// Filters of a track type: kind, least, most. A second upper bound is one that is also right.
type Class = (&'static str, &'static str, Option<u64>, &'static [Option<u64>]);

const CLASSES: [Class; 13] = [
    ("VIDEO", "VideoFilter", None, &[None]),
    ("SD", "VideoFilter", None, &[Some(589_824)]),
    ("HD", "VideoFilter", Some(589_825), &[None, Some(2_073_600)]),
    ("HD1", "VideoFilter", Some(589_825), &[Some(921_600)]),
    ("HD2", "VideoFilter", Some(921_601), &[Some(2_073_600)]),
    ("SD+HD1", "VideoFilter", None, &[Some(921_600)]),
    ("UHD", "VideoFilter", Some(2_073_601), &[None]),
    ("UHD1", "VideoFilter", Some(2_073_601), &[Some(8_847_360)]),
    ("UHD2", "VideoFilter", Some(8_847_361), &[None]),
    ("AUDIO", "AudioFilter", None, &[None]),
    ("STEREO_AUDIO", "AudioFilter", None, &[Some(2)]),
    ("MULTICHANNEL_AUDIO", "AudioFilter", Some(3), &[None]),
    ("MULTICHANNEL_AUDIO_3_6", "AudioFilter", Some(3), &[Some(6)]),
];

const VIDEO_PRESETS: [&[&str]; 9] = [
    &[],
    &["VIDEO"],
    &["SD", "HD"],
    &["SD", "HD", "UHD"],
    &["SD", "HD", "UHD1", "UHD2"],
    &["SD", "HD1", "HD2", "UHD1", "UHD2"],
    &["SD", "HD1", "HD2", "UHD"],
    &["SD+HD1", "HD2", "UHD"],
    &["SD+HD1", "HD2", "UHD1", "UHD2"],
];

const AUDIO_PRESETS: [&[&str]; 4] = [
    &[],
    &["AUDIO"],
    &["STEREO_AUDIO", "MULTICHANNEL_AUDIO"],
    &["STEREO_AUDIO", "MULTICHANNEL_AUDIO_3_6", "MULTICHANNEL_AUDIO_7"],
];

pub fn read(list: Node<'_, '_>, keys: &[Key], periods: &[Period], one: bool) -> Refused<Vec<Rule>> {
    let mut rules: Vec<Rule> = Vec::new();
    for element in elements(list)? {
        named(element, CPIX, "ContentKeyUsageRule")?;
        let rule = rule(element, periods, one)?;
        if !keys.iter().any(|key| key.kid == rule.kid) {
            return Err("a ContentKeyUsageRule without its ContentKey".into());
        }
        if rules.iter().any(|other| other.kid == rule.kid) {
            return Err("two ContentKeyUsageRules for one key".into());
        }
        rules.push(rule);
    }
    if rules.len() != keys.len() {
        return Err("a ContentKey without its ContentKeyUsageRule".into());
    }
    if !one {
        contract(&rules, periods)?;
    }
    Ok(rules)
}

fn rule(element: Node<'_, '_>, periods: &[Period], one: bool) -> Refused<Rule> {
    only_attributes(element, if one { &["kid"] } else { &["kid", "intendedTrackType"] })?;
    let mut rule = Rule {
        kid: kid(element)?,
        track_type: element.attribute("intendedTrackType").map(str::to_owned),
        period: None,
        filters: Vec::new(),
    };
    for filter in elements(element)? {
        no_content(filter)?;
        let name = filter.tag_name().name();
        named(filter, CPIX, name)?;
        let bounds = || filter.attributes().map(|own| (own.name().to_owned(), own.value().to_owned())).collect();
        match name {
            "KeyPeriodFilter" if rule.period.is_none() => {
                only_attributes(filter, &["periodId"])?;
                let id = filter.attribute("periodId").ok_or("Missing KeyPeriodFilter@periodId")?;
                if !periods.iter().any(|period| period.id == id) {
                    return Err("a KeyPeriodFilter without its ContentKeyPeriod".into());
                }
                rule.period = Some(id.to_owned());
            }
            "VideoFilter" if !one => {
                only_attributes(filter, &["minPixels", "maxPixels"])?;
                rule.filters.push(("VideoFilter", bounds()));
            }
            "AudioFilter" if !one => {
                only_attributes(filter, &["minChannels", "maxChannels"])?;
                rule.filters.push(("AudioFilter", bounds()));
            }
            _ => return Err(format!("{name} is not allowed in ContentKeyUsageRule")),
        }
    }
    if rule.period.is_none() != periods.is_empty() {
        return Err("KeyPeriodFilters and ContentKeyPeriods go together".into());
    }
    if !one {
        filters(&rule)?;
    }
    Ok(rule)
}

/// That the filters are those of the track type.
fn filters(rule: &Rule) -> Refused<()> {
    let track_type = rule.track_type.as_deref().ok_or("Missing ContentKeyUsageRule@intendedTrackType")?;
    let bound = |bounds: &[(String, String)], prefix: &str| -> Refused<Option<u64>> {
        let own = bounds.iter().find(|(name, _)| name.starts_with(prefix));
        own.map(|(_, value)| value.parse().map_err(|_| format!("{value} is not a number"))).transpose()
    };
    if track_type == "ALL" {
        let mut kinds: Vec<_> = rule.filters.iter().map(|(kind, bounds)| (*kind, bounds.len())).collect();
        kinds.sort_unstable();
        return match kinds.as_slice() {
            [("AudioFilter", 0), ("VideoFilter", 0)] => Ok(()),
            _ => Err("ALL needs a VideoFilter and an AudioFilter without bounds".into()),
        };
    }
    let seven = ("MULTICHANNEL_AUDIO_7", "AudioFilter", Some(7), [None].as_slice());
    let class = CLASSES.iter().chain([&seven]).find(|(name, ..)| *name == track_type);
    let (_, kind, min, max) = class.ok_or(format!("unknown intendedTrackType {track_type}"))?;
    match rule.filters.as_slice() {
        [(own, bounds)] if own == kind => {
            if bound(bounds, "min")? != *min || !max.contains(&bound(bounds, "max")?) {
                return Err(format!("the {kind} is not that of {track_type}"));
            }
            Ok(())
        }
        _ => Err(format!("{track_type} needs one {kind}")),
    }
}

/// That the track types of each period are those of a preset.
fn contract(rules: &[Rule], periods: &[Period]) -> Refused<()> {
    let ids: Vec<_> = match periods {
        [] => vec![None],
        periods => periods.iter().map(|period| Some(&period.id)).collect(),
    };
    for id in ids {
        let of_period = rules.iter().filter(|rule| rule.period.as_ref() == id);
        let of_period: Vec<_> = of_period.filter_map(|rule| rule.track_type.as_deref()).collect();
        let types: BTreeSet<_> = of_period.iter().copied().collect();
        let is_preset = VIDEO_PRESETS.iter().any(|video| {
            let with = |audio: &&[&str]| video.iter().chain(*audio).copied().collect::<BTreeSet<_>>() == types;
            AUDIO_PRESETS.iter().any(with)
        });
        if types.len() != of_period.len() || types.is_empty() || !(is_preset || types == BTreeSet::from(["ALL"])) {
            return Err(format!("the track types {types:?} are not those of a preset, each once"));
        }
    }
    Ok(())
}
