//! Which set of which input the timeline takes next: a pure function of what the inputs have, and of the time.
//!
//! Both inputs are held against one clock, that of the encoder that the timeline follows. An input whose clock is another one
//! is never mixed in: it takes over, with a discontinuity, when there is nothing else.

use packager::media::time::Instant;
use serde::{Deserialize, Serialize};

/// Sets whose times differ by no more than this are for the same time: a frame, and what rounding adds.
pub const TOLERANCE_NS: i64 = 60_000_000;
/// Holes that are filled with positions without media; after longer ones the timeline has a discontinuity.
pub const MAX_GAP_POSITIONS: u32 = 10;
/// By how many segment durations two inputs may be apart and still follow one clock.
const MAX_LAG_POSITIONS: i64 = 3;
/// Presentation time at which a timeline begins, so that sound may begin a little before it.
pub const FIRST_NS: i64 = 10_000_000_000;
/// Nanoseconds after which a clock of 33 bits at 90 kHz starts anew, rounded down.
const WRAP_TICKS: i64 = 1 << 33;
const CLOCK: u32 = 90_000;
const MS: i64 = 1_000_000;

/// A set that an input has.
#[derive(Clone, Debug)]
pub struct Offer {
    /// For the caller.
    pub key: i64,
    /// 0 or 1; 0 is the preferred one.
    pub input: usize,
    /// When it begins and ends by the clock of the encoder.
    pub start: Instant,
    /// See `start`.
    pub end: Instant,
    /// Whether that clock is one of 33 bits.
    pub wraps: bool,
    /// Whether all renditions are there, or else how many are missing.
    pub missing: usize,
    /// When its first segment came, milliseconds since 1970.
    pub since_ms: i64,
    /// When its last segment came.
    pub ready_ms: i64,
    /// Whether the encoder says that its clock starts anew here.
    pub discontinuity: bool,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The set becomes the next position.
    Take(Take),
    /// The next positions have no media: so many, up to this presentation time.
    Gap {
        /// How many.
        positions: u32,
        /// Where they end, nanoseconds.
        until_ns: i64,
    },
    /// The set is for a time that the timeline has already. `overlaps` when it is not for the same positions.
    Skip {
        /// Of the offer.
        key: i64,
        /// Whether it is misaligned.
        overlaps: bool,
    },
    /// There is nothing to do before this time, milliseconds since 1970, unless something comes.
    Wait(i64),
    /// There is nothing to do unless something comes.
    Rest,
}

/// A set that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// Of the offer.
    pub key: i64,
    /// Of the offer.
    pub input: usize,
    /// Presentation time at which it begins, in ticks of the offer's start.
    pub at_ticks: i64,
    /// Whether the clock of the encoder is another one than before.
    pub discontinuity: bool,
}

/// Where the timeline stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// `None` before the first position.
    place: Option<Place>,
    inputs: [Input; 2],
}

/// The end of the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// What is added to the clock of the encoder to make presentation time, nanoseconds.
    shift_ns: i64,
    /// Where the next position should begin by the clock of the encoder, nanoseconds.
    expected_ns: i64,
    /// When what was taken last had come, milliseconds since 1970.
    came_ms: i64,
    /// Of which input that was.
    input: usize,
}

/// What is known of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Input {
    /// The last set that was looked at.
    seen: Option<Seen>,
    /// Whether its clock is the one that the timeline follows.
    aligned: bool,
    /// Whether it was late, and has not been in time since.
    late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    key: i64,
    start_ns: i64,
    end_ns: i64,
    since_ms: i64,
}

impl Line {
    /// Presentation time at which the timeline ends, nanoseconds; `None` before it begins.
    pub fn end_ns(&self) -> Option<i64> {
        self.place.map(|p| p.expected_ns.saturating_add(p.shift_ns))
    }

    /// Whether the clock of an input is the one that the timeline follows; `None` when it has sent nothing.
    pub fn is_aligned(&self, input: usize) -> Option<bool> {
        self.inputs.get(input).and_then(|i| i.seen.map(|_| i.aligned))
    }

    /// The input that the last position came from.
    pub fn input(&self) -> Option<usize> {
        self.place.map(|p| p.input)
    }

    /// Says what to do. `offers` of one input are in the order in which they came; `epoch_ms` is when presentation time 0 is, once
    /// that is known; `position_ms` is how long a position is.
    pub fn decide(&mut self, offers: &[Offer], epoch_ms: Option<i64>, position_ms: i64, now_ms: i64) -> Decision {
        for offer in offers {
            self.look(offer, position_ms);
        }
        let Some(place) = self.place else { return self.begin(offers, position_ms, now_ms) };
        let mut wait: Option<i64> = None;
        let mut wait_until = |ms: i64| wait = Some(wait.map_or(ms, |w: i64| w.min(ms)));
        let aligned = |o: &&Offer| self.inputs.get(o.input).is_some_and(|i| i.aligned) && self.is_current(o);
        let apart = |o: &Offer| place.unwrapped(o.start, o.wraps).saturating_sub(place.expected_ns);

        // What the timeline has already.
        for offer in offers.iter().filter(aligned) {
            let (before, length) = (apart(offer), length_ns(offer));
            if before < -TOLERANCE_NS {
                let overlaps = before.saturating_add(length) > TOLERANCE_NS;
                return Decision::Skip { key: offer.key, overlaps };
            }
        }
        // What an input had before its clock started anew can only be late.
        for offer in offers.iter().filter(|o| !self.is_current(o)) {
            if now_ms.saturating_sub(offer.ready_ms) > 4 * position_ms {
                return Decision::Skip { key: offer.key, overlaps: false };
            }
        }

        // What follows.
        let next =
            |input: usize| offers.iter().filter(aligned).find(|o| o.input == input && apart(o).abs() <= TOLERANCE_NS);
        let (first, second) = (next(0), next(1));
        if let Some(offer) = first.filter(|o| o.missing == 0) {
            return self.take(offer, false);
        }
        if let Some(offer) = second.filter(|o| o.missing == 0) {
            let until = offer.ready_ms.saturating_add(position_ms);
            let preferred = self.inputs[0];
            if preferred.late || !preferred.aligned || preferred.seen.is_none() || now_ms >= until {
                self.inputs[0].late = true;
                return self.take(offer, false);
            }
            wait_until(until);
        }
        let best = [first, second].into_iter().flatten().min_by_key(|o| o.missing);
        if let Some(offer) = best.filter(|o| o.missing > 0) {
            let until = offer.since_ms.saturating_add(2 * position_ms);
            if now_ms >= until {
                return self.take(offer, false);
            }
            wait_until(until);
        }
        if best.is_none() {
            // A hole: what comes after it, once what was to be in it is late.
            let after = offers.iter().filter(aligned).filter(|o| apart(o) > TOLERANCE_NS).min_by_key(|o| apart(o));
            if let Some(offer) = after {
                let until = offer.ready_ms.max(offer.since_ms).saturating_add(position_ms);
                if now_ms >= until {
                    let hole = apart(offer);
                    let positions = hole.saturating_add(position_ms * MS / 2) / (position_ms * MS).max(1);
                    let positions = u32::try_from(positions.max(1)).unwrap_or(u32::MAX);
                    if positions > MAX_GAP_POSITIONS {
                        return self.take_if_whole(offer, true).unwrap_or(Decision::Rest);
                    }
                    let until_ns = place.expected_ns.saturating_add(hole).saturating_add(place.shift_ns);
                    return Decision::Gap { positions, until_ns };
                }
                wait_until(until);
            }
        }

        // Nothing that goes on: another clock.
        let foreign = offers.iter().filter(|o| !self.inputs[o.input.min(1)].aligned && self.is_current(o));
        if best.is_none()
            && let Some(offer) = foreign.filter(|o| o.missing == 0).min_by_key(|o| o.ready_ms)
        {
            // Who goes on by himself with a new clock has given up the old one.
            let other = 1 - offer.input.min(1);
            let alone = place.input == offer.input
                && !(self.inputs[other].aligned
                    && self.inputs[other].seen.is_some_and(|s| now_ms.saturating_sub(s.since_ms) < 4 * position_ms));
            let until = if alone { now_ms } else { place.came_ms.saturating_add(3 * position_ms) };
            if now_ms >= until {
                return self.switch(offer, epoch_ms.unwrap_or(0));
            }
            wait_until(until);
        }
        wait.map_or(Decision::Rest, Decision::Wait)
    }

    /// The caller has made the positions of a [`Decision::Gap`].
    pub fn pass(&mut self, until_ns: i64) {
        if let Some(place) = &mut self.place {
            place.expected_ns = until_ns.saturating_sub(place.shift_ns);
        }
    }

    /// Takes note of an offer that has not been looked at yet.
    fn look(&mut self, offer: &Offer, position_ms: i64) {
        let Some(input) = self.inputs.get(offer.input).copied() else { return };
        if input.seen.is_some_and(|seen| seen.key >= offer.key) {
            return;
        }
        let position_ns = position_ms.saturating_mul(MS);
        let near = |ns: i64| unwrapped(offer.start, offer.wraps, ns);
        let mut aligned = input.aligned;
        let start_ns;
        match input.seen {
            Some(seen) => {
                start_ns = near(seen.end_ns);
                let step = start_ns.saturating_sub(seen.end_ns);
                let passed = offer.since_ms.saturating_sub(seen.since_ms).saturating_mul(MS);
                let back = start_ns < seen.start_ns.saturating_add(TOLERANCE_NS);
                let on = !back && (step <= 2 * position_ns || step.abs_diff(passed) <= lag_ns(position_ns));
                if !on || offer.discontinuity {
                    let active = self.place.is_some_and(|p| p.input == offer.input);
                    // An encoder that goes back in time does not say the same again.
                    aligned = !(back && active) && self.follows(offer, position_ns);
                }
            }
            None => {
                start_ns = near(self.place.map_or(0, |p| p.expected_ns));
                aligned = self.follows(offer, position_ns);
            }
        }
        let end_ns = start_ns.saturating_add(length_ns(offer));
        let input = &mut self.inputs[offer.input];
        input.aligned = aligned;
        input.seen = Some(Seen { key: offer.key, start_ns, end_ns, since_ms: offer.since_ms });
        // In time again: before the timeline needs it, or soon after another had it.
        if let Some(place) = self.place
            && input.aligned
            && start_ns >= place.expected_ns.saturating_sub(position_ns + TOLERANCE_NS)
            && (start_ns >= place.expected_ns - TOLERANCE_NS || offer.since_ms <= place.came_ms + position_ms / 2)
        {
            input.late = false;
        }
    }

    /// Whether an offer begins about when the clock that the timeline follows would say.
    fn follows(&self, offer: &Offer, position_ns: i64) -> bool {
        let Some(place) = self.place else { return true };
        let passed = offer.since_ms.saturating_sub(place.came_ms).saturating_mul(MS);
        let apart = place.unwrapped(offer.start, offer.wraps).saturating_sub(place.expected_ns);
        apart.abs_diff(passed.saturating_sub(position_ns)) <= lag_ns(position_ns)
    }

    /// Whether an offer is of the clock that its input has now, and not of one before.
    fn is_current(&self, offer: &Offer) -> bool {
        let Some(seen) = self.inputs.get(offer.input).and_then(|i| i.seen) else { return true };
        unwrapped(offer.start, offer.wraps, seen.start_ns) <= seen.start_ns.saturating_add(TOLERANCE_NS)
    }

    fn begin(&mut self, offers: &[Offer], position_ms: i64, now_ms: i64) -> Decision {
        let whole = || offers.iter().filter(|o| o.missing == 0);
        let Some(offer) = whole().find(|o| o.input == 0).or(whole().next()) else { return Decision::Rest };
        let until = offer.ready_ms.saturating_add(position_ms);
        if offer.input != 0 && self.inputs[0].seen.is_some() && now_ms < until {
            return Decision::Wait(until);
        }
        self.inputs[offer.input.min(1)].aligned = true;
        self.place_at(offer, FIRST_NS, false)
    }

    /// Follows the clock of another encoder: the timeline goes on with the wall clock.
    fn switch(&mut self, offer: &Offer, epoch_ms: i64) -> Decision {
        let wall = offer.since_ms.saturating_sub(epoch_ms).saturating_mul(MS).saturating_sub(length_ns(offer));
        let at = wall.max(self.end_ns().unwrap_or(FIRST_NS));
        let other = 1 - offer.input.min(1);
        self.inputs[offer.input.min(1)].aligned = true;
        let decision = self.place_at(offer, at, true);
        // Whether the other follows this clock is seen with what it sends next.
        self.inputs[other].aligned = false;
        self.inputs[other].seen = None;
        decision
    }

    fn place_at(&mut self, offer: &Offer, at_ns: i64, discontinuity: bool) -> Decision {
        // Whole ticks, so that the shift is the same for all that follows.
        let at_ticks = Instant { ticks: at_ns, timescale: 1_000_000_000 }.in_timescale(offer.start.timescale);
        let at_ns = Instant { ticks: at_ticks, timescale: offer.start.timescale }.nanoseconds();
        let start_ns = offer.start.nanoseconds();
        self.place = Some(Place {
            shift_ns: at_ns.saturating_sub(start_ns),
            expected_ns: start_ns.saturating_add(length_ns(offer)),
            came_ms: offer.ready_ms,
            input: offer.input,
        });
        if let Some(input) = self.inputs.get_mut(offer.input) {
            let end_ns = start_ns.saturating_add(length_ns(offer));
            input.seen = Some(match input.seen {
                Some(seen) if seen.key > offer.key => seen,
                _ => Seen { key: offer.key, start_ns, end_ns, since_ms: offer.since_ms },
            });
        }
        Decision::Take(Take { key: offer.key, input: offer.input, at_ticks, discontinuity })
    }

    fn take_if_whole(&mut self, offer: &Offer, discontinuity: bool) -> Option<Decision> {
        (offer.missing == 0).then(|| self.take(offer, discontinuity))
    }

    fn take(&mut self, offer: &Offer, discontinuity: bool) -> Decision {
        let Some(place) = &mut self.place else { return Decision::Rest };
        let start_ns = place.unwrapped(offer.start, offer.wraps);
        if offer.input != place.input && !discontinuity {
            // Two encoders are a little apart, but what was said of a position when it was the last one has to stay true.
            place.shift_ns = place.expected_ns.saturating_add(place.shift_ns).saturating_sub(start_ns);
        }
        let at_ns = start_ns.saturating_add(place.shift_ns);
        let at_ticks = Instant { ticks: at_ns, timescale: 1_000_000_000 }.in_timescale(offer.start.timescale);
        place.expected_ns = start_ns.saturating_add(length_ns(offer));
        place.came_ms = offer.ready_ms;
        place.input = offer.input;
        Decision::Take(Take { key: offer.key, input: offer.input, at_ticks, discontinuity })
    }
}

impl Place {
    fn unwrapped(&self, start: Instant, wraps: bool) -> i64 {
        unwrapped(start, wraps, self.expected_ns)
    }
}

/// A time in nanoseconds; of a clock that wraps, the one that is nearest to `near_ns`.
pub fn unwrapped(start: Instant, wraps: bool, near_ns: i64) -> i64 {
    let ns = start.nanoseconds();
    if !wraps {
        return ns;
    }
    let wrap = Instant { ticks: WRAP_TICKS, timescale: CLOCK }.nanoseconds();
    let turns = near_ns.saturating_sub(ns).saturating_add(wrap / 2).div_euclid(wrap);
    Instant { ticks: start.in_timescale(CLOCK).saturating_add(turns.saturating_mul(WRAP_TICKS)), timescale: CLOCK }
        .nanoseconds()
}

fn length_ns(offer: &Offer) -> i64 {
    offer.end.nanoseconds().saturating_sub(offer.start.nanoseconds()).max(1)
}

fn lag_ns(position_ns: i64) -> u64 {
    position_ns.saturating_mul(MAX_LAG_POSITIONS).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: i64 = 2000;
    const EPOCH: i64 = 1_000_000;

    /// Two inputs, and what the timeline takes of them.
    #[derive(Default)]
    struct Scene {
        line: Line,
        offers: Vec<Offer>,
        keys: i64,
        now: i64,
        /// Presentation time in milliseconds, input and start by the encoder's clock of what was taken; -1 for a gap.
        taken: Vec<(i64, i64, i64)>,
        discontinuities: usize,
        overlaps: usize,
    }

    impl Scene {
        fn new() -> Self {
            Self { now: EPOCH + 12_000, ..Self::default() }
        }

        /// A set of two seconds that begins at `start` ms comes now.
        fn push(&mut self, input: usize, start: i64) {
            self.push_raw(input, start * 90, true, 0);
        }

        fn push_raw(&mut self, input: usize, ticks: i64, wraps: bool, missing: usize) {
            let at = |ticks| Instant { ticks, timescale: 90_000 };
            self.keys += 1;
            self.offers.push(Offer {
                key: self.keys,
                input,
                start: at(ticks),
                end: at(ticks + D * 90),
                wraps,
                missing,
                since_ms: self.now,
                ready_ms: self.now,
                discontinuity: false,
            });
            self.run();
        }

        fn run(&mut self) {
            loop {
                match self.line.decide(&self.offers, Some(EPOCH), D, self.now) {
                    Decision::Take(take) => {
                        let at = self.offers.iter().position(|o| o.key == take.key).unwrap();
                        let offer = self.offers.remove(at);
                        let start = offer.start.in_timescale(1000);
                        self.taken.push((take.at_ticks / 90, take.input as i64, start));
                        self.discontinuities += usize::from(take.discontinuity);
                    }
                    Decision::Gap { positions, until_ns } => {
                        let end = self.line.end_ns().unwrap();
                        for n in 0..i64::from(positions) {
                            let at = end + (until_ns - end) / i64::from(positions) * n;
                            self.taken.push((at / 1_000_000, -1, 0));
                        }
                        self.line.pass(until_ns);
                    }
                    Decision::Skip { key, overlaps } => {
                        self.offers.retain(|o| o.key != key);
                        self.overlaps += usize::from(overlaps);
                    }
                    Decision::Wait(until) => {
                        assert!(until > self.now, "waits for the past");
                        return;
                    }
                    Decision::Rest => return,
                }
            }
        }

        fn pass(&mut self, ms: i64) {
            for _ in 0..ms / 100 {
                self.now += 100;
                self.run();
            }
        }

        /// Positions follow each other by two seconds.
        fn assert_even(&self, count: usize) {
            assert_eq!(self.taken.len(), count, "{:?}", self.taken);
            for pair in self.taken.windows(2) {
                assert_eq!(pair[1].0 - pair[0].0, D, "{:?}", self.taken);
            }
        }

        fn inputs(&self) -> Vec<i64> {
            self.taken.iter().map(|t| t.1).collect()
        }
    }

    #[test]
    fn the_preferred_input_is_taken_while_it_is_in_time() {
        let mut scene = Scene::new();
        scene.push(0, 5000);
        for n in 0..5 {
            scene.push(1, 7000 + n * D);
            scene.pass(300);
            scene.push(0, 7000 + n * D);
            scene.pass(1700);
        }
        scene.assert_even(6);
        assert_eq!(scene.inputs(), [0; 6]);
        assert!(scene.offers.len() <= 1, "what is over is skipped");
    }

    #[test]
    fn the_other_takes_over_and_gives_back() {
        let mut scene = Scene::new();
        for n in 0..20 {
            if !(5..12).contains(&n) {
                scene.push(0, 7000 + n * D);
            }
            scene.push(1, 7000 + n * D);
            scene.pass(D);
        }
        scene.pass(D);
        scene.assert_even(20);
        let inputs = scene.inputs();
        assert_eq!(inputs[..5], [0; 5]);
        assert_eq!(inputs[5..12], [1; 7]);
        assert_eq!(inputs[13..], [0; 7]);
        assert_eq!((scene.discontinuities, scene.overlaps), (0, 0));
        // Only the first one had to be waited for.
        assert!(scene.offers.is_empty());
    }

    #[test]
    fn inputs_a_little_apart_follow_each_other_without_a_step() {
        let mut scene = Scene::new();
        for n in 0..12 {
            if !(3..8).contains(&n) {
                scene.push(0, 7021 + n * D);
            }
            scene.push(1, 7000 + n * D);
            scene.pass(D);
        }
        scene.pass(D);
        scene.assert_even(12);
        assert_eq!((scene.discontinuities, scene.overlaps), (0, 0));
    }

    #[test]
    fn a_segment_that_comes_late_is_waited_for_no_longer_than_a_position() {
        let mut scene = Scene::new();
        scene.push(0, 0);
        scene.pass(D);
        scene.push(1, D);
        scene.pass(D - 100);
        assert_eq!(scene.taken.len(), 1);
        scene.pass(100);
        assert_eq!(scene.taken.len(), 2);
        scene.push(0, D);
        assert_eq!(scene.taken.len(), 2);
        assert!(scene.offers.is_empty());
    }

    #[test]
    fn a_hole_in_both_inputs_is_a_gap() {
        let mut scene = Scene::new();
        for n in [0, 1, 2, 5, 6] {
            scene.pass(if n == 5 { 3 * D } else { D });
            scene.push(0, 90_000 + n * D);
            scene.push(1, 90_000 + n * D);
        }
        scene.pass(2 * D);
        scene.assert_even(7);
        assert_eq!(scene.inputs(), [0, 0, 0, -1, -1, 0, 0]);
        assert_eq!(scene.discontinuities, 0);
    }

    #[test]
    fn after_a_long_hole_there_is_a_discontinuity_and_the_wall_clock_still_holds() {
        let mut scene = Scene::new();
        scene.push(0, 5000);
        scene.pass(100 * D);
        scene.push(0, 5000 + 100 * D);
        scene.pass(2 * D);
        assert_eq!(scene.discontinuities, 1);
        assert_eq!(scene.taken[1].0 - scene.taken[0].0, 100 * D);
    }

    #[test]
    fn an_encoder_that_starts_anew_alone_goes_on_at_once() {
        let mut scene = Scene::new();
        for n in 0..5 {
            scene.push(0, 1400 + n * D);
            scene.pass(D);
        }
        scene.pass(7000);
        for n in 0..5 {
            scene.push(0, 1400 + n * D);
            assert_eq!(scene.taken.len() as i64, 6 + n, "{:?}", scene.taken);
            scene.pass(D);
        }
        assert_eq!(scene.discontinuities, 1);
        // The wall clock has gone on by seven seconds more than the media.
        assert_eq!(scene.taken[5].0 - scene.taken[4].0, D + 7000);
        assert_eq!(scene.taken[9].0 - scene.taken[5].0, 4 * D);
    }

    #[test]
    fn an_encoder_that_starts_anew_beside_another_is_not_mixed_in() {
        let mut scene = Scene::new();
        for n in 0..10 {
            scene.push(0, if n < 5 { 50_000 + n * D } else { 1400 + (n - 5) * D });
            scene.push(1, 50_000 + n * D);
            scene.pass(D);
        }
        scene.pass(D);
        scene.assert_even(10);
        assert_eq!(scene.inputs()[6..], [1; 4]);
        assert_eq!(scene.discontinuities, 0);
        assert_eq!(scene.line.is_aligned(0), Some(false));
        // The other ends: the new clock takes over, once.
        for n in 5..12 {
            scene.push(0, 1400 + n * D);
            scene.pass(D);
        }
        scene.pass(D);
        assert_eq!(scene.discontinuities, 1, "{:?}", scene.taken);
        assert_eq!(scene.taken.last().unwrap().1, 0);
        assert_eq!(scene.line.is_aligned(0), Some(true));
    }

    #[test]
    fn inputs_whose_segments_begin_elsewhere_are_reported() {
        let mut scene = Scene::new();
        for n in 0..6 {
            scene.push(0, 10_000 + n * D);
            scene.pass(D / 2);
            scene.push(1, 11_000 + n * D);
            scene.pass(D / 2);
        }
        scene.pass(2 * D);
        assert!(scene.inputs().iter().take(6).all(|i| *i == 0), "{:?}", scene.taken);
        assert!(scene.overlaps >= 4, "{}", scene.overlaps);
    }

    #[test]
    fn the_clock_wraps() {
        let mut scene = Scene::new();
        let wrap = 1_i64 << 33;
        for n in 0..8 {
            let ticks = (wrap - 7 * D * 90 / 2 + n * D * 90).rem_euclid(wrap);
            scene.push_raw(0, ticks, true, 0);
            scene.push_raw(1, ticks, true, 0);
            scene.pass(D);
        }
        scene.assert_even(8);
        assert_eq!((scene.discontinuities, scene.overlaps), (0, 0));
    }

    #[test]
    fn a_rendition_that_lags_is_given_up_after_two_positions() {
        let mut scene = Scene::new();
        scene.push(0, 0);
        scene.pass(D);
        scene.push_raw(0, D * 90, true, 1);
        scene.pass(2 * D - 100);
        assert_eq!(scene.taken.len(), 1);
        scene.pass(100);
        assert_eq!(scene.taken.len(), 2);
    }

    #[test]
    fn the_other_input_completes_what_lacks_a_rendition() {
        let mut scene = Scene::new();
        scene.push(0, 0);
        scene.push(1, 0);
        scene.pass(D);
        scene.push_raw(0, D * 90, true, 1);
        scene.push(1, D);
        scene.pass(D);
        assert_eq!(scene.inputs(), [0, 1]);
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_a_discontinuity() {
        let mut scene = Scene::new();
        for n in 0..4 {
            scene.push(0, n * D);
            scene.pass(D);
        }
        for n in 0..4 {
            scene.push(0, 3_600_000 + n * D);
            scene.pass(D);
        }
        assert_eq!((scene.taken.len(), scene.discontinuities), (8, 1), "{:?}", scene.taken);
        let before = scene.taken[3].0;
        assert_eq!(scene.taken[4].0 - before, D, "the wall clock went on by a position");
    }
}
