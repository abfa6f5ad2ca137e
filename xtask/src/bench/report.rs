//! What was measured, as a table for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::goals;
use super::measure::Series;

/// A row of the report.
struct Row {
    section: &'static str,
    name: String,
    unit: &'static str,
    values: Series,
    /// What it is compared with, and by how much it is more.
    ratio: Option<(String, Series)>,
}

/// Everything measured so far.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
    /// Medians of what the goals are about.
    goals: BTreeMap<&'static str, f64>,
}

impl Report {
    /// Adds a row and shows it.
    pub fn add(&mut self, section: &'static str, name: impl Into<String>, unit: &'static str, values: Series) {
        self.push(Row { section, name: name.into(), unit, values, ratio: None });
    }

    /// Adds a row with a ratio to something of the same run.
    pub fn compare(
        &mut self,
        section: &'static str,
        name: impl Into<String>,
        unit: &'static str,
        values: Series,
        (with, other): (&str, &Series),
    ) {
        let ratio = Some((with.to_owned(), values.over(other)));
        self.push(Row { section, name: name.into(), unit, values, ratio });
    }

    fn push(&mut self, row: Row) {
        println!("  {}", line(&row));
        self.rows.push(row);
    }

    /// Says something that the numbers do not.
    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        println!("  note: {text}");
        self.notes.push(text);
    }

    /// The value for a goal.
    pub fn goal(&mut self, key: &'static str, value: f64) {
        self.goals.insert(key, value);
    }

    /// The value for a goal, when it is the greatest so far.
    pub fn goal_max(&mut self, key: &'static str, value: f64) {
        let greatest = self.goals.entry(key).or_insert(value);
        *greatest = greatest.max(value);
    }

    /// The value for a goal that compares with the value of another.
    pub fn goal_over(&mut self, key: &'static str, value: f64, other: &str) {
        if let Some(other) = self.goals.get(other).copied() {
            self.goals.insert(key, value / other);
        }
    }

    /// Writes `report.md` and `report.json`.
    pub fn write(&self, folder: &Path, conditions: &[String]) -> Result<()> {
        let mut text = String::from("# Benchmark\n\n");
        for condition in conditions {
            writeln!(text, "{condition}\n")?;
        }
        text.push_str("| measure | wanted | measured | |\n| --- | --- | --- | --- |\n");
        let outcomes = goals::outcomes(&self.goals);
        for goal in &outcomes {
            writeln!(text, "| {} | {} | {} | {} |", goal.measure, goal.wanted, goal.measured, goal.verdict())?;
        }
        // Sections in the order in which they first came; each together.
        let first = |row: &&Row| self.rows.iter().position(|other| other.section == row.section);
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(first);
        let mut section = "";
        for row in rows {
            if row.section != section {
                section = row.section;
                write!(
                    text,
                    "\n## {section}\n\n| | median | least to greatest | ratio |\n| --- | ---: | ---: | --- |\n"
                )?;
            }
            let (least, greatest) = row.values.range();
            let show = |value: f64| shown(value, row.unit);
            let ratio = row
                .ratio
                .as_ref()
                .map_or(String::new(), |(with, ratio)| format!("{} of {with}", significant(ratio.median())));
            let (median, least, greatest) = (show(row.values.median()), show(least), show(greatest));
            writeln!(text, "| {} | {median} | {least} to {greatest} | {ratio} |", row.name)?;
        }
        if !self.notes.is_empty() {
            text.push_str("\n## Notes\n\n");
            for note in &self.notes {
                writeln!(text, "* {note}")?;
            }
        }
        let rows: Vec<Value> = self.rows.iter().map(|row| {
            let ratio = row.ratio.as_ref().map(|(with, ratio)| json!({ "to": with, "value": ratio.json() }));
            json!({ "section": row.section, "name": row.name, "unit": row.unit, "value": row.values.json(), "ratio": ratio })
        }).collect();
        let goals: Vec<Value> = outcomes.iter().map(goals::Outcome::json).collect();
        let document = json!({ "conditions": conditions, "goals": goals, "rows": rows, "notes": self.notes });
        for (name, content) in [("report.md", text), ("report.json", serde_json::to_string_pretty(&document)?)] {
            let path = folder.join(name);
            fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
            println!("{}", path.display());
        }
        Ok(())
    }
}

fn line(row: &Row) -> String {
    let ratio = row.ratio.as_ref();
    let ratio = ratio.map(|(with, ratio)| format!(" ({} of {with})", significant(ratio.median()))).unwrap_or_default();
    format!("{}: {}{ratio}", row.name, shown(row.values.median(), row.unit))
}

/// A value with its unit.
pub fn shown(value: f64, unit: &str) -> String {
    match unit {
        "bytes/s" if value >= 1e9 => format!("{:.2} GB/s", value / 1e9),
        "bytes/s" => format!("{:.1} MB/s", value / 1e6),
        "bytes" => format!("{:.2} MiB", value / 1_048_576.0),
        "s" if value < 0.001 => format!("{:.0} µs", value * 1e6),
        "s" if value < 1.0 => format!("{:.2} ms", value * 1e3),
        "s" => format!("{value:.2} s"),
        _ => format!("{} {unit}", significant(value)),
    }
}

/// Three digits.
pub fn significant(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_with_their_units() {
        for (value, unit, wanted) in [
            (1.25e9, "bytes/s", "1.25 GB/s"),
            (9.9e6, "bytes/s", "9.9 MB/s"),
            (3.0 * 1048576.0, "bytes", "3.00 MiB"),
            (0.000_25, "s", "250 µs"),
            (0.25, "s", "250.00 ms"),
            (12_345.6, "requests/s", "12346 requests/s"),
            (0.1234, "s/GB", "0.123 s/GB"),
        ] {
            assert_eq!(shown(value, unit), wanted);
        }
    }
}
