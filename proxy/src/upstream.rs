//! The LLM endpoints behind us: one pooled client, and the head of each answer.

use crate::clock;
use crate::error::Error;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use portcullis_config::{Timeouts, Upstreams};
use portcullis_protocol::Dialect;
use std::time::{Duration, Instant};

/// Headers that belong to one connection, or that we set ourselves.
const NOT_FORWARDED: [HeaderName; 10] = [
    header::CONNECTION,
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::ACCEPT_ENCODING,
    header::CONTENT_ENCODING,
    header::EXPECT,
];

/// Headers by which some servers take a request for another one than its first line says.
const REROUTING: [&str; 5] = [
    "x-original-url",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// One endpoint.
#[derive(Clone, Debug)]
struct Endpoint {
    scheme: Scheme,
    authority: Authority,
    base: String,
    host: HeaderValue,
}

/// The endpoints and the client that reaches them.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    openai: Option<Endpoint>,
    anthropic: Option<Endpoint>,
    within: Duration,
}

/// An upstream URL that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`upstreams.{key}`: `{url}` is not an http or https URL with a host")]
pub struct BadUrl {
    key: &'static str,
    url: String,
}

impl Upstream {
    /// Makes the client; connects to nobody yet.
    ///
    /// # Errors
    /// [`BadUrl`] for a URL without scheme or host.
    pub(crate) fn new(upstreams: &Upstreams, timeouts: &Timeouts) -> Result<Self, BadUrl> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.enforce_http(false);
        http.set_connect_timeout(Some(timeouts.connect));
        let https = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(1024)
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_timer(TokioTimer::new())
            .build(https);
        Ok(Self {
            client,
            openai: endpoint("openai", upstreams.openai.as_deref())?,
            anthropic: endpoint("anthropic", upstreams.anthropic.as_deref())?,
            within: timeouts.upstream,
        })
    }

    /// Sends a request and waits for the head of the answer. Dropping the future, or the body of
    /// the answer, cancels it at the upstream.
    ///
    /// # Errors
    /// [`Error::NoUpstream`], [`Error::Unreachable`], [`Error::UpstreamTimeout`].
    pub(crate) async fn send(
        &self,
        dialect: Dialect,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, Error> {
        let (key, endpoint) = match dialect {
            Dialect::OpenAiChat => ("openai", &self.openai),
            Dialect::AnthropicMessages => ("anthropic", &self.anthropic),
        };
        let endpoint = endpoint.as_ref().ok_or(Error::NoUpstream { key })?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = endpoint.uri(path)?;
        *request.headers_mut() = forwarded(headers);
        request
            .headers_mut()
            .insert(header::HOST, endpoint.host.clone());
        let answer = clock::within(Instant::now(), self.within, self.client.request(request)).await;
        answer.ok_or(Error::UpstreamTimeout)?.map_err(|error| {
            tracing::warn!(%error, upstream = key, "the upstream could not be reached");
            Error::Unreachable
        })
    }
}

impl Endpoint {
    fn uri(&self, path: &str) -> Result<Uri, Error> {
        let path = match self.base.as_str() {
            "" => PathAndQuery::try_from(path),
            base => PathAndQuery::try_from(format!("{base}{path}")),
        };
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path.map_err(|_| Error::Internal)?);
        uri.build().map_err(|_| Error::Internal)
    }
}

fn endpoint(key: &'static str, url: Option<&str>) -> Result<Option<Endpoint>, BadUrl> {
    let Some(url) = url else { return Ok(None) };
    let bad = || BadUrl {
        key,
        url: url.to_owned(),
    };
    let parts = url.parse::<Uri>().map_err(|_| bad())?.into_parts();
    let authority = parts.authority.ok_or_else(bad)?;
    let path = parts.path_and_query.as_ref().map_or("", PathAndQuery::path);
    Ok(Some(Endpoint {
        scheme: parts.scheme.ok_or_else(bad)?,
        host: HeaderValue::try_from(authority.as_str()).map_err(|_| bad())?,
        base: path.trim_end_matches('/').to_owned(),
        authority,
    }))
}

/// The client's headers for the upstream. What we cannot read we cannot screen, so plain text is asked for.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut kept = end_to_end(headers, 2);
    kept.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    kept
}

/// Headers without those of a connection, of an encoding, and our own; with room for some more.
#[must_use]
pub(crate) fn end_to_end(headers: &HeaderMap, room: usize) -> HeaderMap {
    let named_by_connection = connection_tokens(headers);
    let mut kept = HeaderMap::with_capacity(headers.len() + room);
    for (name, value) in headers {
        let hop = NOT_FORWARDED.contains(name)
            || name.as_str().starts_with("x-portcullis-")
            || name.as_str().starts_with("proxy-")
            || REROUTING.contains(&name.as_str())
            || name == "keep-alive"
            || named_by_connection
                .iter()
                .any(|token| token == name.as_str());
        if !hop {
            kept.append(name.clone(), value.clone());
        }
    }
    join_cookies(&mut kept);
    kept
}

/// HTTP/2 may cut a cookie header in pieces, which HTTP/1.1 knows as one line (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (pieces.next(), pieces.next()) else {
        return;
    };
    let mut line = [first.as_bytes(), second.as_bytes()].join(&b"; "[..]);
    for piece in pieces {
        line.extend_from_slice(b"; ");
        line.extend_from_slice(piece.as_bytes());
    }
    if let Ok(line) = HeaderValue::from_bytes(&line) {
        headers.insert(header::COOKIE, line);
    }
}

fn connection_tokens(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).iter();
    let tokens = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tokens
        .map(|token| token.trim().to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_and_our_own_stay_here() {
        let mut headers = HeaderMap::new();
        let sent = [
            ("connection", "x-hop, keep-alive"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("x-portcullis-subject", "me"),
            ("content-length", "3"),
            ("authorization", "Bearer k"),
            ("x-custom", "kept"),
        ];
        for (name, value) in sent {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let kept = forwarded(&headers);
        let mut names: Vec<&str> = kept.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept-encoding", "authorization", "x-custom"]);
    }

    #[test]
    fn a_base_path_stands_before_the_endpoint() {
        let endpoint = endpoint("openai", Some("http://host:1/base/"))
            .unwrap()
            .unwrap();
        assert_eq!(
            endpoint.uri("/v1/models").unwrap(),
            "http://host:1/base/v1/models"
        );
        assert!(super::endpoint("openai", Some("host-only")).is_err());
    }
}
