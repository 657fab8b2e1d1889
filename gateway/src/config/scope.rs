//! `[scope]`: where a series says which namespace it belongs to.

use conf::Conf;

use crate::scope::Labels;

/// `[scope]`: where a series says which namespace it belongs to. Only for callers who see some namespaces and not all.
#[derive(Clone, Debug, Conf)]
#[conf(serde, validation_predicate = Scope::check)]
pub struct Scope {
    /// Rules `PATTERN=LABEL`, separated by semicolons: the label that holds the namespace of a series, for metrics whose name
    /// fits the pattern, which has at most one `*`, first or last. The first rule that fits counts; the last must be for `*`.
    /// Behind the label, in braces, may stand what else a series must have, so that nobody can pass series off as another's:
    /// `DCGM_*=exported_namespace{namespace="nvidia-gpu-operator"}`. Default: this rule, the same for `accelerator_*`, and
    /// `*=namespace`, which is right for the gpu-operator as it is installed (`honorLabels: false`). Where the scrape of
    /// dcgm-exporter honours its labels: `*=namespace` alone.
    #[conf(repeat, long, env, env_delimiter = ';')]
    labels: Vec<String>,
}

impl Scope {
    /// The rules.
    pub fn labels(&self) -> Labels {
        match self.labels.as_slice() {
            [] => Labels::default(),
            // What cannot be read was refused with the configuration.
            rules => Labels::new(rules).unwrap_or_else(|_| Labels::none()),
        }
    }

    /// Tells all that is wrong, a line each.
    fn check(&self) -> Result<(), String> {
        if self.labels.is_empty() {
            return Ok(());
        }
        let told = |mistakes: Vec<_>| {
            let lines: Vec<_> = mistakes.iter().map(|mistake| format!("`scope.labels`: {mistake}")).collect();
            lines.join("\n")
        };
        Labels::new(&self.labels).map(drop).map_err(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(args: &[&str], env: &[(&str, &str)], file: &str) -> Result<Labels, String> {
        let args = std::iter::once("scope").chain(args.iter().copied());
        let document: toml::Table = toml::from_str(file).unwrap();
        let loaded =
            Scope::conf_builder().args(args).env(env.iter().copied()).doc("file", document).try_parse();
        loaded.map(|scope| scope.labels()).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_variables_and_the_file_take_the_same_rules() {
        let rules = ["DCGM_*=exported_namespace{namespace=\"gpu\"}", "*=namespace"];
        let expected = Labels::new(&rules).unwrap().to_string();
        let flags = load(&["--labels", rules[0], "--labels", rules[1]], &[], "").unwrap();
        let variable = load(&[], &[("LABELS", &rules.join(";"))], "").unwrap();
        let file = load(&[], &[], &format!("labels = ['{}', '{}']", rules[0], rules[1])).unwrap();
        for labels in [flags, variable, file] {
            assert_eq!(labels.to_string(), expected);
        }
        assert_eq!(load(&[], &[], "").unwrap().to_string(), Labels::default().to_string());
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let error = load(&["--labels", "x", "--labels", "y=1"], &[], "").unwrap_err();
        assert!(error.contains("`x`") && error.contains("`y=1`"), "{error}");
        let error = load(&[], &[], "labels = ['DCGM_*=namespace']").unwrap_err();
        assert!(error.contains("*=namespace"), "{error}");
    }
}
