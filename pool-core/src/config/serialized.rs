//! `PoolConfig` in files: serde.
//!
//! A map of settings by name, each optional. Durations and choices are the texts they are
//! everywhere, numbers are numbers, and a bare number for a duration is seconds. Written by hand
//! rather than derived, so that a bad file is answered as a bad environment is: all that is wrong
//! at once, each with its setting.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::reader::Reader;
use super::value::Shown;
use super::{FIELDS, PoolConfig, SETTINGS};

const STRUCT: &str = "PoolConfig";

impl Serialize for PoolConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct(STRUCT, SETTINGS.len())?;
        for setting in SETTINGS {
            match (setting.show)(self) {
                Shown::Integer(value) => fields.serialize_field(setting.name, &value)?,
                Shown::Fraction(value) => fields.serialize_field(setting.name, &value)?,
                Shown::Switch(value) => fields.serialize_field(setting.name, &value)?,
                Shown::Text(value) => fields.serialize_field(setting.name, &value)?,
            }
        }
        fields.end()
    }
}

/// Reads what is there over the defaults. The rules between settings are not checked here, for the
/// environment or code may still change what they compare; building the pool does.
impl<'de> Deserialize<'de> for PoolConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(STRUCT, FIELDS, SettingsVisitor)
    }
}

struct SettingsVisitor;

impl<'de> Visitor<'de> for SettingsVisitor {
    type Value = PoolConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings of a pool by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PoolConfig, A::Error> {
        let mut reader = Reader::new(PoolConfig::default(), str::to_owned);
        while let Some((name, Text(text))) = map.next_entry::<String, Text>()? {
            reader.read(&name, &text);
        }
        reader.into_config().map_err(de::Error::custom)
    }
}

/// The text of a single value of whatever type.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_str<E>(self, value: &str) -> Result<Text, E> {
        Ok(Text(value.to_owned()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }
    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text("none".to_owned()))
    }
    fn visit_none<E>(self) -> Result<Text, E> {
        Ok(Text("none".to_owned()))
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Text, D::Error> {
        Text::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::config::Validation;

    #[test]
    fn durations_and_choices_are_texts_and_numbers_are_numbers() {
        let written = serde_json::to_value(PoolConfig::default()).unwrap();
        assert_eq!(written["max_size"], json!(10));
        assert_eq!(written["lifetime_jitter"], json!(0.1));
        assert_eq!(written["acquire_timeout"], json!("30s"));
        assert_eq!(written["validation"], json!("when_idle_for(1s)"));
        assert_eq!(written["max_waiting"], json!("none"));
    }

    #[test]
    fn what_is_missing_keeps_its_default_and_null_is_none() {
        let config: PoolConfig = serde_json::from_value(json!({
            "max_size": 20,
            "acquire_timeout": 2.5,
            "connect_timeout": 7,
            "keepalive": null,
            "lifetime_jitter": 0,
            "validation": "never",
            "name": null,
        }))
        .unwrap();
        let expected = PoolConfig {
            max_size: 20,
            acquire_timeout: Some(Duration::from_millis(2500)),
            connect_timeout: Some(Duration::from_secs(7)),
            keepalive: None,
            lifetime_jitter: 0.0,
            validation: Validation::Never,
            ..PoolConfig::default()
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let read = serde_json::from_str::<PoolConfig>(
            r#"{"max_size": -1, "max_sice": 5, "reuse": true, "reuse": "lifo"}"#,
        );
        let told = read.unwrap_err().to_string();
        for part in [
            "4 settings are wrong: max_size (-1) must be a whole number",
            "max_sice (…) is not a setting of the pool; the nearest is max_size",
            "reuse (true) must be lifo or fifo",
            "reuse (lifo) is given a second time",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn what_is_no_setting_at_all_is_told_with_what_it_should_be() {
        for (file, told) in [
            ("7", "expected the settings of a pool by name"),
            (r#"{"max_size": [7]}"#, "expected a text or a number"),
        ] {
            let error = serde_json::from_str::<PoolConfig>(file).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
