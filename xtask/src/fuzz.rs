//! `cargo xtask fuzz`: builds the fuzz targets with coverage and runs each for a while.
//!
//! The targets are ordinary binaries around libFuzzer; what makes them fuzzers are LLVM's coverage
//! passes, which stable rustc takes as flags. So neither cargo-fuzz nor a nightly is needed, only a
//! C++ compiler for libFuzzer itself. Sanitizers are left out: the crates forbid `unsafe`.
//!
//! What a run finds goes to `corpus/` in the target directory and is used by the next run; the kept
//! corpus under `fuzz/corpus` is only read. Inputs that crash go to `fuzz/artifacts`.

use serde_json::Value;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// The workspace of the fuzz targets.
const DIR: &str = "fuzz";

/// LLVM's coverage for libFuzzer: edges in counters, and operands of comparisons.
const RUSTFLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// One input may take 5 s and the process 2 GiB; longer inputs find nothing that shorter ones miss.
const LIMITS: [&str; 3] = ["-timeout=5", "-rss_limit_mb=2048", "-max_len=16384"];

/// Lines of a crashed target's output that are shown.
const SHOWN_LINES: usize = 20;

/// Where everything lies.
struct Places {
    binaries: PathBuf,
    found: PathBuf,
}

/// What libFuzzer says about a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stats {
    runs: u64,
    per_second: u64,
    coverage: u64,
    new_inputs: u64,
}

/// Builds all targets, then runs the named ones (all without names) for so long each.
pub(crate) fn run(names: &[String], seconds: u32) -> ExitCode {
    let targets = match targets() {
        Ok(targets) => targets,
        Err(error) => {
            eprintln!("{DIR}/src/bin cannot be read ({error}); run this at the root of a clone");
            return ExitCode::from(2);
        }
    };
    if let Some(unknown) = names.iter().find(|name| !targets.contains(name)) {
        eprintln!(
            "unknown target `{unknown}`; there are {}",
            targets.join(", ")
        );
        return ExitCode::from(2);
    }
    let start = Instant::now();
    let places = match build() {
        Ok(places) => places,
        Err(error) => {
            eprintln!("the fuzz targets were not built: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("built in {:.1} s", start.elapsed().as_secs_f32());
    let chosen = |target: &&String| names.is_empty() || names.contains(target);
    let (mut passed, mut failed) = (0, 0);
    for target in targets.iter().filter(chosen) {
        if runs_clean(&places, target, seconds) {
            passed += 1;
        } else {
            failed += 1;
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The targets: each file in `src/bin` is one.
fn targets() -> io::Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(Path::new(DIR).join("src/bin"))? {
        let path = entry?.path();
        targets.extend(
            path.file_stem()
                .map(|name| name.to_string_lossy().into_owned()),
        );
    }
    targets.sort_unstable();
    Ok(targets)
}

/// Builds everything. A target triple is named so that build scripts and macros stay uncovered.
fn build() -> Result<Places, String> {
    let triple = host_triple()?;
    let manifest = format!("{DIR}/Cargo.toml");
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--locked", "--release", "--bins"])
        .args(["--manifest-path", &manifest, "--target", &triple])
        .env("RUSTFLAGS", RUSTFLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !status.success() {
        return Err(status.to_string());
    }
    let args = [
        "metadata",
        "--no-deps",
        "--format-version=1",
        "--manifest-path",
        &manifest,
    ];
    let metadata: Value =
        serde_json::from_str(&said("cargo", &args)?).map_err(|error| error.to_string())?;
    let target_dir = metadata["target_directory"].as_str().unwrap_or("target");
    let target_dir = PathBuf::from(target_dir);
    Ok(Places {
        binaries: target_dir.join(triple).join("release"),
        found: target_dir.join("corpus"),
    })
}

fn host_triple() -> Result<String, String> {
    let version = said("rustc", &["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "`rustc -vV` names no host".to_owned())
}

/// The standard output of a command that succeeds.
fn said(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{program} could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{program} {}`: {}", args.join(" "), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs one target and prints its line. Whether it found no fault.
fn runs_clean(places: &Places, target: &str, seconds: u32) -> bool {
    let start = Instant::now();
    let outcome = fuzz(places, target, seconds);
    let took = start.elapsed().as_secs_f32();
    match outcome {
        Ok((true, said)) => {
            let Stats {
                runs,
                per_second,
                coverage,
                new_inputs,
            } = stats(&said);
            println!(
                "fuzz {target:18} ok ({took:.1} s) {runs} runs, {per_second}/s, \
                 coverage {coverage}, {new_inputs} new inputs"
            );
            true
        }
        Ok((false, said)) => {
            println!("fuzz {target:18} FAILED ({took:.1} s)");
            // The bytes of the input are in the artifact, and progress is no news.
            let is_news =
                |line: &&str| line.len() < 200 && !line.starts_with(['#', '\t', '0', '\\']);
            let lines: Vec<&str> = said.lines().filter(is_news).collect();
            for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
                println!("    {line}");
            }
            let binary = places.binaries.join(target);
            println!(
                "    run it again: {} {DIR}/artifacts/{target}/…",
                binary.display()
            );
            false
        }
        Err(error) => {
            println!("fuzz {target:18} FAILED: {error}");
            false
        }
    }
}

/// Whether libFuzzer ended well, and what it said.
fn fuzz(places: &Places, target: &str, seconds: u32) -> io::Result<(bool, String)> {
    let found = places.found.join(target);
    let artifacts = Path::new(DIR).join("artifacts").join(target);
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&artifacts)?;
    let mut command = Command::new(places.binaries.join(target));
    // A backtrace has no lines here and would push the message out of sight.
    command.env("RUST_BACKTRACE", "0");
    command.args(LIMITS).arg("-print_final_stats=1");
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    if let Some(dictionary) = dictionary(target)? {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    if seconds == 0 {
        // No time limit at all is what libFuzzer would take it for.
        command.arg("-runs=0");
    } else {
        command.arg(format!("-max_total_time={seconds}"));
    }
    command
        .arg(found)
        .arg(Path::new(DIR).join("corpus").join(target));
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.success(), said))
}

/// The words that help a target: those in the file after whose name its own begins.
fn dictionary(target: &str) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(Path::new(DIR).join("dict"))? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned());
        if name.is_some_and(|name| target.starts_with(&name)) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Reads the figures that libFuzzer prints at its end.
fn stats(said: &str) -> Stats {
    let number = |text: &str| text.split_whitespace().next()?.parse().ok();
    let last = |label: &str| {
        let found = said.lines().rev().find_map(|line| line.split_once(label));
        found.and_then(|(_, rest)| number(rest)).unwrap_or_default()
    };
    Stats {
        runs: last("stat::number_of_executed_units:"),
        per_second: last("stat::average_exec_per_sec:"),
        coverage: last(" cov: "),
        new_inputs: last("stat::new_units_added:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_the_end() {
        let said = "#2\tINITED cov: 3 ft: 4 corp: 1/1b exec/s: 0 rss: 26Mb\n\
                    #441413\tDONE   cov: 812 ft: 4567 corp: 900/12Kb lim: 4096 exec/s: 40128\n\
                    Done 441413 runs in 11 second(s)\n\
                    stat::number_of_executed_units: 441413\n\
                    stat::average_exec_per_sec:     40128\n\
                    stat::new_units_added:          3781\n";
        let expected = Stats {
            runs: 441_413,
            per_second: 40_128,
            coverage: 812,
            new_inputs: 3_781,
        };
        assert_eq!(stats(said), expected);
    }

    #[test]
    fn a_run_that_says_nothing_has_no_figures() {
        assert_eq!(stats(""), Stats::default());
    }
}
