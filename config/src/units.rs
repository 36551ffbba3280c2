//! How sizes, durations, addresses and URLs are written, and how an editor knows it.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

const SIZES: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Milliseconds by unit.
const DURATIONS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A number and its unit: the digits, and what follows them.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit.trim_start()))
}

fn amount(text: &str, units: &[(&str, u64)], bare: Option<u64>) -> Option<u64> {
    let (number, unit) = split(text)?;
    let worth = match unit {
        "" => bare?,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.checked_mul(worth)
}

fn written(amount: u64, units: &[(&str, u64)]) -> String {
    let fitting = units
        .iter()
        .find(|(_, worth)| amount.is_multiple_of(*worth) && amount > 0);
    let (unit, worth) = fitting.or(units.last()).copied().unwrap_or(("", 1));
    format!("{}{unit}", amount / worth)
}

/// Bytes: `32MiB`, `64KiB`, `1000`.
pub(crate) mod size {
    use super::{SIZES, amount, written};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }

    pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: TryFrom<u64>,
    {
        let refused = "expected a size such as 32MiB, 64KiB or 1000 (bytes)";
        let written = Written::deserialize(deserializer).map_err(|_| D::Error::custom(refused))?;
        let bytes = match &written {
            Written::Number(bytes) => Some(*bytes),
            Written::Text(text) => amount(text, &SIZES, Some(1)),
        };
        let fitting = bytes
            .filter(|bytes| *bytes > 0)
            .and_then(|bytes| T::try_from(bytes).ok());
        fitting.ok_or_else(|| match written {
            Written::Number(number) => D::Error::custom(format!("{refused}, found {number}")),
            Written::Text(text) => D::Error::custom(format!("{refused}, found `{text}`")),
        })
    }

    pub(crate) fn serialize<S, T>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
        T: Copy + TryInto<u64>,
    {
        serializer.serialize_str(&written((*bytes).try_into().unwrap_or(u64::MAX), &SIZES))
    }
}

/// Times: `100ms`, `5s`, `2m`, `1h`.
pub(crate) mod duration {
    use super::{DURATIONS, amount, written};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    /// A limit of a day is no limit; more is a slip.
    const LONGEST: u64 = 24 * 3_600_000;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
    }

    pub(crate) fn deserialize<'de, D>(deserializer: D) -> Result<Duration, D::Error>
    where
        D: Deserializer<'de>,
    {
        let refused = "expected a duration such as 100ms, 5s or 2m";
        let written = Written::deserialize(deserializer).map_err(|_| D::Error::custom(refused))?;
        let text = match written {
            Written::Number(number) => {
                return Err(D::Error::custom(format!(
                    "{refused}; {number} needs a unit"
                )));
            }
            Written::Text(text) => text,
        };
        let millis =
            amount(&text, &DURATIONS, None).filter(|millis| (1..=LONGEST).contains(millis));
        let refused = || D::Error::custom(format!("{refused}, at most 24h, found `{text}`"));
        millis.map(Duration::from_millis).ok_or_else(refused)
    }

    pub(crate) fn serialize<S: Serializer>(
        time: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        serializer.serialize_str(&written(millis, &DURATIONS))
    }
}

/// An address and a port.
pub(crate) mod address {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::borrow::Cow;
    use std::net::SocketAddr;

    pub(crate) fn deserialize<'de, D>(deserializer: D) -> Result<SocketAddr, D::Error>
    where
        D: Deserializer<'de>,
    {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        let refused = "expected an address and a port such as 127.0.0.1:8080 or [::1]:8080";
        text.trim()
            .parse()
            .map_err(|_| D::Error::custom(format!("{refused}, found `{text}`")))
    }

    pub(crate) fn serialize<S: Serializer>(
        address: &SocketAddr,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(address)
    }
}

macro_rules! schema_of {
    ($(#[$doc:meta])* $type:ident = $schema:tt) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $type;

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

schema_of!(
    /// The schema of a size.
    Size = {
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "string", "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB)?$"},
        ],
        "examples": ["32MiB", "64KiB", 1000],
    }
);

schema_of!(
    /// The schema of a duration.
    Span = {
        "type": "string",
        "pattern": "^[0-9]+ ?(ms|s|m|h)$",
        "examples": ["100ms", "5s", "2m"],
    }
);

schema_of!(
    /// The schema of an address.
    Address = {
        "type": "string",
        "pattern": "^(\\[[0-9a-fA-F:.]+\\]|[0-9.]+):[0-9]+$",
        "examples": ["127.0.0.1:8080", "[::1]:8080"],
    }
);

schema_of!(
    /// The schema of a base URL.
    Url = {
        "type": "string",
        "pattern": "^https?://[^/?#@]+(/[^?#]*)?$",
        "examples": ["https://api.openai.com"],
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read_and_written_alike() {
        for (text, bytes) in [
            ("1000B", 1000),
            ("64KiB", 64 << 10),
            ("32MiB", 32 << 20),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(amount(text, &SIZES, Some(1)), Some(bytes));
            assert_eq!(written(bytes, &SIZES), text);
        }
        for (text, millis) in [
            ("100ms", 100),
            ("5s", 5_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(amount(text, &DURATIONS, None), Some(millis));
            assert_eq!(written(millis, &DURATIONS), text);
        }
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in ["", "MiB", "1.5MiB", "-1", "1MB", "99999999999GiB", "1 0"] {
            assert_eq!(amount(text, &SIZES, Some(1)), None, "{text}");
        }
        assert_eq!(amount("5", &DURATIONS, None), None);
    }
}
