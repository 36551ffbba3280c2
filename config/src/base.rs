//! Which policy is meant: an inline one, a shipped one, one from a file, or one of these with
//! changes. What comes out is the tree of a whole policy.

use crate::document::{Entry, Node, Source, Value, merge, parse};
use crate::error::{list, nearest};
use crate::load::read_text;
use crate::{ConfigError, Problem, SHIPPED, shipped};
use std::path::Path;

/// Resolves what stands under `policy`.
pub(crate) struct Resolver<'a> {
    /// Where policy files stand; absent where none may be read.
    pub(crate) files_in: Option<&'a Path>,
    pub(crate) problems: &'a mut Vec<Problem>,
}

impl Resolver<'_> {
    /// The tree of the whole policy; `None` when its base cannot be had, which is then reported.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] when a policy file cannot be read.
    pub(crate) fn resolve(&mut self, policy: Node) -> Result<Option<Node>, ConfigError> {
        if policy.text().is_some() {
            return Ok(self.shipped(&policy));
        }
        let (base, changes) = self.split(policy)?;
        Ok(match base {
            None => Some(changes),
            Some(base) => base.map(|base| merge(base, changes)),
        })
    }

    /// The base, if one is named (`Some(None)`: it cannot be had), and what is laid over it.
    fn split(&mut self, mut policy: Node) -> Result<(Option<Option<Node>>, Node), ConfigError> {
        let base = take(&mut policy, "base");
        let file = take(&mut policy, "file");
        let found = match (base, file) {
            (None, None) => None,
            (Some(base), None) => Some(self.shipped(&base.value)),
            (None, Some(file)) => Some(self.file(&file.value)?),
            (Some(base), Some(file)) => {
                let both = "`base` and `file` cannot stand together";
                let problem = Problem::new(&file.key_span, both).also(&base.key_span, "and this");
                self.problems.push(problem.help("keep one of the two"));
                Some(None)
            }
        };
        Ok((found, policy))
    }

    fn shipped(&mut self, name: &Node) -> Option<Node> {
        let word = name.text().unwrap_or_default();
        let Some(text) = shipped(word) else {
            self.problems.push(unknown(name, word));
            return None;
        };
        let policy = self.parse(&format!("{word} (shipped)"), text)?;
        self.over_its_base(policy)
    }

    fn file(&mut self, file: &Node) -> Result<Option<Node>, ConfigError> {
        let Some(path) = file.text() else {
            let message = format!(
                "expected the path of a policy file, found {}",
                file.describe()
            );
            self.problems.push(Problem::new(&file.span, message));
            return Ok(None);
        };
        let Some(directory) = self.files_in else {
            let problem = Problem::new(&file.span, "a policy file cannot be read from here");
            self.problems
                .push(problem.help("name a shipped policy, or put the policy inline"));
            return Ok(None);
        };
        let path = directory.join(path);
        let text = read_text(&path).map_err(|error| error.named_at(file.span.place()))?;
        let policy = self.parse(&path.display().to_string(), &text);
        Ok(policy.and_then(|policy| self.over_its_base(policy)))
    }

    /// A policy document may change a shipped policy; it may not name another file.
    fn over_its_base(&mut self, mut policy: Node) -> Option<Node> {
        match take(&mut policy, "base") {
            None => Some(policy),
            Some(base) => Some(merge(self.shipped(&base.value)?, policy)),
        }
    }

    fn parse(&mut self, name: &str, text: &str) -> Option<Node> {
        parse(&Source::new(name, text), self.problems)
    }
}

fn unknown(node: &Node, word: &str) -> Problem {
    let meant = nearest(word, SHIPPED).map(|meant| format!(", did you mean `{meant}`?"));
    let message = match node.text() {
        Some(_) => format!("unknown policy `{word}`{}", meant.unwrap_or_default()),
        None => format!(
            "expected the name of a shipped policy, found {}",
            node.describe()
        ),
    };
    Problem::new(&node.span, message)
        .label("no shipped policy has this name")
        .help(format!(
            "the shipped policies are {}; a file is named with `policy: {{file: path}}`",
            list(&SHIPPED)
        ))
}

/// Takes an entry out of a mapping.
fn take(node: &mut Node, key: &str) -> Option<Entry> {
    let Value::Map(entries) = &mut node.value else {
        return None;
    };
    let idx = entries.iter().position(|entry| entry.key == key)?;
    Some(entries.remove(idx))
}
