//! The fault proxy, between a connection and a PostgreSQL, or a listener that says what it saw.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is the failure, also in what helps a test"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use pool_servers::{FaultProxy, Postgres, Session, SessionError, eventually};

/// Longer than a test waits for what is to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A proxy, a connection through it, and that connection's other end.
fn pair() -> (FaultProxy, TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = FaultProxy::start(listener.local_addr().unwrap()).unwrap();
    let client = connect(&proxy);
    let (server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    eventually("the connect is entered", || proxy.open() == 1);
    (proxy, listener, client, server)
}

fn connect(proxy: &FaultProxy) -> TcpStream {
    let client = TcpStream::connect(proxy.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

fn read(stream: &mut TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Asserts that nothing comes for a moment: what is held back cannot be waited for.
fn nothing_comes(stream: &mut TcpStream) {
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
}

fn is_alive(session: &mut Session) -> bool {
    session.query("SELECT 1").is_ok()
}

#[test]
fn it_forwards_both_ways_and_passes_each_end_on() {
    let (proxy, _listener, mut client, mut server) = pair();

    client.write_all(b"question").unwrap();
    assert_eq!(read(&mut server, 8), "question");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    server.write_all(b"answer").unwrap();
    assert_eq!(read(&mut client, 6), "answer");
    drop(server);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);

    eventually("the connection is entered as closed", || proxy.open() == 0);
}

#[test]
fn a_session_to_a_real_server_lives_through_it() {
    let server = Postgres::new().start().unwrap();
    let proxy = FaultProxy::before(&server).unwrap();

    let mut session = server.session_at(proxy.address()).unwrap();

    assert!(is_alive(&mut session));
    assert_eq!(
        server.url_at(proxy.address()),
        format!("postgres://postgres@{}/postgres", proxy.address())
    );
    assert_eq!(
        (proxy.attempted(), proxy.accepted(), proxy.open()),
        (1, 1, 1)
    );
    drop(session);
    eventually("the session is entered as closed", || proxy.open() == 0);
}

#[test]
fn a_delay_holds_each_direction_for_so_long() {
    let (proxy, _listener, mut client, mut server) = pair();
    let delay = Duration::from_millis(30);
    proxy.delay(delay);

    let asked = Instant::now();
    client.write_all(b"?").unwrap();
    read(&mut server, 1);
    assert!(asked.elapsed() >= delay);
    server.write_all(b"!").unwrap();
    read(&mut client, 1);
    assert!(asked.elapsed() >= 2 * delay);

    // What a long delay holds, its end lets go.
    proxy.delay(PATIENCE * 10);
    client.write_all(b"?").unwrap();
    nothing_comes(&mut server);
    proxy.forward().unwrap();
    read(&mut server, 1);
}

#[test]
fn a_cut_resets_every_present_connection_on_both_sides_and_no_later_one() {
    let (proxy, listener, mut client, mut server) = pair();

    proxy.cut();

    assert_eq!(proxy.open(), 0);
    for end in [&mut client, &mut server] {
        assert_eq!(
            end.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::ConnectionReset
        );
    }
    let mut client = connect(&proxy);
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"?").unwrap();
    read(&mut server, 1);
}

#[test]
fn a_half_close_ends_what_the_server_says_and_not_what_it_hears() {
    let (proxy, _listener, mut client, mut server) = pair();

    proxy.half_close();

    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    client.write_all(b"still here").unwrap();
    assert_eq!(read(&mut server, 10), "still here");
    drop(client);
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    eventually("the connection is entered as closed", || proxy.open() == 0);
}

#[test]
fn a_black_hole_holds_present_and_new_connections_until_it_ends() {
    let (proxy, listener, mut client, mut server) = pair();

    proxy.black_hole();

    client.write_all(b"old").unwrap();
    server.write_all(b"answer").unwrap();
    nothing_comes(&mut server);
    nothing_comes(&mut client);
    let mut new = connect(&proxy);
    new.write_all(b"new").unwrap();
    eventually("the new connect is entered", || proxy.attempted() == 2);
    assert_eq!(proxy.accepted(), 1);

    proxy.forward().unwrap();
    assert_eq!(read(&mut server, 3), "old");
    assert_eq!(read(&mut client, 6), "answer");
    let (mut server, _) = listener.accept().unwrap();
    assert_eq!(read(&mut server, 3), "new");
}

#[test]
fn a_black_hole_can_be_cut() {
    let (proxy, _listener, mut client, _server) = pair();
    proxy.black_hole();
    proxy.cut();
    assert_eq!(
        client.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
}

#[test]
fn refused_connects_fail_at_once_and_the_port_comes_back() {
    let (proxy, listener, mut client, mut server) = pair();

    for _ in 0..3 {
        proxy.refuse().unwrap();
        let error = TcpStream::connect(proxy.address()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        // Who is in stays in.
        client.write_all(b"?").unwrap();
        read(&mut server, 1);

        proxy.forward().unwrap();
        connect(&proxy);
        listener.accept().unwrap();
    }
    eventually("refused connects are not counted", || {
        proxy.attempted() == 4
    });
}

#[test]
fn after_so_many_bytes_an_answer_ends_in_its_middle() {
    let (proxy, listener, mut client, mut server) = pair();

    proxy.drop_after(4);

    server.write_all(b"truncated").unwrap();
    assert_eq!(read(&mut client, 4), "trun");
    assert_eq!(client.read(&mut [0]).unwrap(), 0);

    // The next connection has four bytes of its own.
    let mut client = connect(&proxy);
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"a question is not counted").unwrap();
    read(&mut server, 25);
    server.write_all(b"1234").unwrap();
    assert_eq!(read(&mut client, 4), "1234");
    server.write_all(b"5").unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn each_order_to_drop_counts_anew() {
    let (proxy, _listener, mut client, mut server) = pair();
    for _ in 0..2 {
        proxy.drop_after(4);
        server.write_all(b"123").unwrap();
        assert_eq!(read(&mut client, 3), "123");
        proxy.forward().unwrap();
    }
}

#[test]
fn a_server_that_refuses_is_a_reset_for_the_client_and_no_accepted_connect() {
    let (proxy, listener, ..) = pair();
    drop(listener);

    let mut client = connect(&proxy);

    assert_eq!(
        client.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    eventually("the connect is entered as closed", || {
        proxy
            .connects()
            .last()
            .is_some_and(|connect| connect.closed.is_some())
    });
    assert_eq!((proxy.attempted(), proxy.accepted()), (2, 1));
}

#[test]
fn each_connect_is_entered_with_its_times() {
    let began = Instant::now();
    let (proxy, _listener, client, server) = pair();
    drop((client, server));
    eventually("the connection is entered as closed", || proxy.open() == 0);

    let connects = proxy.connects();

    let [connect] = connects[..] else {
        panic!("{connects:?}")
    };
    let (accepted, closed) = (connect.accepted.unwrap(), connect.closed.unwrap());
    assert!(began <= connect.attempted && connect.attempted <= accepted && accepted <= closed);
}

#[test]
fn a_dropped_proxy_ends_its_connections_and_frees_its_port() {
    let (proxy, _listener, mut client, mut server) = pair();
    let address = proxy.address();

    drop(proxy);

    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    assert!(matches!(server.read(&mut [0]), Ok(0) | Err(_)));
    assert!(TcpStream::connect(address).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_test_on_the_paused_clock_can_give_orders() {
    let (proxy, _listener, ..) = pair();
    proxy.refuse().unwrap();
    proxy.forward().unwrap();
    proxy.cut();
    assert_eq!(proxy.open(), 0);
}

#[test]
fn hundreds_of_connects_pass_and_are_all_counted() {
    let server = Postgres::new().start().unwrap();
    let proxy = FaultProxy::before(&server).unwrap();

    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    drop(server.session_at(proxy.address()).unwrap());
                }
            });
        }
    });

    assert_eq!((proxy.attempted(), proxy.accepted()), (400, 400));
    eventually("all are entered as closed", || proxy.open() == 0);
}

#[test]
fn a_query_in_flight_is_told_of_the_cut() {
    let server = Postgres::new().start().unwrap();
    let proxy = FaultProxy::before(&server).unwrap();
    let mut session = server.session_at(proxy.address()).unwrap();
    let id = session.id();

    let asking = thread::spawn(move || session.query("SELECT pg_sleep(60)"));
    eventually("the query runs", || {
        let sql = format!("SELECT state FROM pg_stat_activity WHERE pid = {id}");
        server.query(&sql).unwrap() == [[Some("active".to_owned())]]
    });
    proxy.cut();

    assert!(matches!(asking.join().unwrap(), Err(SessionError::Io(_))));
}

#[test]
fn a_redirect_leads_new_connects_elsewhere_and_leaves_present_ones() {
    let old = Postgres::new().start().unwrap();
    let new = Postgres::new().start().unwrap();
    let proxy = FaultProxy::before(&old).unwrap();
    let port = |session: &mut Session| session.query("SHOW port").unwrap().remove(0).remove(0);
    let mut before = old.session_at(proxy.address()).unwrap();

    proxy.redirect(&new);

    let mut after = old.session_at(proxy.address()).unwrap();
    assert_eq!(port(&mut before), Some(old.address().port().to_string()));
    assert_eq!(port(&mut after), Some(new.address().port().to_string()));
    proxy.cut();
    assert!(!is_alive(&mut before));
}

#[test]
fn a_connect_that_is_held_goes_where_the_proxy_leads_when_it_is_let_through() {
    let old = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let new = Postgres::new().start().unwrap();
    let proxy = FaultProxy::start(old.local_addr().unwrap()).unwrap();
    proxy.black_hole();
    let address = proxy.address();

    let session = thread::scope(|scope| {
        let held = scope.spawn(|| new.session_at(address));
        eventually("the connect is held", || proxy.attempted() == 1);
        proxy.redirect(&new);
        proxy.forward().unwrap();
        held.join().unwrap()
    });

    assert!(is_alive(&mut session.unwrap()));
}
