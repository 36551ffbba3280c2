//! From texts to [`Config`] and [`Policy`]: flags over environment over file over defaults.

use crate::base::Resolver;
use crate::document::{Entry, MAX_BYTES, Node, Source, Span, Value, parse, read};
use crate::environment::{PREFIX, lay_flags, lay_variables};
use crate::{Config, ConfigError, Policy, Problem, SHIPPED, rules};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// What the command line sets over the environment and the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Data plane.
    pub listen: Option<SocketAddr>,
    /// Admin plane.
    pub admin: Option<SocketAddr>,
    /// Base URL of both upstreams.
    pub upstream: Option<String>,
}

/// What a checked file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Checked {
    /// A configuration.
    Config(Box<Config>),
    /// A policy alone.
    Policy(Policy),
}

/// Reads the configuration: flags over `PORTCULLIS_*` over the file over defaults. Without a file
/// the gate listens on loopback, has no upstream, and runs the balanced policy.
///
/// # Errors
/// [`ConfigError`] when a file cannot be read, or anything in a file, a variable or a flag is
/// wrong; then it names every problem.
pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Config, ConfigError> {
    load_from(path, std::env::vars_os(), overrides)
}

/// [`load`] with the environment as an argument.
pub(crate) fn load_from(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    overrides: &Overrides,
) -> Result<Config, ConfigError> {
    let text = path.map(read_text).transpose()?.unwrap_or_default();
    let name = path.map_or_else(|| "defaults".to_owned(), |path| path.display().to_string());
    let mut variables = ours(environment)?;
    let layers = Layers {
        variables: &mut variables,
        overrides,
    };
    config(
        &Source::new(&name, &text),
        Some(directory(path)),
        Some(layers),
    )
}

/// Reads a configuration; `name` stands in the errors. Policy files that it names are not read but
/// reported, since only [`load`] and [`check_file`] read files.
///
/// # Errors
/// [`ConfigError`] names every problem.
pub fn parse_config(text: &str, name: &str) -> Result<Config, ConfigError> {
    config(&Source::new(name, text), None, None)
}

/// Reads a policy document; `name` stands in the errors.
///
/// # Errors
/// [`ConfigError`] names every problem.
pub fn parse_policy(text: &str, name: &str) -> Result<Policy, ConfigError> {
    policy(&Source::new(name, text))
}

/// Reads a text that is a configuration or a bare policy.
///
/// # Errors
/// [`ConfigError`] names every problem.
pub fn check(text: &str, name: &str) -> Result<Checked, ConfigError> {
    check_source(&Source::new(name, text), None)
}

/// Reads a file that is a configuration, with the policy file it may name, or a bare policy.
///
/// # Errors
/// [`ConfigError`] when a file cannot be read, or names every problem.
pub fn check_file(path: &Path) -> Result<Checked, ConfigError> {
    let text = read_text(path)?;
    check_source(
        &Source::new(&path.display().to_string(), &text),
        Some(directory(Some(path))),
    )
}

fn check_source(source: &Arc<Source>, files_in: Option<&Path>) -> Result<Checked, ConfigError> {
    let tree = parse(source, &mut Vec::new());
    if tree.is_some_and(|tree| is_policy(&tree)) {
        return policy(source).map(Checked::Policy);
    }
    config(source, files_in, None)
        .map(Box::new)
        .map(Checked::Config)
}

/// Whether a document is rather a policy than a configuration: most of its keys are a policy's.
fn is_policy(tree: &Node) -> bool {
    const KEYS: [&str; 8] = [
        "name",
        "mode",
        "base",
        "categories",
        "attacks",
        "patterns",
        "on_failure",
        "tests",
    ];
    let keys = tree.entries().iter().map(|entry| entry.key.as_str());
    let (of_policy, others): (Vec<_>, Vec<_>) = keys.partition(|key| KEYS.contains(key));
    others.len() < of_policy.len()
}

/// What lies over the file.
struct Layers<'a> {
    variables: &'a mut [(String, String)],
    overrides: &'a Overrides,
}

fn config(
    source: &Arc<Source>,
    files_in: Option<&Path>,
    layers: Option<Layers<'_>>,
) -> Result<Config, ConfigError> {
    let mut problems = Vec::new();
    let Some(mut root) = tree(source, &mut problems) else {
        return finish(None, problems);
    };
    if let Some(layers) = layers {
        lay_variables(&mut root, layers.variables, &mut problems);
        lay_flags(&mut root, layers.overrides);
    }
    resolve_in(
        &mut root,
        &mut Resolver {
            files_in,
            problems: &mut problems,
        },
    )?;
    let mut config = read::<Config>(&mut root, &mut problems);
    if let Some(config) = &mut config {
        rules::check_config(config, &root, &mut problems);
    }
    finish(config, problems)
}

fn policy(source: &Arc<Source>) -> Result<Policy, ConfigError> {
    let mut problems = Vec::new();
    let Some(root) = tree(source, &mut problems) else {
        return finish(None, problems);
    };
    let root = Resolver {
        files_in: None,
        problems: &mut problems,
    }
    .resolve(root)?;
    let policy = root.and_then(|mut root| {
        let policy = read::<Policy>(&mut root, &mut problems)?;
        rules::check_policy(&policy, &root, &mut problems);
        Some(policy)
    });
    finish(policy, problems)
}

/// A value counts only when nothing was wrong.
fn finish<T>(value: Option<T>, mut problems: Vec<Problem>) -> Result<T, ConfigError> {
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        None if problems.is_empty() => {
            // Whatever leaves no value has said why; were that ever missed, it is still an error.
            let nowhere = Span::whole(&Source::new("document", ""));
            problems.push(Problem::new(&nowhere, "the document cannot be used"));
            Err(ConfigError::new(problems))
        }
        _ => Err(ConfigError::new(problems)),
    }
}

/// The tree of a document; an empty one has no keys.
fn tree(source: &Arc<Source>, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut tree = parse(source, problems)?;
    match tree.value {
        Value::Map(_) => {}
        Value::Null => tree.value = Value::Map(Vec::new()),
        _ => {
            let found = tree.describe();
            let message = format!("expected a mapping of keys to values, found {found}");
            problems.push(Problem::new(&tree.span, message));
            return None;
        }
    }
    Some(tree)
}

/// Puts the whole policy in the place of what names it.
fn resolve_in(root: &mut Node, resolver: &mut Resolver<'_>) -> Result<(), ConfigError> {
    let span = root.span.clone();
    let Value::Map(entries) = &mut root.value else {
        return Ok(());
    };
    let known = entries.iter().position(|entry| entry.key == "policy");
    let named = match known {
        Some(idx) => entries.remove(idx),
        None => entry("policy", Value::Plain(SHIPPED[0].to_owned()), &span),
    };
    // What could not be had is reported; a policy without rows stands in, so that the rest of the
    // configuration is looked at too.
    let value = resolver.resolve(named.value)?.unwrap_or_else(|| {
        let name = entry("name", Value::Plain("unresolved".to_owned()), &span);
        Node::new(Value::Map(vec![name]), span)
    });
    entries.push(Entry { value, ..named });
    Ok(())
}

fn entry(key: &str, value: Value, span: &Span) -> Entry {
    let value = Node::new(value, span.clone());
    Entry {
        key: key.to_owned(),
        key_span: span.clone(),
        value,
    }
}

/// Where the files stand that a configuration names: beside it.
fn directory(config: Option<&Path>) -> &Path {
    config
        .and_then(Path::parent)
        .unwrap_or_else(|| Path::new(""))
}

/// Reads a file, up to a little more than a document may have.
pub(crate) fn read_text(path: &Path) -> Result<String, ConfigError> {
    let limit = u64::try_from(MAX_BYTES)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(source) => Err(ConfigError::Unreadable {
            path: path.to_owned(),
            named_at: None,
            source,
        }),
    }
}

/// The variables that are ours, as text.
fn ours(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut variables = Vec::new();
    for (name, value) in environment {
        let Ok(name) = name.into_string() else {
            continue;
        };
        if !name.starts_with(PREFIX) {
            continue;
        }
        let value = value.into_string().map_err(|_| {
            let span = Span::whole(&Source::new(&name, &name));
            let message = format!("the value of {name} is not UTF-8");
            ConfigError::new(vec![Problem::new(&span, message)])
        })?;
        variables.push((name, value));
    }
    Ok(variables)
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
