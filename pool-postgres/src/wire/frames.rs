//! Cuts a stream of bytes into messages.

/// One direction of a stream, cut into messages.
#[derive(Debug)]
pub(super) struct Frames {
    /// The next message has no type byte.
    headless: bool,
    header: [u8; 5],
    have: usize,
    /// Bytes of the present message's body that are still to come.
    body: usize,
    /// The first bytes of the body, as many as are looked at.
    start: [u8; 40],
    started: usize,
}

impl Frames {
    pub(super) fn new(headless: bool) -> Self {
        Self {
            headless,
            header: [0; 5],
            have: 0,
            body: 0,
            start: [0; 40],
            started: 0,
        }
    }

    /// Takes bytes in, and tells of each message that is complete: its type and how its body began.
    pub(super) fn take(&mut self, mut bytes: &[u8], mut message: impl FnMut(u8, &[u8])) {
        while !bytes.is_empty() {
            if self.body == 0 && self.have < self.header.len() {
                if self.have == 0 && self.headless {
                    self.have = 1;
                }
                let wanted = (self.header.len() - self.have).min(bytes.len());
                let (now, later) = bytes.split_at(wanted);
                self.header[self.have..self.have + wanted].copy_from_slice(now);
                self.have += wanted;
                bytes = later;
                if self.have < self.header.len() {
                    return;
                }
                let [_, length @ ..] = self.header;
                // The length counts itself.
                self.body = (u32::from_be_bytes(length) as usize).saturating_sub(4);
                self.started = 0;
            }
            let (now, later) = bytes.split_at(self.body.min(bytes.len()));
            let looked_at = (self.start.len() - self.started).min(now.len());
            self.start[self.started..self.started + looked_at].copy_from_slice(&now[..looked_at]);
            self.started += looked_at;
            self.body -= now.len();
            bytes = later;
            if self.body == 0 {
                let kind = if self.headless { 0 } else { self.header[0] };
                message(kind, &self.start[..self.started]);
                self.headless = false;
                self.have = 0;
            }
        }
    }
}

/// A message of this type.
#[cfg(test)]
pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, body].concat()
}

#[cfg(test)]
mod tests {
    use super::{Frames, message};

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let stream = [
            message(b'T', &[7; 300]),
            message(b'C', b"SELECT 1\0"),
            message(b'Z', b"I"),
            message(b'n', b""),
            message(b'Z', b"T"),
        ]
        .concat();
        for piece in 1..stream.len() {
            let (mut frames, mut seen) = (Frames::new(false), Vec::new());
            for bytes in stream.chunks(piece) {
                frames.take(bytes, |kind, body| seen.push((kind, body.first().copied())));
            }
            let expected = [
                (b'T', Some(7)),
                (b'C', Some(b'S')),
                (b'Z', Some(b'I')),
                (b'n', None),
                (b'Z', Some(b'T')),
            ];
            assert_eq!(seen, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn the_startup_packet_has_no_type() {
        let mut frames = Frames::new(true);
        let startup = [&9_u32.to_be_bytes()[..], b"hello"].concat();
        let mut seen = Vec::new();
        let stream = [startup, message(b'Q', b"SELECT 1\0")].concat();
        for byte in stream {
            frames.take(&[byte], |kind, _| seen.push(kind));
        }
        assert_eq!(seen, [0, b'Q']);
    }
}
