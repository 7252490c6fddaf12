//! PostgreSQL's protocol, version 3: start-up, simple query, text results.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::io;

use super::stream::{Reader, Stream};
use super::{Greeting, Row, SessionError};

pub(super) fn login(
    stream: &mut Stream,
    user: &str,
    database: &str,
) -> Result<Greeting, SessionError> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for text in ["user", user, "database", database, ""] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    stream.put(&framed(&body))?;

    let mut greeting = Greeting::default();
    loop {
        let (tag, body) = message(stream)?;
        let mut reader = Reader(&body);
        match tag {
            b'R' => match reader.high_first() {
                0 => {}
                other => return Err(SessionError::Unknown(format!("authentication {other}"))),
            },
            b'S' if reader.text() == "server_version" => greeting.version = reader.text(),
            b'K' => greeting.id = reader.high_first().cast_unsigned(),
            b'Z' => return Ok(greeting),
            b'E' => return Err(refusal(&mut reader)),
            _ => {}
        }
    }
}

pub(super) fn query(stream: &mut Stream, sql: &str) -> Result<Vec<Row>, SessionError> {
    let mut request = vec![b'Q'];
    request.extend(framed(&[sql.as_bytes(), &[0]].concat()));
    stream.put(&request)?;

    let mut rows = Vec::new();
    let mut refused = None;
    loop {
        let (tag, body) = message(stream)?;
        let mut reader = Reader(&body);
        match tag {
            b'D' => rows.push(row(&mut reader)),
            b'E' => {
                let refusal = refusal(&mut reader);
                let fatal = matches!(&refusal, SessionError::Refused { code, .. }
                    if code.starts_with("57P"));
                if fatal {
                    return Err(refusal);
                }
                refused = Some(refusal);
            }
            b'Z' => return refused.map_or(Ok(rows), Err),
            _ => {}
        }
    }
}

/// The body after its length, which counts itself.
fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), body].concat()
}

fn message(stream: &mut Stream) -> Result<(u8, Vec<u8>), SessionError> {
    let head = stream.take(5)?;
    let length = usize::try_from(Reader(&head[1..]).high_first()).unwrap_or(0);
    let length = length
        .checked_sub(4)
        .ok_or(io::ErrorKind::InvalidData)
        .map_err(io::Error::from)?;
    Ok((head[0], stream.take(length)?))
}

fn row(reader: &mut Reader<'_>) -> Row {
    let columns = reader
        .bytes(2)
        .iter()
        .fold(0, |number, &byte| number << 8 | usize::from(byte));
    (0..columns)
        .map(|_| {
            let length = usize::try_from(reader.high_first()).ok()?;
            Some(String::from_utf8_lossy(reader.bytes(length)).into_owned())
        })
        .collect()
}

fn refusal(reader: &mut Reader<'_>) -> SessionError {
    let (mut code, mut message) = (String::new(), String::new());
    while !reader.is_empty() {
        match reader.byte() {
            b'C' => code = reader.text(),
            b'M' => message = reader.text(),
            _ => drop(reader.text()),
        }
    }
    SessionError::Refused { code, message }
}
