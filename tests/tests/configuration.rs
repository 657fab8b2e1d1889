//! The configuration reference is what the programs themselves say: every option is in it, and nothing else.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use e2e::programs;

const INTRODUCTION: &str = "# Configuration

Written by `cargo test -p e2e --test configuration -- --ignored` from what the programs say of themselves; a test holds it to that.

Each option is a flag, an environment variable or a line of the TOML file that `--config` names, and counts in this order.
`stream.linger` is the line `linger` in the section `[stream]`. Unknown keys are errors, in the file and among `PROMCAST_*`
variables; `config check` tells all that is wrong. Durations are written as `10s`, `5m` or `1h30m`; options that name bytes
count bytes.
";

/// One option, as a program's help has it.
#[derive(Debug, Default)]
struct Described {
    name: String,
    flag: Option<String>,
    variable: Option<String>,
    default: Option<String>,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The options of a program's help.
fn options(help: &str) -> Vec<Described> {
    let mut options: Vec<Described> = Vec::new();
    for line in help.lines() {
        let (indent, line) = (line.len() - line.trim_start().len(), line.trim());
        // `-h` and `-V` stand elsewhere: they are no options of the configuration.
        let begins = indent == 6 && (line.starts_with("--") || line.starts_with('<'));
        if begins {
            let (flag, name) = match line.split_once(" <") {
                Some((flag, name)) => (Some(flag), name.trim_end_matches('>')),
                None if line.starts_with('<') => (None, line.trim_matches(['<', '>'])),
                // A switch has no value, and its name is in its variable.
                None => (Some(line), ""),
            };
            let (flag, name) = (flag.map(str::to_owned), name.to_owned());
            options.push(Described { name, flag, ..Described::default() });
        } else if indent == 10
            && let Some(option) = options.last_mut()
        {
            match bracketed(line) {
                Some(("env", variable)) => option.variable = Some(variable.trim_end_matches('=').to_owned()),
                Some(("default", default)) => option.default = Some(default.to_owned()),
                _ if line == "[secret]" => {}
                _ => {
                    let space = if option.text.is_empty() { "" } else { " " };
                    write!(option.text, "{space}{line}").expect("a string takes text");
                }
            }
        }
    }
    options
}

/// What stands in brackets: `[env NAME=]`, `[env: NAME]`, `[default: 5]`.
fn bracketed(line: &str) -> Option<(&str, &str)> {
    let inside = line.strip_prefix('[')?.strip_suffix(']')?;
    let (kind, value) = inside.split_once(' ')?;
    Some((kind.trim_end_matches(':'), value))
}

/// Names as they stand in the file. A switch has no value, so its help has no name: its section is one that others have.
fn name(options: &mut [Described]) {
    let sections: Vec<_> =
        options.iter().filter_map(|option| Some(option.name.rsplit_once('.')?.0.to_owned())).collect();
    for option in options {
        let flag = option.flag.as_deref().unwrap_or_default().trim_start_matches("--");
        if option.name.is_empty() {
            let inside = |section: &&String| flag.starts_with(&format!("{}-", section.replace('.', "-")));
            let section = sections.iter().filter(inside).max_by_key(|section| section.len());
            let rest = |section: &String| flag.get(section.len() + 1..).unwrap_or_default().replace('-', "_");
            option.name =
                section.map_or_else(|| flag.to_owned(), |section| format!("{section}.{}", rest(section)));
        }
        // What all datasources have in common has no section of its own.
        if let Some(bare) = option.name.strip_prefix("datasources.") {
            option.name = bare.to_owned();
        }
    }
}

fn table(program: &str, help: &str) -> String {
    let mut options = options(help);
    name(&mut options);
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    for option in &options {
        let section = option.name.rsplit_once('.').map_or("", |(section, _)| section);
        let code = |text: &Option<String>| text.as_ref().map(|text| format!("`{text}`")).unwrap_or_default();
        let how = [code(&option.flag), code(&option.variable)].join(" ");
        let (name, default) = (&option.name, code(&option.default));
        let text = option.text.replace('|', "\\|");
        let rows = sections.entry(section.to_owned()).or_default();
        writeln!(rows, "| `{name}` | {} | {default} | {text} |", how.trim()).expect("a string takes text");
    }
    let mut page = format!("\n## {program}\n");
    for (section, rows) in sections {
        if !section.is_empty() {
            write!(page, "\n### `[{section}]`\n").expect("a string takes text");
        }
        write!(page, "\n| option | flag, variable | default | |\n|---|---|---|---|\n{rows}")
            .expect("a string takes text");
    }
    page
}

/// The fields of `[datasource.NAME]`, from the documentation of the struct that reads it: they are no flags.
fn datasource() -> String {
    let source = std::fs::read_to_string(root().join("poller/src/config/datasource.rs")).expect("the source");
    let body = source.split_once("pub struct Datasource {").and_then(|(_, rest)| rest.split_once("\n}"));
    let mut page = "\n## `[datasource.NAME]`\n\nOne section of the file for each upstream, for pollers, and for a gateway that runs one \
        inside.\n\n| option | default | |\n|---|---|---|\n"
        .to_owned();
    let (mut text, mut default) = (Vec::new(), None);
    for line in body.expect("the struct").0.lines().map(str::trim) {
        if let Some(said) = line.strip_prefix("/// ") {
            text.push(said);
        } else if let Some((_, said)) = line.split_once("default_help_str = \"") {
            default = said.split('"').next().map(str::to_owned);
        } else if let Some((name, _)) = line.strip_prefix("pub ").and_then(|field| field.split_once(':')) {
            let default = default.take().or_else(|| number(&source, name));
            let default = default.map(|default| format!("`{default}`")).unwrap_or_default();
            writeln!(page, "| `{name}` | {default} | {} |", text.join(" ")).expect("a string takes text");
            text.clear();
        }
    }
    page
}

/// The number that is a field's default.
fn number(source: &str, field: &str) -> Option<String> {
    let (_, rest) = source.split_once(&format!("{field}: number("))?;
    let number = rest.split(')').next()?.replace('_', "");
    match number.split_once(" << ") {
        None => Some(number),
        Some((number, shift)) => {
            Some((number.parse::<u64>().ok()? << shift.parse::<u32>().ok()?).to_string())
        }
    }
}

async fn help(program: &str) -> String {
    let (code, text) = programs::run(program, &["--help"]).await;
    assert_eq!(code, Some(0), "{text}");
    text
}

async fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for program in ["promcast-gateway", "promcast-poller"] {
        page.push_str(&table(program, &help(program).await));
    }
    page.push_str(&datasource());
    page
}

#[tokio::test]
async fn the_reference_is_what_the_programs_say() {
    let page = std::fs::read_to_string(root().join("docs/configuration.md")).expect("the reference");
    let said = reference().await;
    let stale = page.lines().zip(said.lines()).find(|(page, said)| page != said);
    assert_eq!(stale, None, "docs/configuration.md is stale: write it anew, as it says at its begin");
    assert_eq!(page, said);
}

#[tokio::test]
async fn every_option_has_a_text_and_a_variable() {
    for program in ["promcast-gateway", "promcast-poller"] {
        let mut options = options(&help(program).await);
        name(&mut options);
        assert!(options.len() > 10, "{program}: {options:?}");
        for option in options.iter().filter(|option| !matches!(option.name.as_str(), "help" | "version")) {
            assert!(option.text.len() > 10 && option.variable.is_some(), "{program}: {option:?}");
        }
    }
}

/// Run by hand when an option changes.
#[tokio::test]
#[ignore = "writes the reference instead of checking it"]
async fn write_the_reference() {
    std::fs::write(root().join("docs/configuration.md"), reference().await)
        .expect("the reference is written");
}
