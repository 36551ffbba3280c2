//! Which endpoint a request means.
//!
//! Only the exact spelling of a known path is that path. Upstreams differ in what they make of
//! `//`, `%63`, dot segments, case and a slash at the end, so a path that becomes a known one under
//! any of these is an error of its own and is never passed on unread.

use crate::Dialect;
use http::Method;

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// A chat exchange.
    Chat(Dialect),
    /// `POST /v1/moderations`.
    Moderations,
    /// `POST /predict`, as text-embeddings-inference has it.
    Predict,
    /// `GET /v1/models`.
    Models,
    /// `POST /v1/guard/check`.
    GuardCheck,
    /// `GET /v1/guard/decisions/{id}`.
    GuardDecision(String),
}

/// Why a request means no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The path is not known.
    #[error("there is no such endpoint")]
    UnknownPath,
    /// The path is another spelling of a known one.
    #[error("this path is another spelling of {of}; write it exactly so")]
    Spelling {
        /// The known path.
        of: &'static str,
    },
    /// The path is known and the method is not.
    #[error("this endpoint takes {allow}")]
    Method {
        /// The method it takes.
        allow: &'static str,
    },
}

const DECISIONS: &str = "/v1/guard/decisions/";

const KNOWN: [(&str, &str, Route); 6] = [
    (
        "/v1/chat/completions",
        "POST",
        Route::Chat(Dialect::OpenAiChat),
    ),
    (
        "/v1/messages",
        "POST",
        Route::Chat(Dialect::AnthropicMessages),
    ),
    ("/v1/moderations", "POST", Route::Moderations),
    ("/predict", "POST", Route::Predict),
    ("/v1/models", "GET", Route::Models),
    ("/v1/guard/check", "POST", Route::GuardCheck),
];

/// Finds the endpoint. `path` is the path alone, without the query.
///
/// # Errors
/// No endpoint has this path, this spelling of it, or this method.
pub fn route(method: &Method, path: &str) -> Result<Route, RouteError> {
    if let Some((_, allow, route)) = KNOWN.iter().find(|(known, _, _)| *known == path) {
        return if method == *allow {
            Ok(route.clone())
        } else {
            Err(RouteError::Method { allow })
        };
    }
    if let Some(id) = path.strip_prefix(DECISIONS).filter(|id| is_id(id)) {
        return match *method == Method::GET {
            true => Ok(Route::GuardDecision(id.to_owned())),
            false => Err(RouteError::Method { allow: "GET" }),
        };
    }
    let plain = plain_spelling(path);
    let known = KNOWN
        .iter()
        .map(|(known, _, _)| *known)
        .find(|known| *known == plain);
    Err(known.map_or(RouteError::UnknownPath, |of| RouteError::Spelling { of }))
}

fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !id.is_empty() && id.len() <= 128 && id.bytes().all(allowed)
}

/// The path as the most lenient upstream would read it.
fn plain_spelling(path: &str) -> String {
    let mut decoded = path.as_bytes().to_vec();
    // Some servers decode twice.
    for _ in 0..2 {
        decoded = percent_decoded(&decoded);
    }
    let lower = String::from_utf8_lossy(&decoded)
        .to_ascii_lowercase()
        .replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in lower.split('/') {
        // Parameters of a segment (`;x=y`) are cut off by some servers.
        match segment.split(';').next().unwrap_or_default().trim() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

fn percent_decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(byte) = path.get(at) {
        let hex = path
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        let decoded = hex
            .filter(|_| *byte == b'%')
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(decoded.unwrap_or(*byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, path: &str, expected: &Result<Route, RouteError>) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(&route(&method, path), expected, "{method} {path}");
    }

    #[test]
    fn known_paths_are_endpoints() {
        check(
            "POST",
            "/v1/chat/completions",
            &Ok(Route::Chat(Dialect::OpenAiChat)),
        );
        check(
            "POST",
            "/v1/messages",
            &Ok(Route::Chat(Dialect::AnthropicMessages)),
        );
        check("POST", "/v1/moderations", &Ok(Route::Moderations));
        check("GET", "/v1/models", &Ok(Route::Models));
        check("POST", "/v1/guard/check", &Ok(Route::GuardCheck));
        check(
            "GET",
            "/v1/guard/decisions/dec_1-a",
            &Ok(Route::GuardDecision("dec_1-a".into())),
        );
    }

    #[test]
    fn another_method_names_the_one_to_use() {
        check(
            "GET",
            "/v1/chat/completions",
            &Err(RouteError::Method { allow: "POST" }),
        );
        check(
            "PUT",
            "/v1/messages",
            &Err(RouteError::Method { allow: "POST" }),
        );
        check(
            "POST",
            "/v1/models",
            &Err(RouteError::Method { allow: "GET" }),
        );
        check(
            "DELETE",
            "/v1/guard/decisions/x",
            &Err(RouteError::Method { allow: "GET" }),
        );
    }

    #[test]
    fn other_spellings_of_a_known_path_are_refused_as_such() {
        let spelling = Err(RouteError::Spelling {
            of: "/v1/chat/completions",
        });
        for path in [
            "//v1/chat/completions",
            "/v1//chat/completions",
            "/v1/chat/completions/",
            "/v1/%63hat/completions",
            "/v1/%2563hat/completions",
            "/v1%2Fchat/completions",
            "/v1/./chat/completions",
            "/v1/x/../chat/completions",
            "/v1/x/%2e%2e/chat/completions",
            "/V1/Chat/Completions",
            "/v1\\chat\\completions",
            "/v1/chat;a=b/completions",
            "/v1/chat/completions%20",
            "/v1/chat/completions;x",
        ] {
            check("POST", path, &spelling);
        }
    }

    #[test]
    fn anything_else_is_unknown() {
        for path in [
            "/",
            "",
            "/v1/completions",
            "/v1/chat/completions/x",
            "/v1/messages/count_tokens",
            "/v1/messages/batches",
            "/v1/responses",
            "/openai/v1/chat/completions",
            "/v1/guard/decisions/",
            "/v1/guard/decisions/a/b",
            "/v1/guard/decisions/%61",
            "/v1/models/gpt",
        ] {
            check("POST", path, &Err(RouteError::UnknownPath));
        }
    }
}
