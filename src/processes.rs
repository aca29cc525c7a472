//! Several processes that work on one thing: wait for all, and if one fails, end the others and tell the cause.
//!
//! Each child's standard input is a pipe that this program holds: it ends with this program, however that ends.

use crate::failure::Failure;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the others may take to end, and to tell a better reason, once one has failed because of a peer.
const GRACE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(5);

/// What a line of progress on a child's standard error starts with: then what is done, and of how much.
pub const PROGRESS: &str = "progress: ";

/// What is done, and of how much.
type Done = Arc<(AtomicU64, AtomicU64)>;

/// Starts all commands and gives what each printed. `name` is what a child is called in messages. `show` learns how far
/// the slowest child is, and of how much, whenever the children have told it.
pub fn run_all(commands: Vec<Command>, name: &str, show: impl Fn(u64, u64)) -> Result<Vec<String>, Failure> {
    let started: Result<Vec<Watched>, Failure> = commands
        .into_iter()
        .map(|command| {
            Watched::start(command).map_err(|error| Failure::Peer(format!("cannot start a {name}: {error}")))
        })
        .collect();
    let mut children = started?;
    let mut failed_since: Option<Instant> = None;
    let count = children.len();
    while children.iter_mut().filter_map(Watched::poll).count() < count {
        let worst = children.iter().filter_map(Watched::failure).min();
        if worst.is_some() {
            let since = *failed_since.get_or_insert_with(Instant::now);
            // A reason of its own is final; of a lost peer another child may know more.
            if worst < Some(Cause::Other) || since.elapsed() > GRACE {
                children.iter_mut().for_each(Watched::kill);
            }
        }
        let told =
            children.iter().map(|child| (child.done.0.load(Ordering::Relaxed), child.done.1.load(Ordering::Relaxed)));
        if let Some((done, total)) = told.min().filter(|&(_, total)| total > 0) {
            show(done, total);
        }
        std::thread::sleep(PAUSE);
    }
    let causes = children.iter().enumerate().filter_map(|(index, child)| Some((child.failure()?, index)));
    if let Some((cause, index)) = causes.min() {
        let message = format!("{name} {index}: {}", children[index].reason());
        return Err(match cause {
            Cause::Claim => Failure::Claim(message),
            Cause::Input => Failure::Input(message),
            Cause::Signal | Cause::Other => Failure::Peer(message),
        });
    }
    Ok(children.iter_mut().map(Watched::output).collect())
}

/// Why a child failed, the most telling first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Cause {
    Claim,
    Input,
    Signal,
    Other,
}

/// A child whose output is read while it runs.
struct Watched {
    child: Child,
    output: Option<JoinHandle<String>>,
    errors: Option<JoinHandle<String>>,
    status: Option<ExitStatus>,
    done: Done,
    killed: bool,
}

impl Watched {
    fn start(mut command: Command) -> std::io::Result<Watched> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let output = child.stdout.take().map(drain);
        let done = Done::default();
        let told = Arc::clone(&done);
        let errors = child.stderr.take().map(|stream| messages(stream, told));
        Ok(Watched { child, output, errors, status: None, done, killed: false })
    }

    fn poll(&mut self) -> Option<ExitStatus> {
        if self.status.is_none()
            && let Ok(status) = self.child.try_wait()
        {
            self.status = status;
        }
        self.status
    }

    /// Why it failed by itself, if it did.
    fn failure(&self) -> Option<Cause> {
        let status = self.status.filter(|status| !status.success())?;
        match status.code() {
            Some(1) => Some(Cause::Claim),
            Some(2) => Some(Cause::Input),
            Some(_) => Some(Cause::Other),
            None if self.killed => None,
            None => Some(Cause::Signal),
        }
    }

    fn kill(&mut self) {
        if self.status.is_none() {
            self.killed = true;
            // A child that ended meanwhile is found by the next poll.
            let _ = self.child.kill();
        }
    }

    fn output(&mut self) -> String {
        self.output.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }

    fn reason(&mut self) -> String {
        let text = self.errors.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let status = self.status.map_or(String::new(), |status| status.to_string());
        match text.trim() {
            "" => format!("it ended without a message ({status})"),
            text => text.trim_start_matches("error: ").to_owned(),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// Reads messages; lines of progress are not kept.
fn messages(stream: impl Read + Send + 'static, done: Done) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut text, mut line) = (String::new(), Vec::new());
        let mut stream = BufReader::new(stream);
        while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let read = String::from_utf8_lossy(&line);
            let numbers = read.strip_prefix(PROGRESS).and_then(|rest| {
                let (done, total) = rest.trim().split_once(' ')?;
                Some((done.parse().ok()?, total.parse().ok()?))
            });
            match numbers {
                Some((now, total)) => {
                    done.0.store(now, Ordering::Relaxed);
                    done.1.store(total, Ordering::Relaxed);
                }
                None => text.push_str(&read),
            }
            line.clear();
        }
        text
    })
}

fn drain(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
