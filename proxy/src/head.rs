//! What the head of a request must be before anything else is read of it.
//!
//! The HTTP library has refused what is no HTTP. What is left are heads that it reads in one way
//! and others may read in another.

use crate::error::Error;
use http::request::Parts;
use http::uri::{Authority, Uri};
use http::{Version, header};

/// Checks the framing and the host.
///
/// # Errors
/// [`Error::BadHead`] for a transfer coding other than `chunked` alone, and for a host that is
/// missing, named twice in different ways, or no host.
pub(crate) fn check(head: &Parts) -> Result<(), Error> {
    check_coding(head)?;
    check_host(head)
}

fn check_coding(head: &Parts) -> Result<(), Error> {
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let first = codings.next();
    let is_chunked = first.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if is_chunked && codings.next().is_none() {
        return Ok(());
    }
    Err(Error::BadHead(
        "transfer-encoding must be `chunked` and nothing else".into(),
    ))
}

fn check_host(head: &Parts) -> Result<(), Error> {
    let bad = |what: &str| Err(Error::BadHead(format!("the `host` header {what}")));
    if head.uri.authority().is_some_and(|named| !is_host(named)) {
        return bad("or `:authority` is no host");
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return bad("stands there twice");
    }
    let Some(host) = host else {
        let needs_one = head.version == Version::HTTP_11 && head.uri.authority().is_none();
        return if needs_one { bad("is missing") } else { Ok(()) };
    };
    if head.uri.authority().is_none() && is_plain_host(host.as_bytes()) {
        return Ok(());
    }
    let named = host
        .to_str()
        .ok()
        .and_then(|host| host.parse::<Authority>().ok());
    let Some(named) = named.filter(is_host) else {
        return bad("is no host");
    };
    let is_other = |uri: &Authority| !uri.as_str().eq_ignore_ascii_case(named.as_str());
    match head
        .uri
        .authority()
        .filter(|uri| Version::HTTP_2 <= head.version && is_other(uri))
    {
        Some(_) => bad("differs from `:authority`"),
        None => Ok(()),
    }
}

/// Nearly every host: a name or an IPv4 address, perhaps with a port.
fn is_plain_host(host: &[u8]) -> bool {
    let colon = host.iter().position(|byte| *byte == b':');
    let (name, port) = match colon {
        Some(at) => (&host[..at], &host[at + 1..]),
        None => (host, &b"0"[..]),
    };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !name.is_empty()
        && name.iter().all(is_plain)
        && (1..=5).contains(&port.len())
        && port.iter().all(u8::is_ascii_digit)
}

/// A name or address, perhaps with a port, and no user before it.
fn is_host(host: &Authority) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(&byte);
    let port = host
        .as_str()
        .rsplit(']')
        .next()
        .and_then(|rest| rest.split_once(':'));
    let port_is_number =
        port.is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    !host.host().is_empty() && host.as_str().bytes().all(allowed) && port_is_number
}

/// Parameters of the query that upstreams know: the version of an API, and that it is a beta.
const QUERY: [&str; 2] = ["api-version", "beta"];

/// The path for the upstream, with the parameters of the query that it may have. Others hold text
/// that was not screened and that some upstreams read as the body's.
pub(crate) fn forwarded_path(uri: &Uri) -> String {
    let mut path = uri.path().to_owned();
    let pairs = uri.query().unwrap_or_default().split('&');
    let is_plain = |value: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        value.len() <= 32 && value.bytes().all(allowed)
    };
    let known = pairs.filter(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        QUERY.contains(&name) && is_plain(value)
    });
    for (idx, pair) in known.enumerate() {
        path.push(if idx == 0 { '?' } else { '&' });
        path.push_str(pair);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn checked(uri: &str, version: Version, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri(uri).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn one_sound_host_is_wanted() {
        let host = |host: &str| checked("/v1/models", Version::HTTP_11, &[("host", host)]);
        for sound in [
            "gate",
            "gate:8080",
            "127.0.0.1:1",
            "[::1]:80",
            "[::1]",
            "a-b.example",
        ] {
            assert!(host(sound), "{sound}");
        }
        for bad in [
            "",
            "a b",
            "a/b",
            "user@gate",
            "gate:port",
            "[::1",
            "<gate>",
            "a,b",
        ] {
            assert!(!host(bad), "{bad}");
        }
        assert!(!checked("/", Version::HTTP_11, &[]));
        assert!(checked("/", Version::HTTP_10, &[]));
        assert!(!checked(
            "/",
            Version::HTTP_11,
            &[("host", "a"), ("host", "a")]
        ));
        assert!(checked("http://a/", Version::HTTP_2, &[]));
        assert!(!checked("http://me@a/", Version::HTTP_2, &[]));
        assert!(checked("http://a/", Version::HTTP_2, &[("host", "A")]));
        assert!(!checked("http://a/", Version::HTTP_2, &[("host", "b")]));
    }

    #[test]
    fn only_known_parameters_are_forwarded() {
        let check = |uri: &str, expected: &str| {
            assert_eq!(forwarded_path(&uri.parse().unwrap()), expected);
        };
        check("/v1/messages?beta=true", "/v1/messages?beta=true");
        check(
            "/a?x=bomb&api-version=2024-10-21&beta=a%20b",
            "/a?api-version=2024-10-21",
        );
        check("/a?bomb", "/a");
    }

    #[test]
    fn chunked_stands_alone() {
        let coding = |codings: &[&str]| {
            let mut headers = vec![("host", "a")];
            headers.extend(codings.iter().map(|coding| ("transfer-encoding", *coding)));
            checked("/", Version::HTTP_11, &headers)
        };
        assert!(coding(&[]) && coding(&["chunked"]) && coding(&["Chunked"]));
        for bad in [
            &["gzip, chunked"][..],
            &["identity"],
            &["chunked", "chunked"],
            &["cow", "chunked"],
        ] {
            assert!(!coding(bad), "{bad:?}");
        }
    }
}
