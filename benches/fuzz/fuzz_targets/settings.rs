//! No environment and no query of a URL panics, and what is accepted keeps the rules.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pool_core::PoolConfig;

fuzz_target!(|lines: Vec<(String, String)>| {
    let config = || PoolConfig::default();
    let named = lines.iter().map(|(name, value)| (format!("POOL_{name}"), value.as_str()));
    if let Ok(config) = config().merge_variables("POOL", named) {
        let _valid_or_told_why = config.validate();
    }
    let pairs: Vec<_> = lines.iter().map(|(name, value)| format!("pool_{name}={value}")).collect();
    let url = format!("x://u:hunter2@h/db?{}", pairs.join("&"));
    match PoolConfig::from_url_query(&url) {
        Ok((config, rest)) => {
            assert!(config.validate().is_ok(), "{url}");
            assert!(rest.starts_with("x://u:hunter2@h/db"), "{rest}");
        }
        Err(error) => assert!(!error.to_string().contains("hunter2@"), "{error}"),
    }
});
