//! Chat commands are answered here and never forwarded.

use crate::setup::{CHAT, MESSAGES, chat, start, start_with, streamed};
use portcullis_config::CustomCommand;
use serde_json::json;

#[tokio::test]
async fn commands_are_answered_in_the_shape_that_was_asked_for() {
    let setup = start_with(|config| {
        config.commands.custom = vec![CustomCommand {
            name: "/help".to_owned(),
            say: "Ask away.".to_owned(),
        }];
    })
    .await;
    let reset = setup.ask("m", "/reset-ai").await.json();
    let text = reset["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        text.contains("no longer used") && !text.contains("deleted"),
        "{text}"
    );
    assert_eq!(reset["choices"][0]["finish_reason"], json!("stop"));
    let info = setup.ask("m", "/ai-info").await.json();
    assert!(
        info["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .contains("AI system")
    );
    let help = setup.post(CHAT, &streamed(chat("m", "/help"))).await.text();
    assert!(
        help.contains("Ask away.") && help.trim_end().ends_with("[DONE]"),
        "{help}"
    );
    let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "/reset-ai"}]});
    let anthropic = setup.post(MESSAGES, &body).await.json();
    assert!(
        anthropic["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("no longer used")
    );
    assert!(setup.upstream.requests().await.is_empty());
    let metrics = setup.metrics().await;
    assert!(
        metrics.contains("portcullis_commands_total{command=\"reset_ai\",result=\"answered\"} 2")
    );
}

#[tokio::test]
async fn text_that_only_mentions_a_command_is_forwarded() {
    let setup = start().await;
    for text in [
        "what does /reset-ai do?",
        "`/reset-ai`",
        "\"/reset-ai\"",
        "```\n/reset-ai\n```",
    ] {
        setup.ask("m", text).await;
        assert_eq!(
            setup.upstream.last().await.json()["messages"][0]["content"],
            json!(text)
        );
    }
}

#[tokio::test]
async fn after_a_reset_earlier_turns_are_not_forwarded_but_the_system_text_is() {
    let setup = start().await;
    let said = setup.ask("m", "/reset-ai").await.json();
    let said = said["choices"][0]["message"]["content"].clone();
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "my name is Ada"},
        {"role": "assistant", "content": "hello Ada"},
        {"role": "user", "content": "/reset-ai"},
        {"role": "assistant", "content": said},
        {"role": "user", "content": "who am I?"}
    ]});
    assert_eq!(setup.post(CHAT, &body).await.status, 200);
    let messages = setup.upstream.last().await.json()["messages"].clone();
    assert_eq!(
        messages,
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "who am I?"}
        ])
    );
}
