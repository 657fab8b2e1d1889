//! What is to be measured, from the command line.

use std::path::PathBuf;
use std::time::Duration;

use super::sample::Cell;
use super::server::Kind;

/// What there is to say.
pub const USAGE: &str = "bench [--quick] [--rounds N] [--servers gateway,raw,nchan,nchan-nodelay,pushpin] \
    [--only open,paced,saturated,backlog,head-of-line,stuck,http2,gzip] [--connections 1,100,1000,10000] \
    [--kilobytes 2,64] [--crowd N] [--pace FACTOR] [--json FILE] [--markdown FILE] [--add FILE]…";

/// The most connections with events of 64 KB: more would need more memory for what is on its way than it tells.
const LARGE_CONNECTIONS_MAX: usize = 1000;

/// What is measured, and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How often everything is measured.
    pub rounds: u32,
    /// Whom.
    pub servers: Vec<Kind>,
    /// What of them.
    pub cells: Vec<Cell>,
    /// With how many connections.
    pub connections: Vec<usize>,
    /// With how many bytes in an event.
    pub sizes: Vec<usize>,
    /// How long each thing is measured, against the normal time.
    pub pace: f64,
    /// Connections of the large topic, where a small one is beside it.
    pub crowd: usize,
    /// Where all samples are written.
    pub json: PathBuf,
    /// Where the tables are written.
    pub markdown: Option<PathBuf>,
    /// Earlier runs of the same program, whose samples count too.
    pub add: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rounds: 5,
            servers: Kind::ALL.to_vec(),
            cells: Cell::ALL.to_vec(),
            connections: vec![1, 100, 1000, 10_000],
            sizes: vec![2 * 1024, 64 * 1024],
            pace: 1.0,
            crowd: 10_000,
            json: PathBuf::from("target/bench/fanout.json"),
            markdown: None,
            add: Vec::new(),
        }
    }
}

impl Options {
    /// What the arguments say.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            if name == "--quick" {
                (options.rounds, options.connections, options.sizes) =
                    (3, vec![1000, 10_000], vec![2 * 1024]);
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{name} has no value\n{USAGE}"))?;
            options.set(&name, &value)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "--rounds" => self.rounds = number(value)?,
            "--servers" => {
                self.servers = list(value, |name| Kind::ALL.into_iter().find(|kind| kind.name() == name))?
            }
            "--only" => {
                self.cells = list(value, |name| Cell::ALL.into_iter().find(|cell| cell.name() == name))?
            }
            "--connections" => self.connections = list(value, |count| count.parse().ok())?,
            "--kilobytes" => {
                self.sizes =
                    list(value, |size| size.parse::<usize>().ok())?.iter().map(|kilo| kilo * 1024).collect();
            }
            "--crowd" => self.crowd = number(value)?,
            "--pace" => self.pace = number(value)?,
            "--json" => self.json = value.into(),
            "--markdown" => self.markdown = Some(value.into()),
            "--add" => self.add.push(value.into()),
            _ => return Err(format!("{name} is no option\n{USAGE}")),
        }
        Ok(())
    }

    /// Whether a cell is to be measured.
    pub fn has(&self, cell: Cell) -> bool {
        self.cells.contains(&cell)
    }

    /// The pairs of connections and bytes that are measured.
    pub fn sessions(&self) -> Vec<(usize, usize)> {
        let pairs =
            self.sizes.iter().flat_map(|size| self.connections.iter().map(move |count| (*count, *size)));
        pairs.filter(|(count, size)| *size < 16 * 1024 || *count <= LARGE_CONNECTIONS_MAX).collect()
    }

    /// The most connections that are open at a time.
    pub fn most_connections(&self) -> usize {
        let crowd = if self.has(Cell::HeadOfLine) { self.crowd + 10 } else { 0 };
        self.connections.iter().copied().max().unwrap_or_default().max(crowd)
    }

    /// So long, at the pace of this run.
    pub fn lasts(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds * self.pace)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn list<T>(text: &str, one: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    text.split(',').map(|name| one(name).ok_or_else(|| format!("{name} is not known\n{USAGE}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        Options::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn everything_is_measured_unless_told_otherwise() {
        let all = read("").unwrap();
        assert_eq!(all.sessions().len(), 7);
        assert_eq!(all.most_connections(), 10_010);
        let some =
            read("--rounds 2 --servers raw,nchan --only paced --connections 5 --kilobytes 2,64").unwrap();
        assert_eq!((some.rounds, some.servers.as_slice()), (2, &[Kind::Limit, Kind::Nchan][..]));
        assert_eq!(some.sessions(), [(5, 2048), (5, 65_536)]);
        assert_eq!(some.most_connections(), 5);
        assert!(!some.has(Cell::Gzip));
    }

    #[test]
    fn what_is_not_known_is_told() {
        for wrong in ["--rounds many", "--servers apache", "--only lunch", "--loud", "--rounds", "--fast 1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
