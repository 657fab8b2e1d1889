//! Sections as people write them, right and wrong.

use super::*;

fn load(toml: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Datasources, String> {
    let args = ["program"].iter().chain(args);
    let document: toml::Table = toml::from_str(toml).unwrap();
    let builder = Datasources::conf_builder().args(args).env(env.iter().copied());
    builder.doc("promcast.toml", document).try_parse().map_err(|error| error.to_string())
}

fn upstreams(toml: &str, args: &[&str]) -> Vec<Upstream> {
    load(toml, args, &[]).unwrap().upstreams().unwrap()
}

#[test]
fn a_section_has_defaults_and_takes_every_option() {
    let toml = r#"
        [datasource.default]
        url = "http://localhost:9090"
        [datasource.cluster-b]
        url = "https://thanos.example/prefix/"
        username = "u"
        password_file = "/run/password"
        ca_file = "/etc/ca.pem"
        headers = { X-Scope-OrgID = "tenant" }
        query_timeout = "1m 30s"
        connect_timeout = "500ms"
        max_concurrent = 1
        max_response_bytes = 2
        max_encoded_bytes = 3
        max_series = 4
    "#;
    let found = upstreams(toml, &[]);
    let [b, default] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((default.name.as_str(), b.name.as_str()), ("default", "cluster-b"));
    assert_eq!(b.url.call("api/v1/query").as_str(), "https://thanos.example/prefix/api/v1/query");
    assert_eq!(default.url.call("api/v1/query").as_str(), "http://localhost:9090/api/v1/query");
    assert_eq!(b.settings.query_timeout, Duration::from_secs(90));
    assert_eq!(b.settings.max_series.get(), 4);
    assert_eq!(b.settings.headers.as_map()["x-scope-orgid"], "tenant");
    assert!(b.settings.headers.as_map().values().all(reqwest::header::HeaderValue::is_sensitive));
    assert_eq!(
        format!("{:?}", default.settings),
        format!("{:?}", { Datasource { url: Some(default.url.clone()), ..Datasource::default() } })
    );
}

#[test]
fn the_short_form_makes_or_overrides_default() {
    let found = upstreams("", &["--prometheus-url", "http://a:1"]);
    assert_eq!(
        (found.len(), found[0].name.as_str(), found[0].url.to_string().as_str()),
        (1, "default", "http://a:1/")
    );
    let section = "[datasource.default]\nmax_series = 7";
    let found = upstreams(section, &["--prometheus-url", "http://a:1"]);
    assert_eq!((found.len(), found[0].settings.max_series.get()), (1, 7));
    let by_env =
        load("prometheus_url = 'http://file:1'", &[], &[("PROMETHEUS_URL", "http://env:1")]).unwrap();
    assert_eq!(by_env.upstreams().unwrap()[0].url.to_string(), "http://env:1/");
    assert_eq!(by_env.names(), [Name::default()]);
    assert!(load("", &[], &[]).unwrap().is_empty());
}

#[test]
fn every_mistake_is_told_at_once() {
    let toml = r#"
        [datasource.default]
        urll = "http://localhost:9090"
        query_timeout = "10"
        max_series = 0
        headers = { Host = "x" }
        [datasource."a b"]
        url = "http://localhost:9090"
        [datasource.c]
        url = "ftp://localhost"
        [datasource.d]
        url = "http://localhost"
        username = "u"
    "#;
    let told = load(toml, &[], &[]).unwrap_err();
    for part in [
        "`urll`",
        "time unit needed",
        "nonzero",
        "`Host`",
        "\"a b\"",
        "`http://` or `https://`",
        "go together",
    ] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
}

#[test]
fn a_section_needs_an_address_and_one_kind_of_credentials() {
    let told = load("[datasource.b]\nmax_series = 1", &[], &[]).unwrap_err();
    assert!(told.contains("[datasource.b] has no `url`"), "{told}");
    let both =
        "[datasource.b]\nurl = 'http://b'\nusername = 'u'\npassword_file = 'p'\nbearer_token_file = 't'";
    let told = load(both, &[], &[]).unwrap_err();
    assert!(told.contains("[datasource.b]") && told.contains("exclude each other"), "{told}");
}

#[test]
fn no_secret_is_ever_printed() {
    let toml = "[datasource.a]\nurl = 'http://h'\nheaders = { X-Key = 'hunter2' }";
    assert!(!format!("{:?}", load(toml, &[], &[]).unwrap()).contains("hunter2"));
    let bad = "[datasource.a]\nurl = 'http://h'\nheaders = { X-Key = \"hunter2\\u0001\", Y = 'hunter2' }";
    assert!(!load(bad, &[], &[]).unwrap_err().contains("hunter2"));
    let in_url = "http://me:hunter2@h";
    for told in [
        load("", &["--prometheus-url", in_url], &[]),
        load("", &[], &[("PROMETHEUS_URL", in_url)]),
        load(&format!("[datasource.a]\nurl = '{in_url}'"), &[], &[]),
    ] {
        let told = told.unwrap_err();
        assert!(!told.contains("hunter2") && told.contains("credentials do not belong in a URL"), "{told}");
    }
}
