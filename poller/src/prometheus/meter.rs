//! Counts the series of an answer while its bytes come in, so that a result over the limit is never read to its end.
//!
//! A series is an object that is an element of the array `result` of the object `data` of the document. The scanner
//! follows brackets and strings and nothing more: what it reads may still turn out not to be JSON.

/// The longest spelling of a key that matters: the six characters of `result`, each as `\uXXXX`.
const KEY_MAX: usize = 6 * 6;

/// A scanner that is fed an answer in pieces, cut anywhere.
#[derive(Debug, Default)]
pub struct Meter {
    series: usize,
    /// Brackets that are open.
    depth: usize,
    /// How many of them lie on the way to the series: the document, its `data`, the `result` of that.
    path: usize,
    string: Option<Text>,
    /// Whether a string that starts now in the innermost object on the way is a key.
    expect_key: bool,
    /// Whether the last key read there leads on.
    leads_on: bool,
}

/// A string that is being read.
#[derive(Debug)]
struct Text {
    escaped: bool,
    /// Its bytes so far, where it is a key that matters.
    key: Option<Vec<u8>>,
}

impl Meter {
    /// Reads the next piece and gives the number of series that have begun so far.
    pub fn feed(&mut self, mut piece: &[u8]) -> usize {
        while let Some((&byte, rest)) = piece.split_first() {
            piece = match self.string.take() {
                None => {
                    self.structure(byte);
                    rest
                }
                Some(text) => self.text(text, piece),
            };
        }
        self.series
    }

    /// One byte outside strings.
    fn structure(&mut self, byte: u8) {
        let here = self.depth == self.path;
        match byte {
            b'"' => {
                let key = (here && matches!(self.path, 1 | 2) && self.expect_key).then(Vec::new);
                self.string = Some(Text { escaped: false, key });
            }
            b'{' | b'[' => self.open(byte, here),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth < self.path {
                    self.path = self.depth;
                    self.expect_key = false;
                    self.leads_on = false;
                }
            }
            b',' if here => {
                self.expect_key = true;
                self.leads_on = false;
            }
            b':' if here => self.expect_key = false,
            _ => {}
        }
    }

    fn open(&mut self, bracket: u8, here: bool) {
        let value = self.leads_on && !self.expect_key;
        match (self.path, bracket) {
            (0, b'{') if here => self.step(),
            (1, b'{') | (2, b'[') if here && value => self.step(),
            (3, b'{') if here => self.series += 1,
            _ => {}
        }
        self.depth += 1;
    }

    fn step(&mut self) {
        self.path += 1;
        self.expect_key = true;
        self.leads_on = false;
    }

    /// Bytes of a string up to its next turn; gives what is left of the piece.
    fn text<'a>(&mut self, mut text: Text, piece: &'a [u8]) -> &'a [u8] {
        let turn = piece.iter().position(|byte| text.escaped || matches!(byte, b'"' | b'\\'));
        let (plain, rest) = piece.split_at(turn.unwrap_or(piece.len()));
        text.keep(plain);
        let Some((&turn, rest)) = rest.split_first() else {
            self.string = Some(text);
            return rest;
        };
        if turn == b'"' && !text.escaped {
            self.leads_on |=
                text.key.is_some_and(|key| spells(&key, if self.path == 1 { "data" } else { "result" }));
        } else {
            text.keep(&[turn]);
            text.escaped = !text.escaped;
            self.string = Some(text);
        }
        rest
    }
}

impl Text {
    fn keep(&mut self, bytes: &[u8]) {
        if let Some(key) = &mut self.key {
            key.extend_from_slice(bytes.get(..bytes.len().min(KEY_MAX + 1)).unwrap_or_default());
            if key.len() > KEY_MAX {
                self.key = None;
            }
        }
    }
}

/// Whether the inside of a JSON string stands for `word`.
fn spells(raw: &[u8], word: &str) -> bool {
    if !raw.contains(&b'\\') {
        return raw == word.as_bytes();
    }
    let quoted = [b"\"", raw, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).is_ok_and(|text| text == word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn count(text: &str) -> usize {
        Meter::default().feed(text.as_bytes())
    }

    fn expected(document: &Value) -> usize {
        let elements =
            document.as_object().and_then(|o| o.get("data")?.as_object()?.get("result")?.as_array());
        elements.map_or(0, |elements| elements.iter().filter(|element| element.is_object()).count())
    }

    #[test]
    fn only_elements_of_the_result_count() {
        assert_eq!(count(r#"{"status":"success","data":{"resultType":"vector","result":[{"a":{}},{}]}}"#), 2);
        assert_eq!(count(r#"{"data":{"resultType":"scalar","result":[1,"2"]}}"#), 0);
        assert_eq!(count(r#"{"x":{"result":[{}]},"data":{"x":[{}],"result":[]},"result":[{}]}"#), 0);
        assert_eq!(count(r#"{"data":"data","result":[{}],"x":"data"}"#), 0);
        assert_eq!(count(r#"[{"data":{"result":[{}]}}]"#), 0);
    }

    #[test]
    fn brackets_and_keys_inside_strings_are_text() {
        assert_eq!(count(r#"{"data":{"result":[{"a":"\"},{\\"},{"b":"]}"}]}}"#), 2);
        assert_eq!(count(r#"{"d\u0061ta":{"\u0072\u0065\u0073\u0075\u006c\u0074":[{},{}]}}"#), 2);
    }

    #[test]
    fn a_document_that_goes_on_is_counted_as_far_as_it_came() {
        assert_eq!(count(r#"{"data":{"result":[{"metric":{}},{"metr"#), 2);
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![3 => Just("data".to_owned()), 3 => Just("result".to_owned()), 1 => any::<String>()]
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\"\\\\{}\\[\\],:]{0,8}".prop_map(Value::from),
            key().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((key(), inner), 0..4)
                    .prop_map(|pairs| Value::from(pairs.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    /// A document that has what is looked for, among other things.
    fn answer() -> impl Strategy<Value = Value> {
        (json(), json(), prop::collection::vec(json(), 0..8)).prop_map(|(before, after, elements)| {
            serde_json::json!({"a": before, "data": {"b": after, "result": elements, "z": before}, "y": after})
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_parser_however_the_bytes_are_cut(
            document in prop_oneof![json(), answer()],
            pretty: bool,
            cuts in prop::collection::vec(1usize..40, 1..20),
        ) {
            let text = if pretty { serde_json::to_vec_pretty(&document) } else { serde_json::to_vec(&document) }.unwrap();
            let (mut meter, mut rest, mut seen) = (Meter::default(), text.as_slice(), 0);
            for cut in cuts.iter().cycle() {
                let (piece, left) = rest.split_at((*cut).min(rest.len()));
                let now = meter.feed(piece);
                prop_assert!(now >= seen);
                (rest, seen) = (left, now);
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(seen, expected(&document));
        }

        #[test]
        fn it_takes_any_bytes(bytes: Vec<u8>) {
            Meter::default().feed(&bytes);
        }
    }
}
