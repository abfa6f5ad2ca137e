//! What is wanted of the product's speed, and whether it was met.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::report::{shown, significant};

/// One thing that is wanted.
struct Goal {
    measure: &'static str,
    wanted: &'static str,
    /// All of these have to hold.
    bounds: &'static [Bound],
}

/// The value of this name has to be at least, or at most, so much.
struct Bound {
    key: &'static str,
    unit: &'static str,
    limit: f64,
    at_most: bool,
}

const fn least(key: &'static str, unit: &'static str, limit: f64) -> Bound {
    Bound { key, unit, limit, at_most: false }
}

const fn most(key: &'static str, unit: &'static str, limit: f64) -> Bound {
    Bound { key, unit, limit, at_most: true }
}

/// The table at the top of the report.
const GOALS: [Goal; 9] = [
    Goal {
        measure: "clear CMAF segments from the edge, bytes a second",
        wanted: "at least half of nginx with static files; above 0.6 GB/s on one core",
        bounds: &[least("cmaf/nginx", "x", 0.5), least("cmaf", "bytes/s", 0.6e9)],
    },
    Goal {
        measure: "media playlist of one minute from the edge; of two hours against it",
        wanted: "10,000 a second on one core; at least a quarter of that",
        bounds: &[least("manifest", "a second", 10_000.0), least("long manifest", "x", 0.25)],
    },
    Goal {
        measure: "a segment of a ten-hour title against a one-minute title",
        wanted: "at most 1.2 x the time",
        bounds: &[most("ten hours", "x", 1.2)],
    },
    Goal {
        measure: "core in wasm against native: MP4 to CMAF, MP4 to TS, TS to CMAF, re-cut, the worst of all forms",
        wanted: "at least 0.7",
        bounds: &[least("wasm", "x", 0.7)],
    },
    Goal {
        measure: "core native MP4 to CMAF against shaka-packager, CPU time a gigabyte",
        wanted: "at most half",
        bounds: &[most("shaka", "x", 0.5)],
    },
    Goal { measure: "cbcs against clear, at the edge", wanted: "at least 0.8", bounds: &[least("cbcs", "x", 0.8)] },
    Goal { measure: "cenc against clear, at the edge", wanted: "at least 0.4", bounds: &[least("cenc", "x", 0.4)] },
    Goal {
        measure: "memory of an instance under load beyond the segment being made",
        wanted: "at most 32 MiB",
        bounds: &[most("memory", "bytes", 33_554_432.0)],
    },
    Goal {
        measure: "index of a two-hour, three-rendition title: of the media; time to PLAYABLE from local storage",
        wanted: "under 1 %; under 10 s",
        bounds: &[most("index", "x", 0.01), most("playable", "s", 10.0)],
    },
];

/// What became of a goal.
pub struct Outcome {
    /// What is measured.
    pub measure: &'static str,
    /// What is wanted of it.
    pub wanted: &'static str,
    /// What it is.
    pub measured: String,
    /// Nothing when something of it was not measured.
    met: Option<bool>,
}

impl Outcome {
    /// In a word.
    pub fn verdict(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "not measured",
        }
    }

    /// For the machine-readable report.
    pub fn json(&self) -> Value {
        json!({ "measure": self.measure, "wanted": self.wanted, "measured": self.measured, "met": self.met })
    }
}

/// Compares what was measured with what is wanted.
pub fn outcomes(values: &BTreeMap<&'static str, f64>) -> Vec<Outcome> {
    let outcome = |goal: &Goal| {
        let measured: Vec<Option<f64>> = goal.bounds.iter().map(|bound| values.get(bound.key).copied()).collect();
        let show = |(bound, value): (&Bound, &Option<f64>)| match value {
            None => "-".to_owned(),
            Some(value) if bound.unit == "x" => significant(*value),
            Some(value) => shown(*value, bound.unit),
        };
        let good = |(bound, value): (&Bound, &Option<f64>)| {
            value.map(|value| if bound.at_most { value <= bound.limit } else { value >= bound.limit })
        };
        let pairs = || goal.bounds.iter().zip(&measured);
        Outcome {
            measure: goal.measure,
            wanted: goal.wanted,
            measured: pairs().map(show).collect::<Vec<_>>().join("; "),
            met: pairs().map(good).try_fold(true, |all, one| one.map(|one| all && one)),
        }
    };
    GOALS.iter().map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_when_all_of_it_is() {
        let verdict =
            |values: &[(&'static str, f64)], goal: usize| outcomes(&values.iter().copied().collect())[goal].verdict();
        assert_eq!(verdict(&[("cmaf/nginx", 0.5), ("cmaf", 0.7e9)], 0), "met");
        assert_eq!(verdict(&[("cmaf/nginx", 0.49), ("cmaf", 0.7e9)], 0), "**missed**");
        assert_eq!(verdict(&[("cmaf/nginx", 0.5)], 0), "not measured");
        assert_eq!(verdict(&[("shaka", 0.5)], 4), "met");
        assert_eq!(verdict(&[("shaka", 0.51)], 4), "**missed**");
    }
}
