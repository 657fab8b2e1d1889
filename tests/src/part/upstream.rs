//! An upstream that answers at once: it reads a request, notes when it came, and writes bytes that were made before.
//!
//! By hand, because a library would do more for each request than the poller that is measured.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

use super::{Asked, millis, now};

type Shared = Rc<RefCell<Asked>>;

/// Serves until the process is ended.
///
/// # Panics
/// Where no port is free.
#[expect(clippy::print_stdout, reason = "whoever starts this process reads where it listens")]
pub async fn upstream(series: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("listening on {}", listener.local_addr().expect("a bound listener has an address"));
    let (asked, answer) = (Shared::default(), Rc::<[u8]>::from(response(&document(series))));
    let serve = async {
        loop {
            let (socket, _) = listener.accept().await.expect("a connection");
            socket.set_nodelay(true).expect("a socket option");
            spawn_local(converse(socket, asked.clone(), answer.clone()));
        }
    };
    LocalSet::new().run_until(serve).await;
}

async fn converse(mut socket: TcpStream, asked: Shared, answer: Rc<[u8]>) {
    let mut buffer = Vec::with_capacity(4 * 1024);
    while let Ok(1..) = socket.read_buf(&mut buffer).await {
        while let Some(length) = complete(&buffer) {
            let request: Vec<u8> = buffer.drain(..length).collect();
            let began = now();
            let written = if request.starts_with(b"GET /take ") {
                socket.write_all(&take(&asked)).await
            } else {
                let written = socket.write_all(&answer).await;
                note(&asked, &request, began);
                written
            };
            if written.is_err() {
                return;
            }
        }
    }
}

fn note(asked: &Shared, request: &[u8], began: i64) {
    let mut asked = asked.borrow_mut();
    asked.queries += 1;
    if let Some(tick) = time(request) {
        asked.lateness.push(millis(began - 1_000 * tick));
    }
    asked.answering.push(1e3 * millis(now() - began));
}

/// Everything since the last time, sorted.
fn take(asked: &Shared) -> Vec<u8> {
    let mut asked = asked.take();
    asked.lateness.sort_by(f64::total_cmp);
    asked.answering.sort_by(f64::total_cmp);
    response(&serde_json::to_string(&asked).expect("numbers are JSON"))
}

fn response(body: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
    format!("{head}{}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The length of the first request, if it is here as a whole.
fn complete(buffer: &[u8]) -> Option<usize> {
    let head = find(buffer, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(buffer.get(..head)?).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let whole = head + length.unwrap_or_default();
    (buffer.len() >= whole).then_some(whole)
}

/// The parameter `time` of a form, in milliseconds.
fn time(request: &[u8]) -> Option<i64> {
    let from = find(request, b"&time=")? + 6;
    let value: String =
        request.get(from..)?.iter().take_while(|byte| **byte != b'&').map(|byte| char::from(*byte)).collect();
    let (seconds, millis) = value.split_once('.')?;
    Some(seconds.parse::<i64>().ok()? * 1_000 + millis.parse::<i64>().ok()?)
}

fn find(buffer: &[u8], wanted: &[u8]) -> Option<usize> {
    buffer.windows(wanted.len()).position(|window| window == wanted)
}

/// Eight series have about 2 KB.
fn document(series: usize) -> String {
    let mut result = String::new();
    for number in 0..series {
        let (between, node, gpu) = (if number == 0 { "" } else { "," }, number / 8, number % 8);
        write!(
            result,
            r#"{between}{{"metric":{{"__name__":"DCGM_FI_DEV_GPU_UTIL","DCGM_FI_DRIVER_VERSION":"580.95.05","UUID":"GPU-{number:08x}","device":"nvidia{gpu}","gpu":"{gpu}","hostname":"gpu-worker-{node:04}","instance":"gpu-worker-{node:04}:9400","job":"dcgm","modelName":"NVIDIA H200"}},"value":[1764000000.007,"{}"]}}"#,
            40 + number % 60
        )
        .expect("text grows");
    }
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_complete_with_its_body() {
        let request = b"POST /api/v1/query HTTP/1.1\r\nhost: x\r\ncontent-length: 34\r\n\r\nquery=up&time=1764000003.007&timeo";
        assert_eq!(complete(request), Some(request.len()));
        assert_eq!(complete(&request[..request.len() - 1]), None);
        assert_eq!(time(request), Some(1_764_000_003_007));
    }

    #[test]
    fn the_answer_is_json_of_so_many_series() {
        let answer: serde_json::Value = serde_json::from_str(&document(10)).unwrap();
        assert_eq!(answer["data"]["result"].as_array().unwrap().len(), 10);
        assert!((1_900..2_400).contains(&document(8).len()), "{}", document(8).len());
    }
}
