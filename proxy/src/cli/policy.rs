//! `portcullis policy test` and `portcullis policy explain`.

use super::classify::{offline_runtime, parse_surface};
use super::{Exit, cascade, chain};
use crate::offline::look;
use clap::{Args, Subcommand};
use portcullis_config::{Checked, Config, Policy, PolicyTest};
use portcullis_policy::Engine;
use portcullis_text::Surface;
use std::path::Path;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Run the `tests` of a policy; exit 1 when one fails.
    Test(PolicyArgs),
    /// Say which row decides about a text, and from which scores.
    Explain {
        #[command(flatten)]
        policy: PolicyArgs,
        /// The text.
        text: String,
        /// Where it stands.
        #[arg(long, value_parser = parse_surface, default_value = "user")]
        on: Surface,
        /// JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Debug, Args)]
pub(super) struct PolicyArgs {
    /// A policy file, a configuration file, or the name of a shipped policy.
    #[arg(long, value_name = "FILE|NAME", default_value = "balanced")]
    policy: String,
}

pub(super) fn policy(command: &PolicyCommand) -> Result<(), Exit> {
    match command {
        PolicyCommand::Test(args) => test(&args.policy),
        PolicyCommand::Explain {
            policy,
            text,
            on,
            json,
        } => explain(&policy.policy, *on, text, *json),
    }
}

/// The policy, within the configuration it stands in or the default one.
fn load(name: &str) -> Result<Config, Exit> {
    let around = |policy: Policy| Config {
        policy,
        ..Config::default()
    };
    if let Some(text) = portcullis_config::shipped(name) {
        return Ok(around(portcullis_config::parse_policy(text, name)?));
    }
    match portcullis_config::check_file(Path::new(name))? {
        Checked::Config(config) => Ok(*config),
        Checked::Policy(policy) => Ok(around(policy)),
    }
}

fn test(name: &str) -> Result<(), Exit> {
    let config = load(name)?;
    let policy = &config.policy;
    let engine = Engine::compile(policy).map_err(|error| Exit::Usage(chain(&error)))?;
    let cascade = cascade(&config)?;
    let runtime = offline_runtime()?;
    let mut failed = 0;
    for test in &policy.tests {
        let sight = runtime.block_on(look(&cascade, &engine, test.on, &test.say, None));
        let sight = sight.map_err(|failure| Exit::Environment(failure.to_string()))?;
        let decision = sight.decide(&engine);
        let category = decision.deciding().map(|row| row.label.metric());
        let as_expected = decision.action == test.expect
            && test
                .category
                .is_none_or(|expected| category == Some(expected.name()));
        if !as_expected {
            failed += 1;
        }
        println!(
            "{}",
            outcome(test, as_expected, decision.action.name(), category)
        );
    }
    println!("{} passed, {failed} failed", policy.tests.len() - failed);
    if failed > 0 { Err(Exit::No) } else { Ok(()) }
}

fn outcome(test: &PolicyTest, passed: bool, action: &str, category: Option<&str>) -> String {
    let verdict = if passed { "ok    " } else { "FAILED" };
    let because = category
        .map(|category| format!(" ({category})"))
        .unwrap_or_default();
    let expected = if passed {
        String::new()
    } else {
        format!(", expected {}", test.expect.name())
    };
    format!("{verdict} {:8}{because}{expected}: {}", action, test.say)
}

fn explain(name: &str, surface: Surface, text: &str, json: bool) -> Result<(), Exit> {
    let config = load(name)?;
    let engine = Engine::compile(&config.policy).map_err(|error| Exit::Usage(chain(&error)))?;
    let cascade = cascade(&config)?;
    let sight = offline_runtime()?.block_on(look(&cascade, &engine, surface, text, None));
    let sight = sight.map_err(|failure| Exit::Environment(failure.to_string()))?;
    let explanation = sight.explain(&engine);
    if json {
        let shown = serde_json::to_string(&explanation);
        println!(
            "{}",
            shown.map_err(|error| Exit::Environment(error.to_string()))?
        );
    } else {
        println!("{explanation}");
    }
    Ok(())
}
