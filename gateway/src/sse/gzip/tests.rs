//! Whatever a connection is sent, and in which order, a reader of gzip gets it back to the byte.

use std::io::Read;

use flate2::read::GzDecoder;
use proptest::prelude::*;

use super::*;

/// What a connection is sent.
#[derive(Clone, Debug)]
enum Sent {
    /// One of the shared texts.
    Text(usize),
    /// Bytes of its own.
    Own(Vec<u8>),
}

/// Series of which some change from tick to tick.
fn text(topic: usize, tick: usize) -> Text {
    let series = (0..64).map(|gpu| {
        let (uuid, value) = (gpu * 7_919_777 % 10_000_019, if gpu % 3 == 0 { gpu * tick % 101 } else { gpu });
        format!(r#"{{"uuid":"GPU-{uuid}","topic":"{topic}"}} {value}"#)
    });
    Text::new(&[series.collect::<String>().as_bytes()])
}

/// What one connection gets on the wire, with the end of the stream.
fn wire(texts: &[Text], sent: &[Sent]) -> Vec<u8> {
    let (mut gzip, mut wire) = (Gzip::default(), HEAD.to_vec());
    for sent in sent {
        let piece = match sent {
            Sent::Text(index) => gzip.text(&texts[*index]),
            Sent::Own(bytes) => gzip.own(bytes),
        };
        wire.extend_from_slice(piece.bare());
    }
    wire.extend_from_slice(gzip.end().bare());
    wire
}

fn plain(texts: &[Text], sent: &[Sent]) -> Vec<u8> {
    let bytes = sent.iter().flat_map(|sent| match sent {
        Sent::Text(index) => texts[*index].to_vec(),
        Sent::Own(bytes) => bytes.clone(),
    });
    bytes.collect()
}

fn unzipped(wire: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    // It checks the trailer, too.
    GzDecoder::new(wire).read_to_end(&mut plain).unwrap();
    plain
}

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let own = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(prop::num::u8::ANY, 200..3_000),
    ];
    prop::collection::vec(
        prop_oneof![3 => (0..12usize).prop_map(Sent::Text), 1 => own.prop_map(Sent::Own)],
        0..30,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_of_many_connections_gets_back_what_it_was_sent(connections in prop::collection::vec(sent(), 1..5)) {
        let texts: Vec<_> = (0..12).map(|number| text(number % 3, number / 3)).collect();
        for sent in connections {
            prop_assert_eq!(unzipped(&wire(&texts, &sent)), plain(&texts, &sent));
        }
    }

    #[test]
    fn texts_of_any_bytes_and_sizes_come_back(sizes in prop::collection::vec(0..100_000usize, 1..5), zero in any::<bool>()) {
        let byte = |at: usize, size: usize| u8::try_from((at * at / 7 + size) % 97).unwrap() + u8::from(!zero);
        let texts: Vec<_> =
            sizes.iter().map(|size| Text::new(&[&(0..*size).map(|at| byte(at, *size)).collect::<Vec<_>>()])).collect();
        let sent: Vec<_> = (0..texts.len()).map(Sent::Text).collect();
        prop_assert_eq!(unzipped(&wire(&texts, &sent)), plain(&texts, &sent));
    }
}

#[test]
fn what_came_before_makes_an_event_small_and_is_made_once() {
    let (first, second) = (text(1, 1), text(1, 2));
    let [mut one, mut other] = [Gzip::default(), Gzip::default()];
    let fresh = one.text(&first);
    other.text(&first);
    let (ours, theirs) = (one.text(&second), other.text(&second));
    assert!(
        ours.bare().len() * 2 < fresh.bare().len(),
        "{} bytes behind the first, which had {}",
        ours.bare().len(),
        fresh.bare().len()
    );
    assert_eq!(ours.bare().as_ptr(), theirs.bare().as_ptr(), "the same bytes");
    let mut newcomer = Gzip::default();
    assert_ne!(newcomer.text(&second).bare().as_ptr(), ours.bare().as_ptr());
    assert_eq!(second.zipped_size(), ours.chunk().len() + second.zipped(None).1.chunk().len());
}

#[test]
fn bytes_in_between_do_not_part_those_who_were_sent_as_many() {
    let (first, second) = (text(1, 1), text(1, 2));
    let after = |own: &[u8]| {
        let mut gzip = Gzip::default();
        gzip.text(&first);
        gzip.own(own);
        gzip.text(&second).bare().as_ptr()
    };
    assert_eq!(after(b"id: 1\n\n"), after(b"id: 2\n\n"));
    assert_ne!(after(b"id: 1\n\n"), after(b"id: 10\n\n"));
}

#[test]
fn a_text_holds_so_many_forms_and_no_more() {
    let (first, second) = (text(1, 1), text(1, 2));
    for gap in 0..100 {
        let sent = [Sent::Text(0), Sent::Own(vec![b'x'; gap]), Sent::Text(1)];
        let texts = [first.clone(), second.clone()];
        assert_eq!(unzipped(&wire(&texts, &sent)), plain(&texts, &sent));
    }
    let block = second.zipped(None).1.chunk().len();
    assert!(second.zipped_size() <= 9 * block, "{} bytes for blocks of {block}", second.zipped_size());
}
