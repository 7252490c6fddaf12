//! Free ports that stay free.
//!
//! Asking the system for any port gives one out of the range it also takes for outgoing connections:
//! while a server is down between a stop and a restart, a connect to somewhere else may take its
//! port. So ports are drawn below that range and tried.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Below 32768, where Linux begins to number outgoing connections, and above what services use.
const FIRST: u16 = 12_000;
const LAST: u16 = 32_000;

/// The address of `port` on this machine.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A port nobody listens on now. Another process may draw the same: who cannot bind draws again.
pub(crate) fn draw() -> u16 {
    loop {
        let random = RandomState::new().hash_one(());
        let offset = u16::try_from(random % u64::from(LAST - FIRST)).unwrap_or(0);
        if is_free(FIRST + offset) {
            return FIRST + offset;
        }
    }
}

/// Whether a listener can be bound to `port`.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind(local(port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_somebody_listens_on_is_not_free() {
        let listener = TcpListener::bind(local(0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        drop(listener);
        assert!(is_free(port));
    }

    #[test]
    fn drawn_ports_are_out_of_the_way_of_outgoing_connections() {
        for _ in 0..100 {
            assert!((FIRST..LAST).contains(&draw()));
        }
    }
}
