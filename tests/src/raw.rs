//! Clients below HTTP libraries: ones that read nothing, or little, and ones that send what no library would.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::programs::Gateway;
use crate::stream::PATH;
use crate::wait::{PATIENCE, within};

/// A connection on which a stream was asked for.
#[derive(Debug)]
pub struct Raw {
    socket: TcpStream,
}

impl Raw {
    /// Connects with a receive buffer of about so many bytes and sends `request`.
    ///
    /// # Panics
    /// Where nobody takes the connection.
    pub async fn send(gateway: &Gateway, receive_buffer: u32, request: &[u8]) -> Self {
        let address: SocketAddr = gateway.address().parse().expect("an address");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(receive_buffer).expect("a buffer size");
        let mut socket =
            within("a connection", PATIENCE, socket.connect(address)).await.expect("a connection");
        socket.write_all(request).await.expect("a request can be sent");
        Self { socket }
    }

    /// Asks for a stream of a query and reads nothing of it.
    pub async fn stream(gateway: &Gateway, receive_buffer: u32, query: &str, interval: u16) -> Self {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let request = format!(
            "GET {PATH}?query={query}&interval={interval} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n",
            gateway.address()
        );
        Self::send(gateway, receive_buffer, request.as_bytes()).await
    }

    /// Reads up to so many bytes, waiting for some; nothing at the end.
    pub async fn read(&mut self, bytes: usize) -> Vec<u8> {
        let mut buffer = vec![0; bytes];
        let read = within("bytes, or the end", 2 * PATIENCE, self.socket.read(&mut buffer)).await;
        // A reset is an end too.
        buffer.truncate(read.unwrap_or(0));
        buffer
    }

    /// Reads to the end; for how long at most is the caller's to say.
    ///
    /// # Panics
    /// Where there is no end within `limit`.
    pub async fn read_to_end(&mut self, limit: Duration) -> Vec<u8> {
        let mut all = Vec::new();
        let end = within("the end of the connection", limit, self.socket.read_to_end(&mut all)).await;
        // What came before a reset counts as read.
        end.ok();
        all
    }
}
