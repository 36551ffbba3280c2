//! A running gate for a test.

use crate::classifier::Keywords;
use crate::client::{self, Reply};
use crate::upstream::Upstream;
use portcullis::gate::Gate;
use portcullis::server::Server;
use portcullis_config::{Config, EncoderModel, RecordSink};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const MESSAGES: &str = "/v1/messages";

/// The policy that the tests run under.
const POLICY: &str = r#"
name: tests
categories:
  violence: {prompt: {block: 0.99}, completion: {block: 0.99}, cite: "Clause 1"}
  self_harm: {prompt: {redirect: 0.99}, redirect_text: "You are not alone."}
  advice_medical: {completion: {disclaim: 0.99}, disclaimer: "This is not medical advice."}
attacks:
  injection: {tool_result: {block: 0.99}, document: {block: 0.99}}
patterns:
  - {id: codename, deny: ["project nightfall"], allow: ["project nightfall bakery"], then: redact, replacement: "[name]"}
  - {id: secret, deny: ["open sesame"], then: block, cite: "Clause 2"}
"#;

pub(crate) struct Setup {
    pub(crate) gate: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) upstream: Upstream,
    pub(crate) classifier: Arc<Keywords>,
    pub(crate) records: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

pub(crate) fn config() -> Config {
    let mut config = Config {
        policy: portcullis_config::parse_policy(POLICY, "tests").unwrap(),
        ..Config::default()
    };
    config.listen = ([127, 0, 0, 1], 0).into();
    config.admin = ([127, 0, 0, 1], 0).into();
    // Scripted scores stand alone unless a test is about an encoder.
    config.encoder.model = EncoderModel::None;
    config
}

pub(crate) async fn start() -> Setup {
    start_with(|_| {}).await
}

pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Setup {
    let upstream = Upstream::start().await;
    let mut config = config();
    let url = Some(format!("http://{}", upstream.address));
    config.upstreams.openai.clone_from(&url);
    config.upstreams.anthropic = url;
    let records = scratch("records.jsonl");
    config.record = RecordSink::File(records.clone());
    change(&mut config);
    let classifier = Arc::new(Keywords::new());
    let server = Server::bind(&config).unwrap();
    let (gate, admin) = (
        server.data_address().unwrap(),
        server.admin_address().unwrap(),
    );
    let served = Arc::new(Gate::new(config, Arc::<Keywords>::clone(&classifier)).unwrap());
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(server.serve(served, async { drop(stopped.await) }));
    Setup {
        gate,
        admin,
        upstream,
        classifier,
        records,
        stop: Some(stop),
        serving: Some(serving),
    }
}

/// A path of its own in the build's folder for such things.
pub(crate) fn scratch(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

impl Setup {
    /// Posts a body. A model named `say:TEXT` says that text: it travels in a header, so that an
    /// answer which names its model does not repeat it.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        let mut body = body.clone();
        let said = body["model"]
            .as_str()
            .and_then(|model| model.strip_prefix("say:"))
            .map(str::to_owned);
        let Some(said) = said else {
            return self.post_raw(path, body.to_string().as_bytes(), &[]).await;
        };
        body["model"] = json!("say");
        self.post_raw(path, body.to_string().as_bytes(), &[("x-say", &said)])
            .await
    }

    pub(crate) async fn post_raw(
        &self,
        path: &str,
        body: &[u8],
        headers: &[(&str, &str)],
    ) -> Reply {
        client::exchange(self.gate, &client::post(path, body, headers)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        client::exchange(self.gate, &client::get(path, &[])).await
    }

    pub(crate) async fn metrics(&self) -> String {
        client::exchange(self.admin, &client::get("/metrics", &[]))
            .await
            .text()
    }

    /// One user turn to a model.
    pub(crate) async fn ask(&self, model: &str, text: &str) -> Reply {
        self.post(CHAT, &chat(model, text)).await
    }

    /// Tells the server to stop; resolves when it has drained.
    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take() {
            serving.await.unwrap();
        }
    }

    /// Stops the server and reads what it recorded.
    pub(crate) async fn into_records(mut self) -> Vec<Value> {
        self.stop().await;
        let lines = std::fs::read_to_string(&self.records).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

pub(crate) fn chat(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

pub(crate) fn streamed(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body
}
