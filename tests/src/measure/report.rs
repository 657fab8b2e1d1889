//! What a benchmark has to say: tables in Markdown for people, the same in JSON for programs, and which goals are met.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::machine::Machine;

/// A table with a head.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// What it is about.
    pub title: String,
    /// The names of its columns, with units.
    pub head: Vec<String>,
    /// Its rows: numbers, already rounded, and words.
    pub rows: Vec<Vec<String>>,
}

/// What must be reached.
#[derive(Clone, Debug, Serialize)]
pub struct Goal {
    /// Of what.
    pub what: String,
    /// At most so much.
    pub at_most: f64,
    /// And this was measured.
    pub measured: f64,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The benchmark.
    pub name: String,
    /// Where it ran.
    pub machine: Machine,
    /// In order.
    pub tables: Vec<Table>,
    /// What must be reached, if anything.
    pub goals: Vec<Goal>,
    /// What is worth knowing about how it was measured.
    pub notes: Vec<String>,
}

impl Table {
    /// A table without rows.
    pub fn new(title: &str, head: &[&str]) -> Self {
        let head = head.iter().map(|name| (*name).to_owned()).collect();
        Self { title: title.to_owned(), head, rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// Where it has another number of columns than the head.
    pub fn row(&mut self, row: Vec<String>) {
        assert_eq!(row.len(), self.head.len(), "a row fits its head");
        self.rows.push(row);
    }

    /// The table in Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = vec!["---:".to_owned(); self.head.len()];
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("### {}\n\n{}{}{rows}\n", self.title, line(&self.head), line(&rule))
    }
}

impl Goal {
    /// Whether it is reached.
    pub fn is_met(&self) -> bool {
        self.measured <= self.at_most
    }
}

impl Report {
    /// An empty report about this machine.
    pub fn new(name: &str) -> Self {
        let (tables, goals, notes) = (Vec::new(), Vec::new(), Vec::new());
        Self { name: name.to_owned(), machine: Machine::look(), tables, goals, notes }
    }

    /// Notes a goal.
    pub fn goal(&mut self, what: &str, measured: f64, at_most: f64) {
        self.goals.push(Goal { what: what.to_owned(), at_most, measured });
    }

    /// The whole in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n{}\n\n", self.name, self.machine);
        text.extend(self.tables.iter().map(Table::markdown));
        if !self.goals.is_empty() {
            let mut table = Table::new("Goals", &["goal", "at most", "measured", "met"]);
            for goal in &self.goals {
                let met = if goal.is_met() { "yes" } else { "NO" };
                let number = |number: f64| format!("{number:.2}");
                table.row(vec![
                    goal.what.clone(),
                    number(goal.at_most),
                    number(goal.measured),
                    met.to_owned(),
                ]);
            }
            text.push_str(&table.markdown());
        }
        text.extend(self.notes.iter().map(|note| format!("- {note}\n")));
        text
    }

    /// Prints it, writes it to `target/NAME.md` and `target/NAME.json`, and fails where a goal is not met.
    ///
    /// # Panics
    /// Where the files cannot be written.
    #[expect(clippy::print_stdout, reason = "a benchmark is for a developer's terminal")]
    pub fn finish(&self) -> ExitCode {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        let markdown = self.markdown();
        let json = serde_json::to_string_pretty(self).expect("a report is JSON");
        for (ending, text) in [("md", &markdown), ("json", &json)] {
            let file = folder.join(&self.name).with_extension(ending);
            std::fs::write(file, text).expect("a report can be written");
        }
        println!("\n{markdown}\nwrote target/{}.md and .json", self.name);
        if self.goals.iter().all(Goal::is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_which_goal_is_missed() {
        let mut report = Report::new("bench-x");
        let mut table = Table::new("Costs", &["n", "µs"]);
        table.row(vec!["1".to_owned(), "2.5".to_owned()]);
        report.tables.push(table);
        report.goal("share of the core", 12.0, 60.0);
        report.goal("p99", 300.0, 250.0);
        let text = report.markdown();
        assert!(text.contains("### Costs\n\n| n | µs |\n| ---: | ---: |\n| 1 | 2.5 |\n"), "{text}");
        assert!(text.contains("| share of the core | 60.00 | 12.00 | yes |"), "{text}");
        assert!(text.contains("| p99 | 250.00 | 300.00 | NO |"), "{text}");
    }
}
