//! No connection URL panics, and no error shows its password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pool_mysql::MySqlConfig;
use pool_postgres::PgConfig;
use pool_sqlite::SqliteConfig;

/// Not part of any message by chance.
const PASSWORD: &str = "cOrReCtHoRsE";

fuzz_target!(|parts: (&str, &str)| {
    let (server, query) = parts;
    for url in [
        server.to_owned(),
        format!("postgres://app:{PASSWORD}@{server}/db?{query}"),
        format!("mysql://app:{PASSWORD}@{server}/db?{query}"),
        format!("sqlite:{server}?{query}"),
        format!("host=db password='{PASSWORD}' {query}"),
    ] {
        let shown = [
            url.parse::<PgConfig>().map_or_else(|e| format!("{e} {e:?}"), |c| format!("{c:?}")),
            MySqlConfig::from_url(&url).map_or_else(|e| format!("{e} {e:?}"), |c| format!("{c:?}")),
            SqliteConfig::from_url(&url).map_or_else(|e| format!("{e} {e:?}"), |c| format!("{c:?}")),
        ];
        // A password that holds what the text around it says is not told apart from it.
        if !server.contains(['@', '\'', '/', '?']) && !query.contains(['@', '\'']) {
            for text in shown {
                assert!(!text.contains(PASSWORD), "{text}");
            }
        }
    }
});
