//! A static MPD with SegmentTemplate and SegmentTimeline, or one file of text, as far as the tests look at it.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::http::{Client, resolve};

/// One Representation.
#[derive(Clone, Debug, Default)]
pub struct Representation {
    /// `contentType` of its adaptation set, else the first part of the MIME type.
    pub kind: String,
    /// `id`
    pub id: String,
    /// Attributes of the adaptation set and of the representation; the latter win.
    pub attributes: BTreeMap<String, String>,
    /// Position of its period.
    pub period: usize,
    /// URL of the initialization segment; of the whole file when there are no segments.
    pub init: String,
    /// URL, start and duration of every segment, in ticks of the timescale.
    pub segments: Vec<(String, u64, u64)>,
    /// Ticks a second.
    pub timescale: u64,
    /// `presentationTimeOffset` in ticks.
    pub presentation_time_offset: u64,
}

/// An MPD.
#[derive(Clone, Debug, Default)]
pub struct Mpd {
    /// Where it came from.
    pub url: String,
    /// Its text.
    pub text: String,
    /// Attributes of the root.
    pub attributes: BTreeMap<String, String>,
    /// Start of each period in seconds.
    pub periods: Vec<f64>,
    /// All representations, in document order.
    pub representations: Vec<Representation>,
}

#[derive(Default)]
struct Template {
    attributes: BTreeMap<String, String>,
    timeline: Vec<(u64, u64)>,
}

impl Mpd {
    /// Fetches and reads it.
    pub fn fetch(client: &Client, url: &str) -> Self {
        Self::parse(url, client.get(url).text())
    }

    /// Reads the text that came from `url`.
    pub fn parse(url: &str, text: String) -> Self {
        let mut mpd = Self { url: url.to_owned(), ..Self::default() };
        let mut set = BTreeMap::new();
        let mut set_template = Template::default();
        let mut open: Option<(BTreeMap<String, String>, Option<Template>)> = None;
        let mut in_base_url = false;
        let mut next_period = 0.0;
        let mut reader = Reader::from_str(&text);
        loop {
            let event = reader.read_event().unwrap_or_else(|error| panic!("{url}: {error}\n{text}"));
            let (tag, ends_at_once) = match &event {
                Event::Start(tag) => (tag, false),
                Event::Empty(tag) => (tag, true),
                Event::Text(text) => {
                    if in_base_url && let Some((own, _)) = &mut open {
                        own.insert("BaseURL".to_owned(), text.trim().to_owned());
                    }
                    continue;
                }
                Event::End(tag) => {
                    in_base_url = false;
                    match tag.local_name().as_ref() {
                        "Representation" => mpd.close(&set, &set_template, open.take()),
                        "AdaptationSet" => set_template = Template::default(),
                        _ => {}
                    }
                    continue;
                }
                Event::Eof => break,
                _ => continue,
            };
            let attributes = attributes_of(tag);
            match tag.local_name().as_ref() {
                "MPD" => mpd.attributes = attributes,
                "Period" => {
                    let time = |name: &str| attributes.get(name).map(|text| seconds(text));
                    let start = time("start").unwrap_or(next_period);
                    next_period = start + time("duration").unwrap_or_default();
                    mpd.periods.push(start);
                }
                "BaseURL" => in_base_url = true,
                "AdaptationSet" => set = attributes,
                "Representation" => {
                    open = Some((attributes, None));
                    if ends_at_once {
                        mpd.close(&set, &set_template, open.take());
                    }
                }
                "SegmentTemplate" => {
                    let template = Template { attributes, timeline: Vec::new() };
                    match &mut open {
                        Some((_, own)) => *own = Some(template),
                        None => set_template = template,
                    }
                }
                "S" => {
                    let number = |name: &str| attributes.get(name).map(|text| text.parse::<u64>().expect("a number"));
                    let template = open.as_mut().and_then(|(_, own)| own.as_mut()).unwrap_or(&mut set_template);
                    let follows = template.timeline.last().map_or(0, |(time, duration)| time + duration);
                    let duration = number("d").expect("S@d");
                    let mut time = number("t").unwrap_or(follows);
                    for _ in 0..=number("r").unwrap_or(0) {
                        template.timeline.push((time, duration));
                        time += duration;
                    }
                }
                _ => {}
            }
        }
        mpd.text = text;
        mpd
    }

    fn close(
        &mut self,
        set: &BTreeMap<String, String>,
        set_template: &Template,
        open: Option<(BTreeMap<String, String>, Option<Template>)>,
    ) {
        let Some((own, template)) = open else { return };
        let template = template.as_ref().unwrap_or(set_template);
        let mut attributes = set.clone();
        attributes.extend(own);
        let id = attributes.get("id").cloned().unwrap_or_default();
        let bandwidth = attributes.get("bandwidth").cloned().unwrap_or_default();
        let text = |name: &str| template.attributes.get(name).map(String::as_str);
        let number = |name: &str, otherwise| text(name).map_or(otherwise, |text| text.parse().expect("a number"));
        let fill = |text: &str| text.replace("$RepresentationID$", &id).replace("$Bandwidth$", &bandwidth);
        let mime = attributes.get("mimeType").cloned().unwrap_or_default();
        let kind = attributes.get("contentType").cloned();
        let kind = kind.unwrap_or_else(|| mime.split('/').next().unwrap_or_default().to_owned());
        let period = self.periods.len().saturating_sub(1);
        if let Some(file) = attributes.get("BaseURL") {
            let init = resolve(&self.url, file);
            self.representations.push(Representation {
                kind,
                init,
                period,
                id,
                attributes,
                ..Representation::default()
            });
            return;
        }
        let first: u64 = number("startNumber", 1);
        let media = fill(text("media").expect("SegmentTemplate@media"));
        let segments = (first..)
            .zip(&template.timeline)
            .map(|(segment, (time, duration))| {
                let name = media.replace("$Number$", &segment.to_string()).replace("$Time$", &time.to_string());
                (resolve(&self.url, &name), *time, *duration)
            })
            .collect();
        self.representations.push(Representation {
            kind,
            period,
            init: resolve(&self.url, &fill(text("initialization").expect("SegmentTemplate@initialization"))),
            segments,
            timescale: number("timescale", 1),
            presentation_time_offset: number("presentationTimeOffset", 0),
            id,
            attributes,
        });
    }

    /// Every URL that a player could be led to, the MPD's own included; each once.
    pub fn every_url(&self) -> Vec<String> {
        let mut urls = vec![self.url.clone()];
        for representation in &self.representations {
            urls.push(representation.init.clone());
            urls.extend(representation.segments.iter().map(|(url, ..)| url.clone()));
        }
        urls
    }
}

/// An `xs:duration` of hours, minutes and seconds.
fn seconds(duration: &str) -> f64 {
    let mut total = 0.0;
    let mut number = String::new();
    for letter in duration.trim_start_matches("PT").chars() {
        let unit = match letter {
            'H' => 3600.0,
            'M' => 60.0,
            'S' => 1.0,
            digit => {
                number.push(digit);
                continue;
            }
        };
        total += unit * number.parse::<f64>().unwrap_or_else(|_| panic!("a duration {duration:?}"));
        number.clear();
    }
    total
}

fn attributes_of(tag: &BytesStart<'_>) -> BTreeMap<String, String> {
    tag.attributes()
        .map(|attribute| {
            let attribute = attribute.expect("an attribute");
            let name = attribute.key.as_ref().to_owned();
            let value = quick_xml::escape::unescape(&attribute.value).expect("a value").into_owned();
            (name, value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_and_files_are_known() {
        let text = r#"<MPD><Period duration="PT1M2.5S"><AdaptationSet mimeType="text/vtt"><Representation id="t0" bandwidth="1">
            <BaseURL>a/b.vtt</BaseURL></Representation></AdaptationSet></Period><Period id="2"/></MPD>"#;
        let mpd = Mpd::parse("http://h/x.mpd", text.to_owned());
        assert_eq!(mpd.periods, [0.0, 62.5]);
        assert_eq!(
            (mpd.representations[0].kind.as_str(), mpd.representations[0].init.as_str()),
            ("text", "http://h/a/b.vtt")
        );
        assert_eq!(seconds("PT27H0M1S"), 97_201.0);
    }

    #[test]
    fn timelines_are_spelt_out() {
        let text = r#"<MPD type="static"><Period><AdaptationSet contentType="video">
            <SegmentTemplate timescale="10" initialization="$RepresentationID$/i" media="$RepresentationID$/$Number$">
            <SegmentTimeline><S t="5" d="20" r="1"/><S d="7"/></SegmentTimeline></SegmentTemplate>
            <Representation id="v0" bandwidth="9"/><Representation id="v1" bandwidth="8"></Representation>
            </AdaptationSet></Period></MPD>"#;
        let mpd = Mpd::parse("http://h/a/x.mpd", text.to_owned());
        assert_eq!(mpd.representations.len(), 2);
        let second = &mpd.representations[1];
        assert_eq!(second.init, "http://h/a/v1/i");
        let times: Vec<_> =
            second.segments.iter().map(|(url, time, duration)| (url.as_str(), *time, *duration)).collect();
        assert_eq!(times, [("http://h/a/v1/1", 5, 20), ("http://h/a/v1/2", 25, 20), ("http://h/a/v1/3", 45, 7)]);
    }
}
