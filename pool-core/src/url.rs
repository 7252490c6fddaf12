//! Connection URLs, for authors of backends: parameters are read alike everywhere.
//!
//! The query is what follows the first `?`, to the end: connection URLs have no fragment, and what
//! passes for one is often a password that nobody encoded.

/// The parameters of `url` whose names `is_ours` accepts, decoded, and the URL without them, which
/// is otherwise left as it is, byte for byte.
///
/// ```
/// use pool_core::url::take_parameters;
///
/// let (ours, rest) = take_parameters("mysql://h/db?a=1&recycle=cle%61n", |name| name == "recycle");
/// assert_eq!(ours, [("recycle".to_owned(), "clean".to_owned())]);
/// assert_eq!(rest, "mysql://h/db?a=1");
/// ```
pub fn take_parameters(
    url: &str,
    is_ours: impl Fn(&str) -> bool,
) -> (Vec<(String, String)>, String) {
    let Some((before, query)) = url.split_once('?') else {
        return (Vec::new(), url.to_owned());
    };
    let mut ours = Vec::new();
    let mut others = Vec::new();
    for parameter in query.split('&') {
        let (name, text) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = decode(name);
        if is_ours(&name) {
            ours.push((name, decode(text)));
        } else {
            others.push(parameter);
        }
    }
    let rest = if others.is_empty() {
        before.to_owned()
    } else {
        format!("{before}?{}", others.join("&"))
    };
    (ours, rest)
}

/// What stands before the first `:`, if that can be the scheme of a URL (RFC 3986, 3.1): anything else
/// may be a part of a password, and must not get into a message.
///
/// ```
/// assert_eq!(pool_core::url::scheme("mysql://app:secret@db"), Some("mysql"));
/// assert_eq!(pool_core::url::scheme("host=db password=a:b"), None);
/// ```
#[must_use]
pub fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let begins = scheme.starts_with(|letter: char| letter.is_ascii_alphabetic());
    (begins && scheme.bytes().all(is_letter)).then_some(scheme)
}

/// Whether the parameters after the credentials have names of letters, digits, `_`, `-` and `.` only.
/// Where they have not, a password was not percent-encoded, and an error that names the parameter
/// would show a part of it.
///
/// ```
/// use pool_core::url::has_plain_names;
///
/// assert!(has_plain_names("postgres://app:a?b@db/app?x=y&z"));
/// assert!(!has_plain_names("postgres://app:a@b?secret@db/app"));
/// ```
#[must_use]
pub fn has_plain_names(url: &str) -> bool {
    let after_credentials = url.split_once('@').map_or(url, |(_, rest)| rest);
    let (_, query) = after_credentials.split_once('?').unwrap_or_default();
    let name = |pair: &str| is_plain(pair.split_once('=').map_or(pair, |(name, _)| name));
    query.split('&').all(name)
}

/// Whether `name` is of letters, digits, `_`, `-` and `.` only.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// A host and its port as a URL has them: an IPv6 address is in brackets.
///
/// ```
/// assert_eq!(pool_core::url::authority("::1", 5432), "[::1]:5432");
/// ```
#[must_use]
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// `text` without its percent-encoding. A `%` that begins none stays, so that `10%` is read, and a
/// `+` stays one, as drivers have it.
#[must_use]
pub fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let encoded = if byte == b'%' { hex_pair(after) } else { None };
        decoded.push(encoded.unwrap_or(byte));
        rest = if encoded.is_some() {
            &after[2..]
        } else {
            after
        };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The byte that the first two characters of `text` write in hexadecimal.
fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |index: usize| char::from(*text.get(index)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_scheme_is_one() {
        assert_eq!(scheme("mysql://app:secret@db"), Some("mysql"));
        assert_eq!(scheme("a+b-c.1:rest"), Some("a+b-c.1"));
        for text in ["secret", ":secret", "1a:b", "host=db password=a:b"] {
            assert_eq!(scheme(text), None, "{text}");
        }
    }

    #[test]
    fn a_password_that_was_not_encoded_is_seen_by_the_names_it_makes() {
        for url in [
            "db",
            "db://h/d",
            "db://u:p@h/d?x=y&z",
            "db://u:p?q@h/d?a_b-c.d=?@",
        ] {
            assert!(has_plain_names(url), "{url}");
        }
        for url in ["db://u:a@b?secret@h/d", "db://h?a=b&c:d=e"] {
            assert!(!has_plain_names(url), "{url}");
        }
    }
}
