//! An MPD as a player sees it, and what must hold from one refresh to the next.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

type Attributes = BTreeMap<String, String>;

/// The attributes of a template, and its segments by number.
type Template = (Attributes, BTreeMap<u64, Span>);

/// A segment: when it begins, and how long it lasts, in ticks.
pub type Span = (u64, u64);

#[derive(Clone, Debug, Default)]
pub struct Representation {
    pub set: String,
    pub id: String,
    pub template: Attributes,
    /// By number.
    pub segments: BTreeMap<u64, Span>,
}

#[derive(Clone, Debug, Default)]
pub struct Period {
    pub attributes: Attributes,
    pub representations: Vec<Representation>,
}

#[derive(Clone, Debug, Default)]
pub struct Mpd {
    pub attributes: Attributes,
    pub clock: Option<String>,
    pub periods: Vec<Period>,
}

/// `PT…S` in microseconds.
pub fn micros(duration: &str) -> u64 {
    let seconds = duration.strip_prefix("PT").and_then(|d| d.strip_suffix('S')).expect(duration);
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    whole.parse::<u64>().unwrap() * 1_000_000 + format!("{fraction:0<6}").parse::<u64>().unwrap()
}

fn attributes(element: &BytesStart<'_>) -> Attributes {
    let own = element.attributes().map(|a| a.expect("an attribute"));
    own.map(|a| (a.key.as_ref().to_owned(), a.value.into_owned())).collect()
}

impl Mpd {
    pub fn read(text: &str) -> Self {
        let mut mpd = Self::default();
        let mut reader = Reader::from_str(text);
        let (mut set, mut shared): (Attributes, Option<Template>) = Default::default();
        let (mut inside, mut template, mut spans, mut time) = (false, Attributes::new(), Vec::<Span>::new(), 0u64);
        loop {
            let event = reader.read_event().expect("well-formed");
            let (element, empty) = match &event {
                Event::Eof => break,
                Event::Start(element) => (element, false),
                Event::Empty(element) => (element, true),
                Event::End(end) => {
                    match end.name().as_ref() {
                        "SegmentTemplate" => {
                            let first: u64 = template["startNumber"].parse().unwrap();
                            let own = (template.clone(), (first..).zip(spans.drain(..)).collect());
                            match inside {
                                true => {
                                    let period = mpd.periods.last_mut().unwrap();
                                    let representation = period.representations.last_mut().unwrap();
                                    (representation.template, representation.segments) = own;
                                }
                                false => shared = Some(own),
                            }
                        }
                        "Representation" => inside = false,
                        _ => {}
                    }
                    continue;
                }
                _ => continue,
            };
            let own = attributes(element);
            match element.name().as_ref() {
                "MPD" => mpd.attributes = own,
                "UTCTiming" => mpd.clock = Some(own["value"].clone()),
                "Period" => mpd.periods.push(Period { attributes: own, representations: Vec::new() }),
                "AdaptationSet" => (set, shared) = (own, None),
                "Representation" => {
                    let (template, segments) = shared.clone().unwrap_or_default();
                    let (set, id) = (set["id"].clone(), own["id"].clone());
                    let period = mpd.periods.last_mut().unwrap();
                    period.representations.push(Representation { set, id, template, segments });
                    inside = !empty;
                }
                "SegmentTemplate" => (template, time) = (own, 0),
                "S" => {
                    let number = |name: &str| own.get(name).map(|v| v.parse::<u64>().unwrap());
                    let duration = number("d").unwrap();
                    if let Some(start) = number("t") {
                        assert!(spans.is_empty() || start >= time, "no overlap");
                        time = start;
                    }
                    for _ in 0..=number("r").unwrap_or(0) {
                        spans.push((time, duration));
                        time += duration;
                    }
                }
                _ => {}
            }
        }
        mpd
    }
}

/// Everything that a player has seen of one MPD.
#[derive(Default)]
pub struct Follower {
    last: Option<Mpd>,
    periods: BTreeMap<String, (Attributes, Vec<(String, String)>)>,
    /// By period, representation and number.
    pub seen: BTreeMap<(String, String, u64), Span>,
}

impl Follower {
    /// Checks a refresh against all before it (ISO/IEC 23009-1, 5.4; DASH-IF IOP).
    pub fn follow(&mut self, text: &str) -> Mpd {
        let mpd = Mpd::read(text);
        let root = |name: &str| mpd.attributes.get(name).cloned();
        if let Some(last) = &self.last {
            for name in ["availabilityStartTime", "type", "suggestedPresentationDelay", "timeShiftBufferDepth"] {
                assert_eq!(last.attributes.get(name).cloned(), root(name), "{name}");
            }
            assert!(last.attributes.get("publishTime") <= mpd.attributes.get("publishTime"), "publishTime goes up");
        }
        assert!(!mpd.periods.is_empty());
        let mut ends = Vec::new();
        for period in &mpd.periods {
            let id = period.attributes["id"].clone();
            let sets: Vec<(String, String)> =
                period.representations.iter().map(|r| (r.set.clone(), r.id.clone())).collect();
            let (known, known_sets) =
                self.periods.entry(id.clone()).or_insert_with(|| (period.attributes.clone(), sets.clone()));
            assert_eq!(known["start"], period.attributes["start"], "the start of period {id} stays");
            assert_eq!(*known_sets, sets, "the sets of period {id} stay");
            if let Some(duration) = known.get("duration") {
                assert_eq!(Some(duration), period.attributes.get("duration"), "the duration of period {id} stays");
            }
            *known = period.attributes.clone();
            let start = micros(&period.attributes["start"]);
            ends.push((start, period.attributes.get("duration").map(|d| start + micros(d))));
            for representation in &period.representations {
                let scale: u64 = representation.template["timescale"].parse().unwrap();
                let offset: u64 =
                    representation.template.get("presentationTimeOffset").map_or(0, |o| o.parse().unwrap());
                let begin = offset.abs_diff(start * scale / 1_000_000);
                let is_static = mpd.attributes["type"] == "static";
                assert!(is_static || begin <= 1, "presentationTimeOffset is the start of the period: {offset} {start}");
                // The sound of the fixture is a little longer than its pictures, each time that it begins anew.
                let spare = if representation.id.starts_with('v') { 1 } else { scale };
                for (number, span) in &representation.segments {
                    let key = (id.clone(), representation.id.clone(), *number);
                    assert_eq!(self.seen.entry(key.clone()).or_insert(*span), span, "{key:?}");
                    assert!(span.0 + spare >= offset, "{key:?} is in its period");
                    if let Some(duration) = period.attributes.get("duration") {
                        let last = offset + micros(duration) * scale / 1_000_000;
                        assert!(span.0 < last && span.0 + span.1 <= last + spare, "{key:?} is in its period\n{text}");
                    }
                    assert!(span.1 > 0);
                }
            }
        }
        for pair in ends.windows(2) {
            assert!(pair[0].1.expect("a duration of all but the last") <= pair[1].0, "{ends:?}");
        }
        self.last = Some(mpd.clone());
        mpd
    }
}

/// Validates an MPD against the schema of ISO/IEC 23009-1, if it is here.
pub fn validate(name: &str, mpd: &str) {
    let folder = std::env::var_os("EDGEPACK_MPD_SCHEMA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/schema"), PathBuf::from);
    let schema = folder.join("DASH-MPD.xsd");
    if !schema.is_file() {
        println!("no schema: set EDGEPACK_MPD_SCHEMA to a folder with DASH-MPD.xsd (github.com/MPEGGroup/DASHSchema)");
        return;
    }
    let file = std::env::temp_dir().join(format!("edgepack-live-{name}-{}.mpd", std::process::id()));
    fs::write(&file, mpd).expect("the MPD");
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--nonet", "--noout"]).env("XML_CATALOG_FILES", folder.join("catalog.xml"));
    let output = xmllint.arg("--schema").arg(&schema).arg(&file).output().expect("xmllint");
    fs::remove_file(&file).expect("the MPD is there");
    assert!(output.status.success(), "{name}: {}\n{mpd}", String::from_utf8_lossy(&output.stderr));
}
