//! The baseline: a reverse proxy in the same stack (hyper 1) that looks at nothing.

use crate::Error;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::time::Duration;
use tokio::net::TcpListener;

const HOP_BY_HOP: [HeaderName; 4] = [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE];

type AnyBody = BoxBody<Bytes, hyper::Error>;

/// How much of the request the baseline reads before it sends it on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Reading {
    /// Nothing; bytes pass as they come.
    #[default]
    None,
    /// The whole body, parsed once as JSON: what any guard that reads the prompt must do.
    BufferJson,
}

/// Where requests go, and by which client.
#[derive(Clone, Debug)]
struct Upstream {
    authority: HeaderValue,
    client: Client<HttpConnector, AnyBody>,
    reading: Reading,
}

/// Serves until the process ends.
///
/// # Errors
/// When `upstream` is no authority (`127.0.0.1:9000`), or accepting fails for good.
pub async fn serve(listener: TcpListener, upstream: &str, reading: Reading) -> Result<(), Error> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(4096)
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_timer(TokioTimer::new())
        .build(connector);
    let upstream = Upstream {
        authority: HeaderValue::from_str(upstream)?,
        client,
        reading,
    };
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let upstream = upstream.clone();
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30))
                .serve_connection(
                    TokioIo::new(stream),
                    service_fn(move |request| forward(request, upstream.clone())),
                );
            // A client that leaves in the middle ends its connection, and nothing else.
            drop(connection.await);
        });
    }
}

async fn forward(
    request: Request<Incoming>,
    upstream: Upstream,
) -> Result<Response<AnyBody>, hyper::Error> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let target = Uri::builder()
        .scheme("http")
        .authority(upstream.authority.as_bytes());
    let Ok(target) = target.path_and_query(path).build() else {
        return Ok(plain(StatusCode::BAD_REQUEST, "bad target"));
    };
    head.uri = target;
    head.version = Version::HTTP_11;
    HOP_BY_HOP
        .iter()
        .for_each(|name| drop(head.headers.remove(name)));
    head.headers.insert(HOST, upstream.authority.clone());
    let body = match upstream.reading {
        Reading::None => body.boxed(),
        Reading::BufferJson => {
            let bytes = body.collect().await?.to_bytes();
            if serde_json::from_slice::<serde_json::Value>(&bytes).is_err() {
                return Ok(plain(StatusCode::BAD_REQUEST, "bad json"));
            }
            full(bytes)
        }
    };
    match upstream
        .client
        .request(Request::from_parts(head, body))
        .await
    {
        Ok(mut response) => {
            HOP_BY_HOP
                .iter()
                .for_each(|name| drop(response.headers_mut().remove(name)));
            Ok(response.map(BodyExt::boxed))
        }
        Err(_) => Ok(plain(StatusCode::BAD_GATEWAY, "upstream failed")),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<AnyBody> {
    let mut response = Response::new(full(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}

fn full(bytes: Bytes) -> AnyBody {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}
