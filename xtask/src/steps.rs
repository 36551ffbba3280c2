//! The table of checks, and the loop that runs them and counts.

use crate::{edges, sizes, words};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// One check of the repository.
pub(crate) struct Step {
    /// What it is called on the command line.
    name: &'static str,
    /// What it makes sure of.
    about: &'static str,
    run: fn() -> Outcome,
}

/// How a check ended.
pub(crate) enum Outcome {
    /// As it should be; the notes are advice.
    Passed(Vec<String>),
    /// Not as it should be, and where.
    Failed(Vec<String>),
    /// It could not be run here, and why.
    Skipped(String),
}

impl Outcome {
    /// Passed when nothing is wrong.
    pub(crate) fn of(faults: Vec<String>) -> Self {
        if faults.is_empty() {
            Self::Passed(Vec::new())
        } else {
            Self::Failed(faults)
        }
    }
}

const STEPS: [Step; 9] = [
    Step {
        name: "fmt",
        about: "rustfmt has nothing to change",
        run: fmt,
    },
    Step {
        name: "edges",
        about: "crates depend on each other as ARCHITECTURE.md draws",
        run: edges::run,
    },
    Step {
        name: "sizes",
        about: "files stay short enough to tell one story",
        run: sizes::run,
    },
    Step {
        name: "words",
        about: "no notes to self, stubs or machine paths",
        run: words::run,
    },
    Step {
        name: "tests",
        about: "no test sleeps or is ignored",
        run: words::run_on_tests,
    },
    Step {
        name: "licences",
        about: "cargo-deny: licences, bans, advisories",
        run: licences,
    },
    Step {
        name: "clippy",
        about: "no lint fires on any target",
        run: clippy,
    },
    Step {
        name: "doc",
        about: "the documentation builds without a warning",
        run: doc,
    },
    Step {
        name: "test",
        about: "every test of the workspace passes",
        run: test,
    },
];

/// Prints the table.
pub(crate) fn list() -> ExitCode {
    for step in &STEPS {
        println!("{:10} {}", step.name, step.about);
    }
    ExitCode::SUCCESS
}

/// Runs the named checks (all without names) but the skipped ones; fails when one of them did.
pub(crate) fn check(names: &[String], skip: &[String]) -> ExitCode {
    let known = |name: &&String| !STEPS.iter().any(|step| step.name == name.as_str());
    if let Some(unknown) = names.iter().chain(skip).find(known) {
        eprintln!("unknown check `{unknown}`; `cargo xtask list` names them");
        return ExitCode::from(2);
    }
    let wanted = |step: &&Step| {
        let listed = |list: &[String]| list.iter().any(|name| name == step.name);
        (names.is_empty() || listed(names)) && !listed(skip)
    };
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for step in STEPS.iter().filter(wanted) {
        let start = Instant::now();
        let outcome = (step.run)();
        let seconds = start.elapsed().as_secs_f32();
        match outcome {
            Outcome::Passed(notes) => {
                passed += 1;
                report(step, "ok", seconds, &notes);
            }
            Outcome::Failed(faults) => {
                failed += 1;
                report(step, "FAILED", seconds, &faults);
            }
            Outcome::Skipped(reason) => {
                skipped += 1;
                report(step, "SKIPPED", seconds, &[reason]);
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn report(step: &Step, verdict: &str, seconds: f32, lines: &[String]) {
    println!("check {:10} {verdict} ({seconds:.1} s)", step.name);
    for line in lines {
        println!("    {line}");
    }
}

fn fmt() -> Outcome {
    cargo(&["fmt", "--all", "--check"], &[])
}

fn clippy() -> Outcome {
    cargo(
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        &[],
    )
}

fn doc() -> Outcome {
    let flags = [("RUSTDOCFLAGS", "-D warnings")];
    cargo(
        &[
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ],
        &flags,
    )
}

fn test() -> Outcome {
    cargo(&["test", "--workspace"], &[])
}

fn licences() -> Outcome {
    let probe = Command::new("cargo")
        .args(["deny", "--version"])
        .stderr(Stdio::null())
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        let mend = "cargo-deny is not installed: licences, bans and advisories were NOT checked \
                    (`cargo install cargo-deny --locked`)";
        return Outcome::Skipped(mend.to_owned());
    }
    cargo(&["deny", "check"], &[])
}

/// Runs cargo with its output shown as it comes.
fn cargo(args: &[&str], env: &[(&str, &str)]) -> Outcome {
    let status = Command::new("cargo")
        .args(args)
        .envs(env.iter().copied())
        .status();
    match status {
        Ok(status) if status.success() => Outcome::Passed(Vec::new()),
        Ok(status) => Outcome::Failed(vec![format!("`cargo {}`: {status}", args.join(" "))]),
        Err(error) => Outcome::Failed(vec![format!("cargo could not be started: {error}")]),
    }
}
