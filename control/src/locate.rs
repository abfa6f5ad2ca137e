//! Finds what was built beside this program: the edge component and the player page.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Builds the edge component.
pub const COMPONENT_COMMAND: &str = "cargo xtask build";
/// Builds the player page.
pub const PLAYER_COMMAND: &str = "cargo xtask build";

/// How far above the program it is looked: `target/release/deps/` is three below the workspace.
const ANCESTORS: usize = 5;

/// The edge component: `given`, else beside the program.
///
/// # Errors
/// Where it was looked for, and the command that builds it.
pub fn component(given: Option<&Path>) -> Result<PathBuf> {
    let places = ["wasm32-wasip2/edge/edge.wasm", "target/wasm32-wasip2/edge/edge.wasm", "share/edgepack/edge.wasm"];
    find("edge component", given, "", &places, COMPONENT_COMMAND)
}

/// The directory of the built player page: `given`, else beside the program.
///
/// # Errors
/// Where it was looked for, and the command that builds it.
pub fn player(given: Option<&Path>) -> Result<PathBuf> {
    find("player page", given, "index.html", &["control/player/dist", "share/edgepack/player"], PLAYER_COMMAND)
}

fn find(what: &str, given: Option<&Path>, file: &str, places: &[&str], command: &str) -> Result<PathBuf> {
    let exists = |path: &Path| if file.is_empty() { path.is_file() } else { path.join(file).is_file() };
    if let Some(given) = given {
        if exists(given) {
            return Ok(given.to_owned());
        }
        bail!("the {what} is not at {}", given.join(file).display());
    }
    let program = std::env::current_exe().context("finding this program")?;
    let mut looked = Vec::new();
    for directory in program.ancestors().skip(1).take(ANCESTORS) {
        for place in places {
            let path = directory.join(place);
            if exists(&path) {
                return Ok(path);
            }
            looked.push(format!("\n  {}", path.display()));
        }
    }
    bail!("the {what} was not found; build it with `{command}` or name it. It was looked for at{}", looked.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_names_places_and_command() {
        let error = find("thing", None, "", &["no/such/place"], "make thing").unwrap_err().to_string();
        assert!(error.contains("no/such/place") && error.contains("make thing"), "{error}");
        let error = component(Some(Path::new("/no/such.wasm"))).unwrap_err().to_string();
        assert!(error.contains("/no/such.wasm"), "{error}");
    }
}
