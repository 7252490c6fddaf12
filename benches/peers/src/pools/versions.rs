//! The versions that adapters name are those that are built.

use crate::contest::Contender;

/// Compares with the manifest; this pool's own crates have no version there.
pub(crate) fn check<'a>(contenders: impl IntoIterator<Item = &'a Contender>) {
    let manifest = include_str!("../../Cargo.toml");
    let others = contenders
        .into_iter()
        .filter(|pool| !pool.name.starts_with("pool-"));
    for pool in others {
        let line = manifest
            .lines()
            .find(|line| line.starts_with(&format!("{} =", pool.name)));
        let pinned = format!("\"={}\"", pool.version);
        assert!(
            line.is_some_and(|line| line.contains(&pinned)),
            "{} {pinned}",
            pool.name
        );
    }
}
