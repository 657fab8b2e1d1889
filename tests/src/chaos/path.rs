//! A TCP path that the tests own: it can be cut, slowed down, or fall silent with nobody told.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// How the path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Bytes arrive, so much later than they were sent.
    Open(Duration),
    /// Connections are reset, and new ones too.
    Cut,
    /// Nothing arrives, and no end is told: as where a firewall drops packets.
    Silent,
}

/// A path to one address.
#[derive(Debug)]
pub struct Path {
    address: SocketAddr,
    condition: watch::Sender<Condition>,
    _server: JoinSet<()>,
}

impl Path {
    /// Opens one to `target`, which is `host:port`.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (condition, seen) = watch::channel(Condition::Open(Duration::ZERO));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, target.to_owned(), seen));
        Self { address, condition, _server: server }
    }

    /// Where it begins: `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Makes it so, for connections that there are and new ones.
    pub fn set(&self, condition: Condition) {
        self.condition.send_replace(condition);
    }
}

async fn serve(listener: TcpListener, target: String, condition: watch::Receiver<Condition>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((near, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        connections.spawn(carry(near, target.clone(), condition.clone()));
    }
}

/// Carries one connection until an end closes it or the path is cut.
async fn carry(near: TcpStream, target: String, mut condition: watch::Receiver<Condition>) {
    if *condition.borrow() == Condition::Cut {
        return reset(&near);
    }
    if condition.wait_for(|now| *now != Condition::Silent).await.is_err() {
        return;
    }
    let Ok(far) = TcpStream::connect(&target).await else { return reset(&near) };
    for end in [&near, &far] {
        end.set_nodelay(true).ok();
    }
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let cut = async {
        condition.clone().wait_for(|now| *now == Condition::Cut).await.ok();
    };
    tokio::select! {
        () = pass(near_in, far_out, condition.clone()) => {}
        () = pass(far_in, near_out, condition.clone()) => {}
        () = cut => {}
    }
    // Whichever way it ended, both ends are dropped here; unread bytes make that a reset.
}

fn reset(socket: &TcpStream) {
    socket.set_zero_linger().ok();
}

/// Passes bytes on as the condition says, until the sender ends.
async fn pass(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    mut condition: watch::Receiver<Condition>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let arrived = Instant::now();
        // What was on the way when the path fell silent arrives when it is there again, as TCP has it.
        let Ok(Condition::Open(delay)) =
            condition.wait_for(|now| *now != Condition::Silent).await.map(|now| *now)
        else {
            return;
        };
        if !delay.is_zero() {
            sleep_until(arrived + delay).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::{PATIENCE, within};

    /// A path to somebody who sends back what comes, and a connection over it.
    async fn echo() -> (Path, TcpStream, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let mut server = JoinSet::new();
        server.spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (mut read, mut write) = socket.split();
                tokio::io::copy(&mut read, &mut write).await.ok();
            }
        });
        let path = Path::to(&target).await;
        let socket = TcpStream::connect(path.address()).await.unwrap();
        (path, socket, server)
    }

    async fn ask(socket: &mut TcpStream) -> std::io::Result<u8> {
        socket.write_u8(7).await?;
        within("the echo", PATIENCE, socket.read_u8()).await
    }

    #[tokio::test]
    async fn a_cut_path_resets_what_there_is_and_what_comes() {
        let (path, mut socket, _server) = echo().await;
        assert_eq!(ask(&mut socket).await.unwrap(), 7);
        path.set(Condition::Cut);
        assert!(within("the end", PATIENCE, socket.read_u8()).await.is_err());
        let mut next = TcpStream::connect(path.address()).await.unwrap();
        assert!(ask(&mut next).await.is_err());
        path.set(Condition::Open(Duration::ZERO));
        let mut next = TcpStream::connect(path.address()).await.unwrap();
        assert_eq!(ask(&mut next).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_silent_path_holds_everything_until_it_is_open_again() {
        let (path, mut socket, _server) = echo().await;
        path.set(Condition::Silent);
        socket.write_u8(7).await.unwrap();
        let held = tokio::time::timeout(Duration::from_millis(200), socket.read_u8()).await;
        assert!(held.is_err(), "something came through");
        path.set(Condition::Open(Duration::ZERO));
        assert_eq!(within("the echo", PATIENCE, socket.read_u8()).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_slow_path_is_slow_in_both_directions() {
        let (path, mut socket, _server) = echo().await;
        path.set(Condition::Open(Duration::from_millis(100)));
        let before = Instant::now();
        assert_eq!(ask(&mut socket).await.unwrap(), 7);
        assert!(before.elapsed() >= Duration::from_millis(200));
    }
}
