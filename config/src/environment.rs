//! `PORTCULLIS_*` variables and flags as layers over the file.
//!
//! `PORTCULLIS_LIMITS__BODY=8MiB` sets `limits.body`: two underscores go one level down. A value
//! that begins with `[` or `{` is read as YAML; any other is the text as it stands.

use crate::document::{Node, Source, Span, Value, parse, set};
use crate::{Overrides, Problem};

/// What every variable of ours begins with.
pub(crate) const PREFIX: &str = "PORTCULLIS_";

/// Lays the variables over the tree, in order of their names, so that `PORTCULLIS_POLICY` comes
/// before `PORTCULLIS_POLICY__MODE`.
pub(crate) fn lay_variables(
    root: &mut Node,
    variables: &mut [(String, String)],
    problems: &mut Vec<Problem>,
) {
    variables.sort();
    for (name, value) in variables {
        if name.starts_with(PREFIX) && !is_from_kubernetes(name) {
            lay_variable(root, name, value, problems);
        }
    }
}

fn lay_variable(root: &mut Node, name: &str, value: &str, problems: &mut Vec<Problem>) {
    let source = Source::new(name, &format!("{name}={value}"));
    let mut at = PREFIX.len();
    let mut path = Vec::new();
    for part in name.get(at..).unwrap_or_default().split("__") {
        path.push((part.to_lowercase(), Span::new(&source, at..at + part.len())));
        at += part.len() + 2;
    }
    if let Some(node) = value_node(name, value, &source, problems) {
        open_policy(root, &path);
        set(root, &path, node);
    }
}

/// The value, in the source `NAME=value`.
fn value_node(
    name: &str,
    value: &str,
    source: &std::sync::Arc<Source>,
    problems: &mut Vec<Problem>,
) -> Option<Node> {
    let start = name.len() + 1;
    if !value.trim_start().starts_with(['[', '{']) {
        let span = Span::new(source, start..start + value.len());
        return Some(Node::new(Value::Plain(value.to_owned()), span));
    }
    parse(&Source::new(name, value), problems)
}

/// A policy that is only named, or not named at all, becomes the base of the changes.
fn open_policy(root: &mut Node, path: &[(String, Span)]) {
    let [(first, span), _, ..] = path else { return };
    if first != "policy" {
        return;
    }
    let base = match root.get("policy") {
        None => Node::new(Value::Plain(crate::SHIPPED[0].to_owned()), span.clone()),
        Some(named) if named.text().is_some() => named.clone(),
        Some(_) => return,
    };
    let way = [
        (first.clone(), span.clone()),
        ("base".to_owned(), base.span.clone()),
    ];
    set(root, &way, base);
}

/// Kubernetes puts variables for each service into every container; for a service that is named
/// `portcullis…` they begin like ours.
fn is_from_kubernetes(name: &str) -> bool {
    let is_port = |rest: &str| {
        let mut parts = rest.split('_').skip(1);
        let number = parts
            .next()
            .is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()));
        let protocol = parts
            .next()
            .is_some_and(|part| ["TCP", "UDP", "SCTP"].contains(&part));
        rest.is_empty() || (number && protocol)
    };
    let service = name.split_once("_SERVICE_").map(|(_, rest)| rest);
    let port = name.split_once("_PORT").map(|(_, rest)| rest);
    service.is_some_and(|rest| rest == "HOST" || rest == "PORT" || rest.starts_with("PORT_"))
        || port.is_some_and(is_port)
}

/// Lays the flags over everything.
pub(crate) fn lay_flags(root: &mut Node, flags: &Overrides) {
    let listen = flags.listen.map(|address| address.to_string());
    let admin = flags.admin.map(|address| address.to_string());
    lay_flag(root, "--listen", listen.as_deref(), &["listen"]);
    lay_flag(root, "--admin", admin.as_deref(), &["admin"]);
    lay_flag(
        root,
        "--upstream",
        flags.upstream.as_deref(),
        &["upstreams", "openai"],
    );
    lay_flag(
        root,
        "--upstream",
        flags.upstream.as_deref(),
        &["upstreams", "anthropic"],
    );
}

fn lay_flag(root: &mut Node, flag: &str, value: Option<&str>, path: &[&str]) {
    let Some(value) = value else { return };
    let source = Source::new("command line", &format!("{flag} {value}"));
    let start = flag.len() + 1;
    let span = Span::new(&source, start..start + value.len());
    let path: Vec<_> = path
        .iter()
        .map(|key| ((*key).to_owned(), span.clone()))
        .collect();
    set(root, &path, Node::new(Value::Plain(value.to_owned()), span));
}
