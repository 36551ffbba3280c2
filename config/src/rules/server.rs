//! The configuration around the policy.

use super::{Checker, check_policy};
use crate::document::{Node, Step};
use crate::error::{list, nearest};
use crate::{Config, CustomCommand, Notice, Problem};
use http::Uri;

/// Languages that have a built-in notice; region subtags (`de-AT`) are passed over.
pub const NOTICE_LANGUAGES: [&str; 14] = [
    "ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "nl", "pl", "pt", "tr", "zh",
];

/// Commands that are ours.
const OWN_COMMANDS: [&str; 2] = ["/reset-ai", "/ai-info"];

/// Longest command in bytes; longer turns are never commands.
const MAX_COMMAND: usize = 64;

/// Reports what is wrong with a configuration and brings its URLs into one form; `root` is the
/// tree it was read from.
pub(crate) fn check_config(config: &mut Config, root: &Node, problems: &mut Vec<Problem>) {
    let mut checker = Checker {
        node: root,
        problems,
    };
    checker.addresses(config);
    checker.upstream("openai", &mut config.upstreams.openai);
    checker.upstream("anthropic", &mut config.upstreams.anthropic);
    checker.limits(config);
    checker.notice(config);
    checker.commands(config);
    checker.encoder(config);
    if let Some(policy) = root.get("policy") {
        check_policy(&config.policy, policy, problems);
    }
}

impl Checker<'_> {
    fn addresses(&mut self, config: &Config) {
        let is_same = config.listen == config.admin && config.listen.port() != 0;
        if is_same && !self.node.is_damaged {
            let key = if self.node.get("admin").is_some() {
                "admin"
            } else {
                "listen"
            };
            let message = format!("`listen` and `admin` are both {}", config.listen);
            let problem = Problem::new(&self.span(key), message);
            self.problems
                .push(problem.help("give the admin plane its own port"));
        }
    }

    fn upstream(&mut self, key: &str, url: &mut Option<String>) {
        let Some(written) = url else { return };
        let Some(node) = self.node.at(&[Step::Key("upstreams"), Step::Key(key)]) else {
            return;
        };
        match base_url(written) {
            Ok(plain) => *written = plain,
            Err(fault) => {
                let problem = Problem::new(&node.span, fault.message);
                self.problems.push(problem.help(fault.help));
            }
        }
    }

    fn limits(&mut self, config: &Config) {
        let limits = &config.limits;
        let rules = [
            (
                "depth",
                (1..=512).contains(&limits.depth),
                "lies from 1 to 512",
            ),
            (
                "decompression_ratio",
                limits.decompression_ratio >= 1,
                "is at least 1",
            ),
            ("header", limits.header >= 8 << 10, "is at least 8KiB"),
            (
                "memory",
                limits.body <= limits.memory - limits.memory / 8,
                "must hold a body of `limits.body` in seven eighths of it",
            ),
            ("requests", limits.requests >= 8, "is at least 8"),
        ];
        for (key, holds, rule) in rules {
            let Some(node) = self.node.at(&[Step::Key("limits"), Step::Key(key)]) else {
                continue;
            };
            if !holds {
                let message = format!("`limits.{key}` is {}, but it {rule}", node.span.text());
                self.problems.push(Problem::new(&node.span, message));
            }
        }
    }

    fn encoder(&mut self, config: &Config) {
        let workers = config.encoder.workers;
        let node = self.node.at(&[Step::Key("encoder"), Step::Key("workers")]);
        if let (Some(workers), Some(node)) = (workers, node)
            && !(1..=1024).contains(&workers)
        {
            let message = format!("`encoder.workers` is {workers}, but it lies from 1 to 1024");
            self.problems.push(Problem::new(&node.span, message));
        }
    }

    fn notice(&mut self, config: &Config) {
        let Some(labels) = self.node.get("labels").filter(|node| !node.is_damaged) else {
            return;
        };
        let mut checker = Checker {
            node: labels,
            problems: self.problems,
        };
        checker.refuse_blank(&["text"]);
        if config.labels.notice == Notice::EveryTurns(0) {
            let problem = Problem::new(&checker.span("notice"), "`every_turns` is 0");
            checker
                .problems
                .push(problem.help("use 1 or more, or `notice: never`"));
        }
        let language = config.labels.language.to_lowercase();
        let primary = language.split(['-', '_']).next().unwrap_or_default();
        if config.labels.text.is_none() && !NOTICE_LANGUAGES.contains(&primary) {
            let message = format!(
                "there is no built-in notice in `{}`",
                config.labels.language
            );
            let problem = Problem::new(&checker.span("language"), message);
            let help = format!(
                "give the notice in `text`, or use {}",
                list(&NOTICE_LANGUAGES)
            );
            checker.problems.push(problem.help(help));
        }
    }

    fn commands(&mut self, config: &Config) {
        let Some(commands) = self.node.get("commands").filter(|node| !node.is_damaged) else {
            return;
        };
        let mut names = OWN_COMMANDS.map(str::to_owned).to_vec();
        for (idx, alias) in config.commands.reset_aliases.iter().enumerate() {
            let node = commands.at(&[Step::Key("reset_aliases"), Step::Item(idx)]);
            self.command_name(alias, node.unwrap_or(commands), &mut names);
        }
        for (idx, CustomCommand { name, .. }) in config.commands.custom.iter().enumerate() {
            let path = [Step::Key("custom"), Step::Item(idx)];
            let node = commands.at(&path).unwrap_or(commands);
            self.command_name(name, node.get("name").unwrap_or(node), &mut names);
            Checker {
                node,
                problems: self.problems,
            }
            .refuse_blank(&["say"]);
        }
    }

    fn command_name(&mut self, name: &str, node: &Node, names: &mut Vec<String>) {
        let is_word = name.trim() == name && !name.contains('\n') && name.len() <= MAX_COMMAND;
        if !is_word || name.len() < 2 || !name.starts_with('/') {
            let problem = Problem::new(&node.span, format!("`{name}` cannot be a command"));
            self.problems
                .push(problem.help("a command begins with `/` and has at most 64 bytes: `/help`"));
        } else if names.contains(&name.to_lowercase()) {
            let problem = Problem::new(&node.span, format!("the command `{name}` exists already"));
            self.problems.push(problem.help("give it another name"));
        }
        names.push(name.to_lowercase());
    }
}

/// What is wrong with a URL.
struct UrlFault {
    message: String,
    help: String,
}

fn fault(message: &str, help: impl Into<String>) -> UrlFault {
    UrlFault {
        message: message.to_owned(),
        help: help.into(),
    }
}

/// A base URL without a slash at its end.
fn base_url(written: &str) -> Result<String, UrlFault> {
    let url = written.trim();
    let example = "write it as http://127.0.0.1:8000 or https://api.openai.com";
    if url.contains('@') {
        let help = "remove the part up to `@`; clients send their own keys";
        return Err(fault("an upstream URL cannot hold credentials", help));
    }
    let scheme = url
        .split_once("://")
        .map(|(scheme, _)| scheme.to_lowercase());
    if let Some(scheme) = scheme
        .as_deref()
        .filter(|scheme| !["http", "https"].contains(scheme))
    {
        let meant = nearest(scheme, ["http", "https"]);
        let meant = meant
            .map(|meant| format!(", did you mean `{meant}`?"))
            .unwrap_or_default();
        return Err(fault(
            &format!("`{scheme}` is no scheme of an upstream{meant}"),
            example,
        ));
    }
    if url.contains(['?', '#']) {
        return Err(fault(
            "an upstream URL has no query and no fragment",
            "end it before `?` or `#`",
        ));
    }
    let uri = url.parse::<Uri>().ok().filter(|uri| uri.scheme().is_some());
    let host = uri
        .as_ref()
        .and_then(Uri::host)
        .filter(|host| !host.is_empty());
    let (Some(uri), Some(_)) = (&uri, host) else {
        return Err(fault(
            "this is not an http or https URL with a host",
            example,
        ));
    };
    without_endpoint(url.trim_end_matches('/'), uri.path().trim_end_matches('/'))
}

/// The gate adds the path of each request itself, `/v1` included.
fn without_endpoint(url: &str, path: &str) -> Result<String, UrlFault> {
    let endpoint = path.split('/').position(|part| part == "v1");
    if endpoint.is_none() {
        return Ok(url.to_owned());
    }
    let end = url.rfind("/v1").unwrap_or(url.len());
    let mended = url.get(..end).unwrap_or(url);
    let message = "an upstream is a base URL without `/v1`; the gate adds the path of each request";
    Err(fault(message, format!("write `{mended}`")))
}
