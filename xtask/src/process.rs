//! Child processes that never outlive this one, and steps with a header and a time.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How long a child may take to end by itself once it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// Process groups of running children.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
static STOPPING: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT, SIGTERM and SIGHUP end every child, with all its own children, and then this process.
pub fn stop_children_on_signals() -> Result<()> {
    ctrlc::set_handler(|| {
        STOPPING.store(true, Ordering::SeqCst);
        eprintln!("\nstopping");
        signal_all(Signal::SIGTERM);
        let asked = Instant::now();
        while !groups().is_empty() && asked.elapsed() < GRACE {
            thread::sleep(Duration::from_millis(20));
        }
        signal_all(Signal::SIGKILL);
        std::process::exit(130);
    })
    .context("cannot handle signals")
}

fn groups() -> std::sync::MutexGuard<'static, BTreeSet<i32>> {
    GROUPS.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn signal_all(signal: Signal) {
    for group in groups().iter() {
        // A group that is gone already is what is wanted.
        let _ = killpg(Pid::from_raw(*group), signal);
    }
}

/// A child process in a group of its own; the whole group is ended when this is dropped.
pub struct Running {
    child: Child,
    group: i32,
    name: String,
}

impl Running {
    /// Starts `command`.
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut groups = groups();
        if STOPPING.load(Ordering::SeqCst) {
            bail!("stopping");
        }
        let child = command.process_group(0).spawn().with_context(|| format!("cannot start {name}"))?;
        let group = i32::try_from(child.id()).context("process id")?;
        groups.insert(group);
        drop(groups);
        Ok(Self { child, group, name })
    }

    /// The id of its process group, which is that of the child.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Waits until it ends.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.group);
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = killpg(group, Signal::SIGTERM);
            let asked = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && asked.elapsed() < GRACE {
                thread::sleep(Duration::from_millis(20));
            }
        }
        // Grandchildren that stayed behind, and a child that would not go.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
        groups().remove(&self.group);
        if STOPPING.load(Ordering::SeqCst) {
            // The signal handler is about to end this process; nothing after this point should speak.
            thread::sleep(GRACE + Duration::from_secs(1));
        }
    }
}

/// Runs `command` to its end.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = Running::start(command.stdin(Stdio::null()))?.wait()?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// What `command` writes to standard output, when it can be started and succeeds.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn shown(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The steps of a command, each with a header and the time it took.
#[derive(Default)]
pub struct Steps {
    done: Vec<(String, Duration)>,
}

impl Steps {
    /// Runs one step.
    pub fn step<T>(&mut self, title: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n==> {title}");
        let started = Instant::now();
        let result = body().with_context(|| format!("step failed: {title}"))?;
        let took = started.elapsed();
        println!("    {}", seconds(took));
        self.done.push((title.to_owned(), took));
        Ok(result)
    }

    /// Prints every step with its time.
    pub fn summary(&self) {
        println!("\nsteps:");
        for (title, took) in &self.done {
            println!("  {:>9}  {title}", seconds(*took));
        }
        println!("  {:>9}  in all", seconds(self.done.iter().map(|(_, took)| *took).sum()));
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
