//! The protocol of MySQL and MariaDB: login without a password, `COM_QUERY`, text results.
//! <https://mariadb.com/kb/en/clientserver-protocol/>

use std::io;

use super::stream::{Reader, Stream};
use super::{Greeting, Row, SessionError};

const LONG_PASSWORD: u32 = 1;
const CONNECT_WITH_DATABASE: u32 = 1 << 3;
const PROTOCOL_41: u32 = 1 << 9;
const SECURE_CONNECTION: u32 = 1 << 15;
const PLUGIN_AUTHENTICATION: u32 = 1 << 19;

/// `utf8mb4_general_ci`.
const CHARSET: u8 = 45;

pub(super) fn login(
    stream: &mut Stream,
    user: &str,
    database: &str,
) -> Result<Greeting, SessionError> {
    let (_, body) = packet(stream)?;
    let mut reader = Reader(&body);
    match reader.byte() {
        10 => {}
        0xff => return Err(refusal(&mut reader)),
        other => return Err(SessionError::Unknown(format!("protocol {other}"))),
    }
    // MariaDB puts this before its version for old replicas.
    let version = reader.text().trim_start_matches("5.5.5-").to_owned();
    let id = u32::try_from(reader.low_first(4)).unwrap_or(0);

    let mut capabilities = LONG_PASSWORD | PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTHENTICATION;
    if !database.is_empty() {
        capabilities |= CONNECT_WITH_DATABASE;
    }
    let mut answer = capabilities.to_le_bytes().to_vec();
    answer.extend(0x0100_0000_u32.to_le_bytes());
    answer.push(CHARSET);
    answer.extend([0; 23]);
    answer.extend(user.as_bytes());
    // The end of the user, and a password of no bytes.
    answer.extend([0, 0]);
    if !database.is_empty() {
        answer.extend(database.as_bytes());
        answer.push(0);
    }
    answer.extend(b"mysql_native_password\0");
    send(stream, 1, &answer)?;

    loop {
        let (sequence, body) = packet(stream)?;
        let mut reader = Reader(&body);
        match reader.byte() {
            0x00 => return Ok(Greeting { version, id }),
            0xff => return Err(refusal(&mut reader)),
            // Another way to log in: without a password the answer is empty in every one.
            0xfe => send(stream, sequence.wrapping_add(1), &[])?,
            _ => {}
        }
    }
}

pub(super) fn query(stream: &mut Stream, sql: &str) -> Result<Vec<Row>, SessionError> {
    send(stream, 0, &[&[3], sql.as_bytes()].concat())?;
    let (_, body) = packet(stream)?;
    let mut reader = Reader(&body);
    match body.first() {
        Some(0x00) | None => return Ok(Vec::new()),
        Some(0xff) => {
            reader.byte();
            return Err(refusal(&mut reader));
        }
        Some(_) => {}
    }
    let columns = length(&mut reader).unwrap_or(0);
    while !is_end(&packet(stream)?.1) {}

    let mut rows = Vec::new();
    loop {
        let (_, body) = packet(stream)?;
        if is_end(&body) {
            return Ok(rows);
        }
        let mut reader = Reader(&body);
        if body.first() == Some(&0xff) {
            reader.byte();
            return Err(refusal(&mut reader));
        }
        rows.push((0..columns).map(|_| value(&mut reader)).collect());
    }
}

fn send(stream: &mut Stream, sequence: u8, body: &[u8]) -> io::Result<()> {
    let mut frame = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    frame[3] = sequence;
    stream.put(&[&frame, body].concat())
}

fn packet(stream: &mut Stream) -> io::Result<(u8, Vec<u8>)> {
    let head = stream.take(4)?;
    let length = usize::try_from(Reader(&head[..3]).low_first(3)).unwrap_or(0);
    Ok((head[3], stream.take(length)?))
}

/// The packet between definitions and rows, and after the rows.
fn is_end(body: &[u8]) -> bool {
    body.first() == Some(&0xfe) && body.len() < 9
}

/// A number of one to nine bytes; `None` is the mark for `NULL`.
fn length(reader: &mut Reader<'_>) -> Option<usize> {
    let number = match reader.byte() {
        0xfb => return None,
        0xfc => reader.low_first(2),
        0xfd => reader.low_first(3),
        0xfe => reader.low_first(8),
        small => u64::from(small),
    };
    usize::try_from(number).ok()
}

fn value(reader: &mut Reader<'_>) -> Option<String> {
    let length = length(reader)?;
    Some(String::from_utf8_lossy(reader.bytes(length)).into_owned())
}

/// After the mark: the number, `#` and five letters once the login began, the message.
fn refusal(reader: &mut Reader<'_>) -> SessionError {
    let number = reader.low_first(2);
    if reader.0.first() == Some(&b'#') {
        reader.bytes(6);
    }
    SessionError::Refused {
        code: number.to_string(),
        message: String::from_utf8_lossy(reader.0).into_owned(),
    }
}
