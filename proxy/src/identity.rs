//! Who is asking: tenant, subject and conversation, all as keyed hashes or random pseudonyms.

use http::{HeaderMap, HeaderName, header};
use moka::sync::Cache;
use portcullis_config::IdentityRules;
use portcullis_protocol::Exchange;
use std::sync::Arc;
use std::time::Duration;

const SUBJECT: HeaderName = HeaderName::from_static("x-portcullis-subject");
const CONVERSATION: HeaderName = HeaderName::from_static("x-portcullis-conversation");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Keyed hash of the presented credential.
    pub(crate) tenant: u64,
    /// Random pseudonym of the person, when the request names one.
    pub(crate) subject: Option<String>,
    /// What salts this person's or conversation's cache entries, when the request names one.
    pub(crate) who: Option<String>,
}

/// Makes identities. The key is random, so hashes mean nothing outside this process.
#[derive(Debug)]
pub(crate) struct Identities {
    key: [u8; 32],
    rules: IdentityRules,
    pseudonyms: Cache<[u8; 32], String>,
    anonymous: Arc<str>,
}

impl Identities {
    /// Draws a key.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(crate) fn new(rules: IdentityRules) -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        // A person who was not seen for so long gets a new pseudonym.
        let pseudonyms = Cache::builder()
            .max_capacity(1_000_000)
            .time_to_idle(Duration::from_secs(30 * 24 * 3600))
            .build();
        Ok(Self {
            key,
            rules,
            pseudonyms,
            anonymous: Arc::from("anonymous"),
        })
    }

    /// The tenant that the credentials stand for, and its name in records and decisions.
    #[must_use]
    pub(crate) fn tenant(&self, headers: &HeaderMap) -> (u64, Arc<str>) {
        let credential = headers
            .get(header::AUTHORIZATION)
            .or_else(|| headers.get(API_KEY));
        let Some(credential) = credential else {
            return (0, Arc::clone(&self.anonymous));
        };
        let digest = blake3::keyed_hash(&self.key, credential.as_bytes());
        let short = digest
            .as_bytes()
            .first_chunk::<8>()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes));
        (short, format!("t_{}", &digest.to_hex()[..16]).into())
    }

    /// Everything known about who sent an exchange.
    #[must_use]
    pub(crate) fn identify(
        &self,
        tenant: u64,
        headers: &HeaderMap,
        exchange: &Exchange,
    ) -> Identity {
        let named = |name: HeaderName| {
            let value = headers.get(name).filter(|_| self.rules.trust_headers)?;
            value.to_str().ok().map(str::to_owned)
        };
        let person = named(SUBJECT).or_else(|| exchange.user.clone());
        let who = named(CONVERSATION).or_else(|| person.clone());
        let subject = person.map(|person| self.pseudonym(tenant, &person));
        Identity {
            tenant,
            subject,
            who,
        }
    }

    fn pseudonym(&self, tenant: u64, person: &str) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher
            .update(&tenant.to_le_bytes())
            .update(person.as_bytes());
        let key = *hasher.finalize().as_bytes();
        self.pseudonyms
            .get_with(key, || format!("s_{}", uuid::Uuid::new_v4().simple()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::HeaderValue;
    use portcullis_protocol::{Dialect, ParseRules};

    fn identify(rules: IdentityRules, headers: &[(&'static str, &'static str)]) -> Identity {
        let body = r#"{"model":"m","user":"alice","messages":[{"role":"user","content":"x"}]}"#;
        let exchange = Dialect::OpenAiChat
            .parse(Bytes::from(body), &ParseRules::default())
            .unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        let identities = Identities::new(rules).unwrap();
        let (tenant, name) = identities.tenant(&map);
        assert!(!name.contains("secret"));
        identities.identify(tenant, &map, &exchange)
    }

    #[test]
    fn a_pseudonym_tells_nothing_about_the_person() {
        let identity = identify(IdentityRules::default(), &[]);
        let subject = identity.subject.unwrap();
        assert!(subject.starts_with("s_") && !subject.contains("alice"));
        assert_eq!(identity.tenant, 0);
    }

    #[test]
    fn headers_name_a_person_only_where_they_are_trusted() {
        let sent = [
            ("x-portcullis-subject", "bob"),
            ("authorization", "Bearer secret"),
        ];
        let untrusted = identify(IdentityRules::default(), &sent);
        assert_eq!(untrusted.who.as_deref(), Some("alice"));
        let trusted = identify(
            IdentityRules {
                trust_headers: true,
            },
            &sent,
        );
        assert_eq!(trusted.who.as_deref(), Some("bob"));
    }
}
