//! A table in Markdown.

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
        text.push_str(&format!("\n### {title}\n\n"));
        line(text, &self.head);
        // Words to the left, numbers to the right.
        let is_word = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .any(|cell| cell.starts_with(|c: char| c.is_alphabetic()))
        };
        let rule = (0..self.head.len()).map(|column| if is_word(column) { "---" } else { "---:" });
        text.push_str(&format!("|{}|\n", rule.collect::<Vec<_>>().join("|")));
        for row in &self.rows {
            line(text, row);
        }
    }
}

fn line(text: &mut String, cells: &[String]) {
    text.push_str(&format!("| {} |\n", cells.join(" | ")));
}
