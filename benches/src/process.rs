//! Processes under measurement: pinned to a core, their CPU time read from `/proc`.

use crate::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A child process; killed when dropped.
#[derive(Debug)]
pub struct Pinned {
    child: Child,
}

/// Whether what a child writes is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// On our standard error.
    Shown,
    /// Nowhere.
    Dropped,
}

/// A command that runs `program` on one core, by `taskset` (Debian: util-linux).
#[must_use]
pub fn on_core(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command
        .arg("-c")
        .arg(core.to_string())
        .arg(program)
        .stdin(Stdio::null());
    command
}

impl Pinned {
    /// Starts the command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command, output: Output) -> Result<Self, Error> {
        let (out, err) = match output {
            Output::Shown => (Stdio::from(std::io::stderr()), Stdio::inherit()),
            Output::Dropped => (Stdio::null(), Stdio::null()),
        };
        let child = command.stdout(out).stderr(err).spawn();
        let child = child.map_err(|error| format!("could not start {command:?}: {error}"))?;
        Ok(Self { child })
    }

    /// CPU time used so far, user and system, of all threads.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu(&self) -> Result<Duration, Error> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let ticks = ticks_of(&stat).ok_or("unexpected /proc/PID/stat")?;
        // USER_HZ is 100 on every Linux that this runs on.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Calls of the `write` family so far, of all threads.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn writes(&self) -> Result<u64, Error> {
        let io = fs::read_to_string(format!("/proc/{}/io", self.child.id()))?;
        let line = io.lines().find_map(|line| line.strip_prefix("syscw:"));
        Ok(line.ok_or("no syscw")?.trim().parse()?)
    }

    /// Resident memory in mebibytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resident_mib(&self) -> Result<f64, Error> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line
            .ok_or("no VmRSS")?
            .trim()
            .trim_end_matches(" kB")
            .parse()?;
        Ok((kib / 102.4).round() / 10.0)
    }

    /// Waits until `GET path` at `address` answers 200; any answer will do without a path.
    ///
    /// # Errors
    /// When it does not within 30 s, or the process ends first.
    pub fn wait_ready(&mut self, address: SocketAddr, path: Option<&str>) -> Result<(), Error> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                let hint = "show what it says with --verbose";
                return Err(format!("the process behind {address} ended: {status}; {hint}").into());
            }
            if is_ready(address, path) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("nothing is ready at {address} after {READY_WITHIN:?}").into())
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing left to do then.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `utime + stime` of a stat line; the command name may hold spaces and parentheses.
fn ticks_of(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn is_ready(address: SocketAddr, path: Option<&str>) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    let Some(path) = path else { return true };
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    let timed = stream.set_read_timeout(Some(Duration::from_secs(2)));
    timed
        .and_then(|()| stream.write_all(request.as_bytes()))
        .is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// An address of loopback that nobody listens on now.
///
/// # Errors
/// When no port is free.
pub fn free_address() -> Result<SocketAddr, Error> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_an_odd_command_name() {
        let stat = "42 (a (b) c) S 1 1 1 0 -1 4194304 90 0 0 0 17 25 0 0 20 0 1 0 8 9 10";
        assert_eq!(ticks_of(stat), Some(42));
    }
}
