//! A table in Markdown.

use std::fmt::Write as _;

/// Rows under a head.
#[derive(Debug)]
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Writes it under a title, unless it is empty.
    pub(super) fn write(&self, text: &mut String, title: &str) {
        if self.rows.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n### {title}\n");
        let _ = writeln!(text, "| {} |", self.head.join(" | "));
        // Words to the left, numbers to the right.
        let is_word = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .any(|cell| cell.starts_with(|c: char| c.is_alphabetic()))
        };
        let rule = (0..self.head.len()).map(|column| if is_word(column) { "---" } else { "---:" });
        let _ = writeln!(text, "|{}|", rule.collect::<Vec<_>>().join("|"));
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
    }
}
