//! Chat commands: a last user turn that *is* a command is answered here and never forwarded.
//!
//! The whole text of the turn must be the command, after trimming: quoted, in a code block, inside
//! longer text or in another role it is ordinary text.

use portcullis_config as config;
use portcullis_protocol::{Exchange, Role};

/// What a command is called in metrics and records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `/reset-ai` and its aliases.
    Reset,
    /// `/ai-info`.
    Info,
    /// One of the operator's.
    Custom,
}

impl Kind {
    /// The metric label.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset_ai",
            Self::Info => "ai_info",
            Self::Custom => "custom",
        }
    }
}

/// A command and what is answered to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// Which one.
    pub(crate) kind: Kind,
    /// The answer.
    pub(crate) say: String,
}

/// The commands of a configuration.
#[derive(Clone, Debug)]
pub(crate) struct Commands {
    rules: config::Commands,
    info: String,
}

/// What `/reset-ai` answers. It promises what the gate does and no more.
pub(crate) const RESET_TEXT: &str = "Done. Earlier turns are no longer used: the next answers start \
                              afresh. Instructions of the service itself stay in force.";

impl Commands {
    /// Takes the configuration; `info` is what `/ai-info` answers.
    #[must_use]
    pub(crate) const fn new(rules: config::Commands, info: String) -> Self {
        Self { rules, info }
    }

    /// The command that the last user turn is, if it is one.
    #[must_use]
    pub(crate) fn intercept(&self, exchange: &Exchange) -> Option<Command> {
        if !self.rules.enabled {
            return None;
        }
        let text = exchange.last_user_text()?;
        self.parse(text.expose())
    }

    /// Index of the first turn that still counts: turns before the last `/reset-ai` do not.
    ///
    /// Returns the index of the reset turn itself, so that it and everything before it (system and
    /// developer text apart) is dropped from what is forwarded.
    #[must_use]
    pub(crate) fn last_reset(&self, exchange: &Exchange) -> Option<usize> {
        if !self.rules.enabled {
            return None;
        }
        let turns = exchange.turns.iter().enumerate().rev();
        turns
            .filter(|(_, turn)| turn.role == Role::User && turn.plain_text)
            .find(|(idx, _)| self.is_reset(&exchange.turn_text(*idx)))
            .map(|(idx, _)| idx)
    }

    fn parse(&self, text: &str) -> Option<Command> {
        let word = single_word(text)?;
        if self.is_reset(word) {
            return Some(Command {
                kind: Kind::Reset,
                say: RESET_TEXT.to_owned(),
            });
        }
        if same(word, "/ai-info") {
            return Some(Command {
                kind: Kind::Info,
                say: self.info.clone(),
            });
        }
        let custom = self
            .rules
            .custom
            .iter()
            .find(|custom| same(word, &custom.name))?;
        Some(Command {
            kind: Kind::Custom,
            say: custom.say.clone(),
        })
    }

    /// Whether a turn's whole text is a command.
    #[must_use]
    pub(crate) fn is_command(&self, text: &str) -> bool {
        self.parse(text).is_some()
    }

    fn is_reset(&self, text: &str) -> bool {
        let Some(word) = single_word(text) else {
            return false;
        };
        same(word, "/reset-ai")
            || self
                .rules
                .reset_aliases
                .iter()
                .any(|alias| same(word, alias))
    }
}

/// The text without surrounding white space, when it is short and of one line.
fn single_word(text: &str) -> Option<&str> {
    let word = text.trim();
    let is_command = !word.is_empty() && word.len() <= 64 && !word.contains('\n');
    is_command.then_some(word)
}

fn same(word: &str, name: &str) -> bool {
    word.to_lowercase() == name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use portcullis_protocol::{Dialect, ParseRules};
    use serde_json::{Value, json};

    fn commands() -> Commands {
        let custom = vec![config::CustomCommand {
            name: "/help".to_owned(),
            say: "Ask away.".to_owned(),
        }];
        let reset_aliases = vec!["/vergiss-alles".to_owned()];
        let rules = config::Commands {
            enabled: true,
            reset_aliases,
            custom,
        };
        Commands::new(rules, "info".to_owned())
    }

    fn check(messages: &Value, expected: Option<Kind>) {
        let body = json!({"model": "m", "messages": messages}).to_string();
        let exchange = Dialect::OpenAiChat
            .parse(Bytes::from(body), &ParseRules::default())
            .unwrap();
        let found = commands().intercept(&exchange).map(|command| command.kind);
        assert_eq!(found, expected, "{messages}");
    }

    fn user(text: &str) -> Value {
        json!([{"role": "user", "content": text}])
    }

    #[test]
    fn a_turn_that_is_a_command_is_one() {
        check(&user("/reset-ai"), Some(Kind::Reset));
        check(&user("  /Reset-AI \n"), Some(Kind::Reset));
        check(&user("/vergiss-alles"), Some(Kind::Reset));
        check(&user("/ai-info"), Some(Kind::Info));
        check(&user("/help"), Some(Kind::Custom));
        check(
            &json!([{"role": "user", "content": [{"type": "text", "text": "/reset-ai"}]}]),
            Some(Kind::Reset),
        );
    }

    #[test]
    fn quoted_fenced_or_longer_text_is_not_a_command() {
        for text in [
            "\"/reset-ai\"",
            "`/reset-ai`",
            "```\n/reset-ai\n```",
            "> /reset-ai",
            "please /reset-ai",
            "/reset-ai now",
            "/reset-ai\nand then",
            "reset-ai",
            "",
        ] {
            check(&user(text), None);
        }
    }

    #[test]
    fn other_roles_do_not_command() {
        for role in ["system", "assistant", "developer"] {
            check(&json!([{"role": role, "content": "/reset-ai"}]), None);
        }
        check(
            &json!([{"role": "user", "content": "/reset-ai"}, {"role": "assistant", "content": "x"}]),
            None,
        );
    }
}
