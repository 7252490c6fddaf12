//! How much is done to a used connection of a database server.

use std::fmt;

/// What a backend with sessions does to a connection that was used, before somebody else gets it.
///
/// Whatever the policy, a connection is never handed on inside a transaction or with a statement under
/// way. Which state of a session each resets, and what that costs, the backends say in a table.
///
/// As text `fast`, `verified` or `clean`.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Recycle {
    /// What is known to be left behind is undone: a clean return costs nothing.
    #[default]
    Fast,
    /// As `Fast`, and the server is asked, after every use.
    Verified,
    /// The session is reset after every use.
    Clean,
    /// As `Fast`, and then this SQL, after every use.
    Custom(String),
}

impl Recycle {
    /// The policies that a text can name.
    pub const NAMED: [(&'static str, Self); 3] = [
        ("fast", Self::Fast),
        ("verified", Self::Verified),
        ("clean", Self::Clean),
    ];
}

/// Without its SQL, which may hold secrets.
impl fmt::Debug for Recycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "Fast",
            Self::Verified => "Verified",
            Self::Clean => "Clean",
            Self::Custom(_) => "Custom(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Recycle;

    #[test]
    fn a_policy_is_printed_without_its_sql() {
        let custom = Recycle::Custom("SELECT 'hunter2'".to_owned());
        assert_eq!(format!("{custom:?}"), "Custom(..)");
        for (name, policy) in Recycle::NAMED {
            assert_eq!(format!("{policy:?}").to_lowercase(), name);
        }
    }
}
