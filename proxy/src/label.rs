//! AI labels: the header on every AI answer, and the optional visible notice.

use http::HeaderValue;
use portcullis_config::{Labels, Notice};

/// Value of the `ai-disclosure` header on what a model wrote.
pub(crate) const AI_DISCLOSURE: HeaderValue = HeaderValue::from_static("mode=ai-originated");

/// Visible notices by language.
const NOTICES: &[(&str, &str)] = &[
    ("ar", "أنت تتحدث مع نظام ذكاء اصطناعي."),
    ("de", "Sie sprechen mit einem KI-System."),
    ("en", "You are talking to an AI system."),
    ("es", "Está hablando con un sistema de IA."),
    ("fr", "Vous parlez à un système d'IA."),
    ("hi", "आप एक एआई प्रणाली से बात कर रहे हैं।"),
    ("it", "Sta parlando con un sistema di IA."),
    ("ja", "これはAIシステムとの会話です。"),
    ("ko", "AI 시스템과 대화하고 있습니다."),
    ("nl", "U praat met een AI-systeem."),
    ("pl", "Rozmawiasz z systemem AI."),
    ("pt", "Você está falando com um sistema de IA."),
    ("tr", "Bir yapay zekâ sistemiyle konuşuyorsunuz."),
    ("zh", "您正在与人工智能系统对话。"),
];

/// The built-in notice of a language (`de`, `de-AT`), if there is one.
#[must_use]
pub(crate) fn built_in(language: &str) -> Option<&'static str> {
    let primary = language
        .split(['-', '_'])
        .next()
        .unwrap_or(language)
        .to_lowercase();
    NOTICES
        .iter()
        .find(|(code, _)| *code == primary)
        .map(|(_, text)| *text)
}

/// When the notice is due, and what it says.
#[derive(Clone, Debug)]
pub(crate) struct Labeller {
    when: Notice,
    text: String,
}

impl Labeller {
    /// Takes the configuration; an unknown language without a text of its own falls back to English.
    #[must_use]
    pub(crate) fn new(labels: &Labels) -> Self {
        let built_in = || built_in(&labels.language).or_else(|| built_in("en"));
        let text = labels
            .text
            .clone()
            .or_else(|| built_in().map(str::to_owned));
        Self {
            when: labels.notice,
            text: text.unwrap_or_default(),
        }
    }

    /// The notice for the answer to the `n`th user turn (from 1), if one is due.
    #[must_use]
    pub(crate) fn notice(&self, user_turns: usize) -> Option<&str> {
        let nth = user_turns.saturating_sub(1);
        let due = match self.when {
            Notice::Never => false,
            Notice::FirstTurn => nth == 0,
            Notice::EveryTurns(every) => nth.is_multiple_of(every.max(1) as usize),
        };
        due.then_some(self.text.as_str())
    }

    /// The text that may have been inserted into earlier answers.
    #[must_use]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labeller(notice: Notice, language: &str) -> Labeller {
        Labeller::new(&Labels {
            notice,
            language: language.to_owned(),
            text: None,
        })
    }

    #[test]
    fn the_notice_comes_when_the_operator_said() {
        let due = |notice, turn| labeller(notice, "en").notice(turn).is_some();
        assert!(!due(Notice::Never, 1));
        assert!(due(Notice::FirstTurn, 1));
        assert!(!due(Notice::FirstTurn, 2));
        let every: Vec<usize> = (1..8)
            .filter(|turn| due(Notice::EveryTurns(3), *turn))
            .collect();
        assert_eq!(every, [1, 4, 7]);
    }

    #[test]
    fn the_notice_speaks_the_configured_language() {
        assert_eq!(
            labeller(Notice::FirstTurn, "de-AT").notice(1),
            built_in("de")
        );
        assert_eq!(labeller(Notice::FirstTurn, "xx").notice(1), built_in("en"));
    }

    #[test]
    fn the_languages_a_configuration_may_name_are_those_that_have_a_notice() {
        let ours: Vec<&str> = NOTICES.iter().map(|(code, _)| *code).collect();
        assert_eq!(ours, portcullis_config::NOTICE_LANGUAGES);
    }
}
