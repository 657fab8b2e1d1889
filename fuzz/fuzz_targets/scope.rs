//! Any text, asked by somebody who sees some namespaces: it is refused, or what goes upstream is theirs alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promcast_gateway::auth::{Namespaces, Sight};
use promcast_gateway::scope::{Error, Invalid, Labels, scoped, selected};

fn only(names: &[&str]) -> Sight {
    let names = names.iter().filter_map(|name| name.parse().ok());
    Namespaces::new(names).map_or(Sight::All, Sight::Only)
}

fuzz_target!(|query: &str| {
    let (ours, theirs) = (only(&["team-a", "team-b"]), only(&["victim"]));
    for labels in [Labels::default(), Labels::new(&["*=namespace"]).unwrap_or_default()] {
        if let Ok(text) = scoped(query, &Sight::All, &labels) {
            stays(&text, &Sight::All, &labels);
        }
        // As a selector of a lookup: whatever it becomes, nobody else may ask it.
        for part in selected(&[query.to_owned()], &ours, &labels).unwrap_or_default() {
            assert!(selected(std::slice::from_ref(&part), &theirs, &labels).is_err(), "{part}");
        }
        let Ok(text) = scoped(query, &ours, &labels) else { continue };
        stays(&text, &ours, &labels);
        // Restricted, it asks for nothing of anybody else's: they may not ask it, unless it asks for no series at all.
        if let Ok(for_them) = scoped(&text, &theirs, &labels) {
            assert_eq!(for_them, text);
        }
    }
});

/// What went upstream is its own print. With all that was added it may be more than a caller may write.
fn stays(text: &str, sight: &Sight, labels: &Labels) {
    match scoped(text, sight, labels) {
        Ok(again) => assert_eq!(again, text),
        Err(Error::Query(Invalid::Costly(_))) => {}
        Err(error) => panic!("{text}: {error}"),
    }
}
