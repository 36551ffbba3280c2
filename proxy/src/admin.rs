//! The admin plane: metrics, health and version, on a listener of its own.

use crate::body::ResponseBody;
use crate::connection::Handle;
use crate::gate::Gate;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use std::future::{Future, ready};
use std::sync::Arc;

/// The admin plane's service.
#[derive(Clone, Debug)]
pub(crate) struct Admin(Arc<Gate>);

impl Admin {
    /// Shows the state of a gate.
    #[must_use]
    pub(crate) const fn new(gate: Arc<Gate>) -> Self {
        Self(gate)
    }

    fn answer(&self, method: &Method, path: &str) -> Response<ResponseBody> {
        if method != Method::GET && method != Method::HEAD {
            return text(
                StatusCode::METHOD_NOT_ALLOWED,
                "the admin plane takes GET\n",
            );
        }
        match path {
            "/metrics" => self.metrics(),
            "/livez" => text(StatusCode::OK, "alive\n"),
            "/readyz" => self.ready(),
            "/version" => json(&serde_json::json!({
                "name": "portcullis",
                "version": env!("CARGO_PKG_VERSION"),
                "policy": self.0.policy_label(),
                "classifiers": self.0.classifier_labels(),
            })),
            _ => text(
                StatusCode::NOT_FOUND,
                "the admin plane has /metrics, /livez, /readyz and /version\n",
            ),
        }
    }

    fn ready(&self) -> Response<ResponseBody> {
        match self.0.readiness() {
            Ok(()) => text(StatusCode::OK, "ready\n"),
            Err(reason) => text(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!("not ready: {reason}\n"),
            ),
        }
    }

    fn metrics(&self) -> Response<ResponseBody> {
        match self.0.metrics_page() {
            Ok(page) => {
                let mut response = Response::new(ResponseBody::plain(page));
                let kind = HeaderValue::from_static("text/plain; version=0.0.4");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                response
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        }
    }
}

fn text(status: StatusCode, body: &str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::plain(body.to_owned()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn json(value: &serde_json::Value) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::plain(value.to_string()));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

impl Handle for Admin {
    fn handle(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send {
        ready(self.answer(request.method(), request.uri().path()))
    }
}
