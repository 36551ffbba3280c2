//! Which model it is: the word of `architectures`, and what its logits mean.

use crate::LoadError;
use crate::config::Config;
use std::fmt;

/// A family of encoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// BERT.
    Bert,
    /// DistilBERT.
    DistilBert,
    /// RoBERTa.
    Roberta,
    /// XLM-RoBERTa.
    XlmRoberta,
    /// DeBERTa of versions 2 and 3.
    DebertaV2,
    /// ModernBERT.
    ModernBert,
}

/// What logits mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One label per sequence: softmax over the labels.
    SingleLabel,
    /// Any number of labels per sequence: a sigmoid for each. So too where there is one label.
    MultiLabel,
    /// One label per token: softmax over the labels of each token.
    Token,
}

/// Where the classifier stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Sequence,
    Token,
}

/// Classes of Hugging Face that can be run.
const CLASSES: [(&str, Architecture, Task); 10] = {
    use Architecture::{Bert, DebertaV2, DistilBert, ModernBert, Roberta, XlmRoberta};
    use Task::{Sequence, Token};
    [
        ("BertForSequenceClassification", Bert, Sequence),
        ("BertForTokenClassification", Bert, Token),
        ("DistilBertForSequenceClassification", DistilBert, Sequence),
        ("DistilBertForTokenClassification", DistilBert, Token),
        ("RobertaForSequenceClassification", Roberta, Sequence),
        ("RobertaForTokenClassification", Roberta, Token),
        ("XLMRobertaForSequenceClassification", XlmRoberta, Sequence),
        ("XLMRobertaForTokenClassification", XlmRoberta, Token),
        ("DebertaV2ForSequenceClassification", DebertaV2, Sequence),
        ("ModernBertForSequenceClassification", ModernBert, Sequence),
    ]
};

impl Architecture {
    /// The family's usual name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bert => "BERT",
            Self::DistilBert => "DistilBERT",
            Self::Roberta => "RoBERTa",
            Self::XlmRoberta => "XLM-RoBERTa",
            Self::DebertaV2 => "DeBERTa",
            Self::ModernBert => "ModernBERT",
        }
    }

    pub(crate) fn of(config: &Config) -> Result<(Self, Task), LoadError> {
        let named = config
            .get("architectures")
            .and_then(|list| list.get(0)?.as_str());
        let class = CLASSES
            .into_iter()
            .find(|(class, ..)| Some(*class) == named);
        let Some((_, architecture, task)) = class else {
            let classes: Vec<&str> = CLASSES.into_iter().map(|(class, ..)| class).collect();
            return Err(config.unsupported("architectures", &classes.join(", ")));
        };
        Ok((architecture, task))
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Kind {
    /// As the pipelines of Hugging Face read the same keys.
    pub(crate) fn of(config: &Config, task: Task, n_labels: usize) -> Result<Self, LoadError> {
        const SINGLE: &str = "single_label_classification";
        const MULTI: &str = "multi_label_classification";
        if task == Task::Token {
            return Ok(Self::Token);
        }
        let problem = match config.get("problem_type") {
            None => "",
            Some(_) => config.one_of("problem_type", &[SINGLE, MULTI])?,
        };
        Ok(if problem == MULTI || n_labels == 1 {
            Self::MultiLabel
        } else {
            Self::SingleLabel
        })
    }
}
