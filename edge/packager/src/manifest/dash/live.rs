//! The MPD of a live channel (ISO/IEC 23009-1, 5.3.1.2; DASH-IF IOP, part 4).

use quick_xml::Writer;

use super::{Items, Period, adaptation, broken, seconds, text, write_period};
use crate::config::LiveManifest;
use crate::error::{Error, Result};
use crate::media::date;
use crate::media::time::Instant;
use crate::media::window::{Kind, Window};
use crate::route::LiveFile;

/// The clock of the edge, [`crate::route::TIME_PATH`], as it is named from a manifest's URL.
const CLOCK: &str = "../../../time";

fn micros(time: u64) -> Instant {
    Instant { ticks: i64::try_from(time).unwrap_or(i64::MAX), timescale: 1_000_000 }
}

fn ms(time: u64) -> Instant {
    Instant { ticks: i64::try_from(time).unwrap_or(i64::MAX), timescale: 1000 }
}

/// The MPD of a window: dynamic, or static when the window was whole from the beginning.
///
/// # Errors
/// `NotFound` when the selection leaves nothing of a channel that has video.
pub fn live_mpd(window: &Window) -> Result<String> {
    let whole = window.kind == Kind::Whole;
    // A static presentation begins at 0 (5.3.2.1), however late in the channel it is.
    let zero = match window.periods.first() {
        Some(first) if whole => first.positions.first().map_or(first.start_us, |cut| first.cut_us(*cut)),
        _ => 0,
    };
    let end = window.periods.last().map_or(0, |p| p.end_us);
    let nexts = window.periods.iter().skip(1).map(Some).chain([None]);
    let mut periods = Vec::with_capacity(window.periods.len());
    for (period, next) in window.periods.iter().zip(nexts) {
        // Of the first period of a static presentation, what is before the window is no part.
        let start = period.start_us.max(zero);
        let after = match next {
            // It ends where the next one begins, unless media are missing in between.
            Some(next) => Some(period.end_us.min(next.start_us)),
            None => window.closed.then_some(period.end_us),
        };
        let own = Period {
            id: period.first,
            init: LiveFile::Init(period.first).to_string(),
            cuts: 0..usize::MAX,
            number: period.number,
            start: micros(start),
            at: micros(start - zero),
            duration: after.map(|after| micros(after.saturating_sub(start))),
        };
        periods.push((own, Items::new(&period.presentation)?, &period.presentation));
    }
    let attributes = attributes(window, zero, end)?;
    let keys = window.periods.iter().any(|p| p.presentation.keys.is_some());
    let mut xml = Writer::new_with_indent(Vec::with_capacity(4096), b' ', 2);
    let write = xml
        .create_element("MPD")
        .with_attributes([("xmlns", "urn:mpeg:dash:schema:mpd:2011")])
        .with_attributes(keys.then_some(("xmlns:cenc", "urn:mpeg:cenc:2013")))
        .with_attributes([("profiles", "urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019")])
        .with_attributes(attributes.iter().map(|(name, value)| (*name, value.as_str())))
        .write_inner_content(|xml| {
            for (period, items, presentation) in &periods {
                write_period(xml, presentation, items, period)?;
            }
            if whole {
                return Ok(());
            }
            adaptation::descriptor(xml, "UTCTiming", "urn:mpeg:dash:utc:http-iso:2014", CLOCK)
        });
    write.map_err(broken)?;
    text(xml)
}

/// The attributes of the root element. `zero` and `end` are where the window begins and ends, in microseconds.
fn attributes(window: &Window, zero: u64, end: u64) -> Result<Vec<(&'static str, String)>> {
    let LiveManifest::Dash { min_buffer_seconds, min_update_seconds, presentation_delay_seconds, .. } = window.manifest
    else {
        return Err(Error::internal("an endpoint of DASH whose manifest is of another kind"));
    };
    let whole_seconds = |seconds: u32| format!("PT{seconds}S");
    let buffer = ("minBufferTime", whole_seconds(min_buffer_seconds));
    if window.kind == Kind::Whole {
        let duration = seconds(micros(end.saturating_sub(zero)));
        return Ok(vec![("type", "static".to_owned()), ("mediaPresentationDuration", duration), buffer]);
    }
    // What is late on purpose is available later, and was published when it became available.
    let available = window.epoch_ms.saturating_add(window.delay_ms);
    let published = match window.delay_ms {
        0 => window.published_ms,
        _ => available.saturating_add(end / 1000),
    };
    let mut attributes = vec![
        ("type", "dynamic".to_owned()),
        ("availabilityStartTime", date::format(available)),
        ("publishTime", date::format(published)),
        buffer,
        ("suggestedPresentationDelay", whole_seconds(presentation_delay_seconds)),
    ];
    match window.closed {
        false => attributes.push(("minimumUpdatePeriod", whole_seconds(min_update_seconds))),
        true => attributes.push(("mediaPresentationDuration", seconds(ms(end / 1000)))),
    }
    if window.kind == Kind::Sliding {
        attributes.push(("timeShiftBufferDepth", whole_seconds(window.depth_seconds)));
    }
    Ok(attributes)
}
