//! `bench-part upstream SERIES` and `bench-part clients ADDRESS,… CONNECTIONS TOPICS OF INTERVAL`: the parts that
//! the benchmarks start as processes of their own.
#![expect(clippy::expect_used, clippy::panic, reason = "a part of a benchmark fails by panicking")]

use e2e::part::{Crowd, clients, upstream};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["upstream", series] => upstream(number(series)).await,
        ["clients", addresses, connections, topics, of, interval] => {
            let crowd = Crowd {
                connections: number(connections),
                topics: number(topics),
                of: number(of),
                interval: interval.parse().expect("seconds"),
            };
            clients(addresses.split(',').map(str::to_owned).collect(), crowd).await;
        }
        _ => panic!("bench-part is started by a benchmark, not with {arguments:?}"),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}
