//! What passes leaves as it came, and every answer says what was done.

use crate::client;
use crate::setup::{CHAT, MESSAGES, chat, start, start_with};
use serde_json::json;

#[tokio::test]
async fn a_passing_request_reaches_the_upstream_byte_for_byte() {
    let setup = start().await;
    // Odd spacing, escapes, big numbers and unknown fields must all survive.
    let body =
        br#"{ "model":"m" ,"messages":[ {"role":"user","content":"caf\u00e9 \ud83d\ude00"} ],
      "x_new_field": {"n": 123456789012345678901234567890, "e": 1.0e5}, "temperature":0.10 }"#;
    let headers = [
        ("authorization", "Bearer key"),
        ("x-custom", "kept"),
        ("x-portcullis-subject", "me"),
    ];
    let reply = setup.post_raw(CHAT, body, &headers).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = setup.upstream.last().await;
    assert_eq!(seen.body, body);
    assert_eq!(seen.header("authorization"), Some("Bearer key"));
    assert_eq!(seen.header("x-custom"), Some("kept"));
    assert_eq!(seen.header("x-portcullis-subject"), None);
    assert_eq!(
        seen.header("host"),
        Some(setup.upstream.address.to_string().as_str())
    );
}

#[tokio::test]
async fn a_passing_answer_reaches_the_client_byte_for_byte() {
    let setup = start().await;
    for (path, anthropic) in [(CHAT, false), (MESSAGES, true)] {
        let reply = setup.post(path, &json!({"model": "say:all is well", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]})).await;
        assert_eq!(
            reply.body,
            crate::upstream::whole(anthropic, "all is well")
                .to_string()
                .as_bytes()
        );
        assert_eq!(reply.header("x-upstream"), Some("yes"));
    }
}

#[tokio::test]
async fn every_answer_says_what_was_done() {
    let setup = start().await;
    let reply = setup
        .post_raw(
            CHAT,
            chat("m", "hello").to_string().as_bytes(),
            &[("x-request-id", "caller-0001")],
        )
        .await;
    assert_eq!(reply.header("x-request-id"), Some("caller-0001"));
    assert!(
        reply
            .header("x-portcullis-decision")
            .unwrap()
            .starts_with("dec_")
    );
    assert_eq!(reply.header("x-portcullis-action"), Some("allow"));
    assert!(
        reply
            .header("x-portcullis-policy")
            .unwrap()
            .starts_with("tests@")
    );
    assert_eq!(reply.header("x-portcullis-coverage"), Some("full"));
    assert!(
        reply
            .header("server-timing")
            .unwrap()
            .contains("guard;dur=")
    );
    assert!(reply.header("ai-disclosure").is_some());
    let blocked = setup.ask("m", "murder").await;
    assert_eq!(blocked.header("x-portcullis-action"), Some("block"));
    assert_eq!(blocked.header("x-should-retry"), Some("false"));
    assert_eq!(
        blocked.header("ai-disclosure"),
        None,
        "no model wrote a refusal"
    );
}

#[tokio::test]
async fn an_image_passes_and_coverage_says_so() {
    let setup = start().await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "what is this"},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    ]}]});
    let reply = setup.post(CHAT, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        reply.header("x-portcullis-coverage"),
        Some("partial;reason=image")
    );
}

#[tokio::test]
async fn an_error_of_the_upstream_is_passed_on_with_its_headers() {
    let setup = start().await;
    let reply = setup.ask("status:429", "hello").await;
    assert_eq!(reply.status, 429);
    assert_eq!(reply.header("retry-after"), Some("7"));
    assert_eq!(reply.json()["error"]["message"], json!("slow down"));
}

#[tokio::test]
async fn the_visible_notice_comes_on_the_first_turn_and_is_stripped_when_it_returns() {
    let setup =
        start_with(|config| config.labels.notice = portcullis_config::Notice::FirstTurn).await;
    let first = setup.ask("say:all is well", "hello").await.json();
    let text = first["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        text.starts_with("all is well") && text.contains("You are talking to an AI system."),
        "{text}"
    );
    let body = json!({"model": "say:again", "messages": [
        {"role": "user", "content": "hello"}, {"role": "assistant", "content": text}, {"role": "user", "content": "and now"}]});
    let second = setup.post(CHAT, &body).await.json();
    assert_eq!(second["choices"][0]["message"]["content"], json!("again"));
    assert_eq!(
        setup.upstream.last().await.json()["messages"][1]["content"],
        json!("all is well")
    );
}

#[tokio::test]
async fn a_notice_never_enters_structured_output() {
    let setup =
        start_with(|config| config.labels.notice = portcullis_config::Notice::FirstTurn).await;
    let mut body = chat("say:{\"a\":1}", "give me json");
    body["response_format"] = json!({"type": "json_object"});
    let answer = setup.post(CHAT, &body).await.json();
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        json!("{\"a\":1}")
    );
}

#[tokio::test]
async fn http2_clients_are_served() {
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let setup = start().await;
    let io = TokioIo::new(tokio::net::TcpStream::connect(setup.gate).await.unwrap());
    let (mut send, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let body = Full::new(bytes::Bytes::from(chat("m", "hello").to_string()));
    let uri = format!("http://{}{CHAT}", setup.gate);
    let request = http::Request::post(uri)
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let response = send.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(
        !response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .is_empty()
    );
}

#[tokio::test]
async fn the_list_of_models_is_the_upstreams() {
    let setup = start().await;
    let reply = setup.get("/v1/models").await;
    assert_eq!(reply.status, 200);
    assert!(
        setup
            .upstream
            .last()
            .await
            .head
            .starts_with("GET /v1/models ")
    );
}

#[tokio::test]
async fn the_admin_plane_stands_apart() {
    let setup = start().await;
    for (path, says) in [
        ("/livez", "alive"),
        ("/readyz", "ready"),
        ("/version", "portcullis"),
    ] {
        let reply = client::exchange(setup.admin, &client::get(path, &[])).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.text().contains(says), "{path}");
        assert_eq!(
            setup.get(path).await.status,
            404,
            "{path} must not be on the data plane"
        );
    }
}
