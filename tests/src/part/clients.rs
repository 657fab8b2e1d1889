//! Clients that read streams and note when each update came: one thread, a task for each, one buffer for all.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::{Crowd, Read, Seen, now};

/// What an update begins with, up to its topic.
const BEGIN: &[u8] = b"event: metric-update\ndata: {\"topic\":\"";

/// Characters of a topic's key, what stands between it and the tick, and the digits of a tick.
const KEY: usize = 26;
const BETWEEN: &[u8] = b"\",\"tick\":";
const DIGITS: usize = 13;

/// Bytes from the begin of an update to the end of its tick.
const MARK: usize = BEGIN.len() + KEY + BETWEEN.len() + DIGITS;

/// What is read at once.
const BUFFER: usize = 256 * 1024;

/// Connections opened at once; the accept queue of a listener is short.
const OPENED_AT_ONCE: usize = 64;

struct Reading {
    read: Read,
    buffer: Vec<u8>,
}

type Shared = Rc<RefCell<Reading>>;

/// Opens all connections, at these addresses in turn, and reads until the process is ended.
///
/// # Panics
/// Where no port is free, or a connection is refused.
#[expect(clippy::print_stdout, reason = "whoever starts this process reads where it listens")]
pub async fn clients(addresses: Vec<String>, crowd: Crowd) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("listening on {}", listener.local_addr().expect("a bound listener has an address"));
    let shared = Rc::new(RefCell::new(Reading { read: Read::default(), buffer: vec![0; BUFFER] }));
    let work = async {
        let mut opening = spawn_local(open(addresses, crowd, shared.clone()));
        let mut all = false;
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (socket, _) = accepted.expect("a connection");
                    spawn_local(tell(socket, shared.clone()));
                }
                opened = &mut opening, if !all => {
                    opened.expect("all connections can be opened");
                    all = true;
                }
            }
        }
    };
    LocalSet::new().run_until(work).await;
}

async fn open(addresses: Vec<String>, crowd: Crowd, shared: Shared) {
    for number in 0..crowd.connections {
        let address = &addresses[number % addresses.len()];
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        socket.write_all(crowd.request(number, address).as_bytes()).await.expect("a request can be sent");
        spawn_local(listen(socket, shared.clone()));
        if number % OPENED_AT_ONCE == OPENED_AT_ONCE - 1 {
            while shared.borrow().read.open + OPENED_AT_ONCE <= number {
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

async fn listen(socket: TcpStream, shared: Shared) {
    let mut kept = Vec::new();
    let mut greeted = false;
    while socket.readable().await.is_ok() {
        let mut shared = shared.borrow_mut();
        let Reading { read, buffer } = &mut *shared;
        match socket.try_read(buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
            Ok(count) => {
                assert!(
                    greeted || buffer.starts_with(b"HTTP/1.1 200"),
                    "{}",
                    String::from_utf8_lossy(&buffer[..count])
                );
                read.open += usize::from(!greeted);
                greeted = true;
                read.bytes += count as u64;
                scan(&mut kept, &buffer[..count], now(), &mut read.updates);
            }
        }
    }
    shared.borrow_mut().read.open -= usize::from(greeted);
}

/// Notes the updates whose begin is in what was kept of the last piece and this one; keeps what may be the begin of another.
fn scan(kept: &mut Vec<u8>, piece: &[u8], at: i64, updates: &mut Vec<Seen>) {
    kept.extend_from_slice(piece);
    let mut from = 0;
    while let Some(found) = find(&kept[from..]) {
        let begin = from + found;
        let Some(mark) = kept.get(begin..begin + MARK) else {
            from = begin;
            break;
        };
        from = begin + MARK;
        let (key, rest) = mark[BEGIN.len()..].split_at(KEY);
        let tick =
            rest.strip_prefix(BETWEEN).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        if let Some(tick) = tick {
            updates.push(Seen { topic: String::from_utf8_lossy(key).into_owned(), tick, at });
        }
    }
    let keep = from.max(kept.len().saturating_sub(MARK));
    kept.drain(..keep);
}

fn find(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    // The first byte is rare enough, and this is far quicker than to compare at each place.
    while let Some(next) = text[from..].iter().position(|byte| *byte == BEGIN[0]) {
        let rest = &text[from + next..];
        if rest.starts_with(BEGIN) || (rest.len() < BEGIN.len() && BEGIN.starts_with(rest)) {
            return Some(from + next);
        }
        from += next + 1;
    }
    None
}

async fn tell(mut socket: TcpStream, shared: Shared) {
    let mut request = vec![0; 4 * 1024];
    while let Ok(count @ 1..) = socket.read(&mut request).await {
        let body = if request[..count].starts_with(b"GET /take ") {
            let read = &mut shared.borrow_mut().read;
            let open = read.open;
            let taken = std::mem::replace(read, Read { open, ..Read::default() });
            serde_json::to_string(&taken).expect("what was read is JSON")
        } else {
            shared.borrow().read.open.to_string()
        };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = "event: metric-update\ndata: {\"topic\":\"c5uave30lhlt6q138i7i9djv28\",\"tick\":1764000003007,\"took_ms\":1,\"data\":{}}\nid: 7\n\n";

    #[test]
    fn an_update_is_seen_once_wherever_it_is_cut() {
        let text = format!("3a\r\n{EVENT}\r\n3a\r\n{EVENT}\r\n");
        for cut in 0..text.len() {
            let (mut kept, mut updates) = (Vec::new(), Vec::new());
            scan(&mut kept, &text.as_bytes()[..cut], 1, &mut updates);
            scan(&mut kept, &text.as_bytes()[cut..], 2, &mut updates);
            assert_eq!(updates.len(), 2, "cut at {cut}");
            assert!(updates.iter().all(|seen| seen.tick == 1_764_000_003_007));
            assert_eq!(updates[0].topic, "c5uave30lhlt6q138i7i9djv28");
        }
    }

    #[test]
    fn byte_by_byte_too() {
        let (mut kept, mut updates) = (Vec::new(), Vec::new());
        for byte in EVENT.repeat(3).as_bytes() {
            scan(&mut kept, &[*byte], 1, &mut updates);
        }
        assert_eq!(updates.len(), 3);
        assert!(kept.len() <= MARK);
    }
}
