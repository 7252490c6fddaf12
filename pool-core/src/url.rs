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
