//! Which crate may depend on which: the arrows of ARCHITECTURE.md, held against `cargo metadata`.
//!
//! An edge that is not in [`ALLOWED`] is a design change: its own pull request, with a line in
//! ARCHITECTURE.md. Dev-dependencies count too.

use crate::steps::Outcome;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Each crate and the crates of the workspace it may depend on.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("portcullis-text", &[]),
    ("portcullis-kernels", &[]),
    (
        "portcullis-models",
        &["portcullis-kernels", "portcullis-text"],
    ),
    ("portcullis-config", &["portcullis-text"]),
    ("portcullis-protocol", &["portcullis-text"]),
    (
        "portcullis-policy",
        &["portcullis-text", "portcullis-config"],
    ),
    (
        "portcullis-classifiers",
        &[
            "portcullis-text",
            "portcullis-models",
            "portcullis-config",
            "portcullis-policy",
        ],
    ),
    (
        "portcullis",
        &[
            "portcullis-text",
            "portcullis-models",
            "portcullis-classifiers",
            "portcullis-protocol",
            "portcullis-policy",
            "portcullis-config",
        ],
    ),
    (
        "portcullis-benches",
        &[
            "portcullis",
            "portcullis-text",
            "portcullis-kernels",
            "portcullis-models",
            "portcullis-classifiers",
            "portcullis-protocol",
            "portcullis-policy",
            "portcullis-config",
        ],
    ),
    ("xtask", &[]),
];

/// Crates that take bytes and return values: no runtime, no sockets, no tensors, at any depth.
const PURE: [&str; 4] = [
    "portcullis-text",
    "portcullis-config",
    "portcullis-protocol",
    "portcullis-policy",
];

/// What a pure crate must not reach.
const RUNTIMES: [&str; 5] = [
    "tokio",
    "hyper",
    "candle-core",
    "candle-nn",
    "candle-transformers",
];

/// Reads the metadata of the workspace and judges it.
pub(crate) fn run() -> Outcome {
    match metadata() {
        Ok(metadata) => Outcome::of([stray_edges(&metadata), impure(&metadata)].concat()),
        Err(error) => Outcome::Failed(vec![error]),
    }
}

fn metadata() -> Result<Value, String> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1"])
        .output()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

/// Edges between crates of the workspace that are not drawn, and crates that are not in the table.
fn stray_edges(metadata: &Value) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let mut faults = Vec::new();
    for package in members(metadata) {
        let name = text(&package["name"]);
        let Some(targets) = allowed.get(name) else {
            faults.push(format!(
                "`{name}` is not in the table of xtask/src/edges.rs"
            ));
            continue;
        };
        for target in own_dependencies(package, metadata) {
            if !targets.contains(&target) {
                faults.push(format!("`{name}` must not depend on `{target}`"));
            }
        }
    }
    faults
}

/// Pure crates that reach a runtime through normal dependencies, with the way there.
fn impure(metadata: &Value) -> Vec<String> {
    let graph = Graph::of(metadata);
    let mut faults = Vec::new();
    for package in members(metadata).filter(|package| PURE.contains(&text(&package["name"]))) {
        for way in graph.ways(text(&package["id"]), &RUNTIMES) {
            faults.push(format!("must stay free of runtimes: {}", way.join(" -> ")));
        }
    }
    faults
}

/// Normal dependencies between all packages, by id.
struct Graph<'a> {
    names: BTreeMap<&'a str, &'a str>,
    targets: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Graph<'a> {
    fn of(metadata: &'a Value) -> Self {
        let names = list(&metadata["packages"])
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let targets = list(&metadata["resolve"]["nodes"])
            .map(|node| {
                let normal = list(&node["deps"]).filter(|dep| is_normal(dep));
                (
                    text(&node["id"]),
                    normal.map(|dep| text(&dep["pkg"])).collect(),
                )
            })
            .collect();
        Self { names, targets }
    }

    /// The shortest way from `start` to each of the packages called one of `ends`.
    fn ways(&self, start: &'a str, ends: &[&str]) -> Vec<Vec<&'a str>> {
        let name = |id: &'a str| self.names.get(id).copied().unwrap_or(id);
        let mut queue = vec![(start, vec![name(start)])];
        let mut seen = BTreeSet::from([start]);
        let mut found = Vec::new();
        let mut next = 0;
        while let Some((id, way)) = queue.get(next).cloned() {
            next += 1;
            if ends.contains(&name(id)) {
                found.push(way);
                continue;
            }
            for target in self.targets.get(id).into_iter().flatten() {
                if seen.insert(target) {
                    queue.push((target, [way.clone(), vec![name(target)]].concat()));
                }
            }
        }
        found
    }
}

fn is_normal(dep: &Value) -> bool {
    list(&dep["dep_kinds"]).any(|kind| kind["kind"].is_null())
}

fn members(metadata: &Value) -> impl Iterator<Item = &Value> {
    let ids: BTreeSet<&str> = list(&metadata["workspace_members"]).map(text).collect();
    list(&metadata["packages"]).filter(move |package| ids.contains(text(&package["id"])))
}

/// Names of the workspace's own crates that a package declares, of every kind.
fn own_dependencies<'a>(package: &'a Value, metadata: &'a Value) -> BTreeSet<&'a str> {
    let own: BTreeSet<&str> = members(metadata)
        .map(|package| text(&package["name"]))
        .collect();
    let declared = list(&package["dependencies"]).map(|dependency| text(&dependency["name"]));
    declared
        .filter(|name| own.contains(name) && *name != text(&package["name"]))
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A workspace of crates, each with the crates it depends on; `tokio` stands outside it.
    fn workspace(crates: &[(&str, &[&str])]) -> Value {
        let node = |name: &str, deps: &[&str]| {
            let dep = |dep: &&str| json!({"pkg": dep, "dep_kinds": [{"kind": null}]});
            json!({"id": name, "deps": deps.iter().map(dep).collect::<Vec<_>>()})
        };
        let package = |name: &str, deps: &[&str]| {
            let dep = |dep: &&str| json!({"name": dep, "kind": null});
            let deps: Vec<Value> = deps.iter().map(dep).collect();
            json!({"id": name, "name": name, "dependencies": deps})
        };
        let outside = [("tokio", &[] as &[&str])];
        let all = || crates.iter().chain(&outside);
        json!({
            "workspace_members": crates.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "packages": all().map(|(name, deps)| package(name, deps)).collect::<Vec<_>>(),
            "resolve": {"nodes": all().map(|(name, deps)| node(name, deps)).collect::<Vec<_>>()},
        })
    }

    fn check(crates: &[(&str, &[&str])], expected: &[&str]) {
        let metadata = workspace(crates);
        assert_eq!(
            [stray_edges(&metadata), impure(&metadata)].concat(),
            expected
        );
    }

    #[test]
    fn drawn_edges_pass() {
        check(
            &[
                ("portcullis-text", &[]),
                ("portcullis-policy", &["portcullis-text"]),
            ],
            &[],
        );
    }

    #[test]
    fn an_edge_against_the_arrows_is_named() {
        check(
            &[
                ("portcullis-text", &["portcullis-policy"]),
                ("portcullis-policy", &[]),
            ],
            &["`portcullis-text` must not depend on `portcullis-policy`"],
        );
    }

    #[test]
    fn a_crate_outside_the_table_is_named() {
        check(
            &[("portcullis-new", &[])],
            &["`portcullis-new` is not in the table of xtask/src/edges.rs"],
        );
    }

    #[test]
    fn a_runtime_behind_a_pure_crate_is_found_with_the_way_there() {
        check(
            &[
                ("portcullis-policy", &["portcullis-text"]),
                ("portcullis-text", &["tokio"]),
            ],
            &[
                "must stay free of runtimes: portcullis-policy -> portcullis-text -> tokio",
                "must stay free of runtimes: portcullis-text -> tokio",
            ],
        );
    }
}
