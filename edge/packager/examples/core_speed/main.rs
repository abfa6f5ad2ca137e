//! How fast the core is, natively and inside WebAssembly: what `cargo xtask bench` runs and reports.
//!
//! ```text
//! core_speed index FOLDER TITLE FILE...        learn files or a playlist in FOLDER: FOLDER/TITLE.index and .json
//! core_speed segments FOLDER PASSES TITLE ...  every segment of the titles in every form, from memory to memory
//! core_speed manifests FOLDER PASSES TITLE ... their manifests, as many as fit into a fifth of a second
//! core_speed package FOLDER OUT SCHEME FILE... index and CMAF segments from disk to disk; the scheme may be `clear`
//! ```
//!
//! Results are lines of JSON: the name of the case, bytes or manifests of a pass, and the seconds of each pass.

#![allow(clippy::disallowed_methods, reason = "what measures has files and a clock")]

mod manifests;
mod package;
mod segments;
mod title;

use std::error::Error;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["index", folder, title, files @ ..] => title::index(folder, title, files),
        ["segments", folder, passes, titles @ ..] => segments::measure(folder, passes.parse()?, titles),
        ["manifests", folder, passes, titles @ ..] => manifests::measure(folder, passes.parse()?, titles),
        ["package", folder, out, scheme, files @ ..] => package::run(folder, out, scheme, files),
        _ => Err("usage: core_speed index | segments | manifests | package ...; the source tells more".into()),
    }
}

/// Prints a result.
fn report(case: &str, unit: &str, amount: u64, seconds: &[f64]) {
    println!("{}", serde_json::json!({ "case": case, "unit": unit, "amount": amount, "seconds": seconds }));
}
