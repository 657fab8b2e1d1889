//! What the section `[auth.jwt]` becomes, and what is said where it cannot be used.

use std::io::Write;

use promcast_runtime::config::{Sources, load};

use super::*;
use crate::config::Config;

/// The section as these lines of the file, flags and variables give it.
fn section(lines: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Option<Jwt>, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let base = "prometheus_url = 'http://127.0.0.1:9090'\n[auth]\nmode = 'jwt'\n";
    write!(file, "{base}{lines}").unwrap();
    let path = file.path().to_str().unwrap();
    let args = ["promcast-gateway", "--config", path].iter().chain(args).map(Into::into).collect();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load::<Config>(&Sources { args, env }).map(|config| config.auth.jwt).map_err(|error| error.to_string())
}

const GOOD: &str = "[auth.jwt]\nissuer = 'https://login.example.com/realms/gpu'\naudience = ['promcast']\n\
                    namespaces_claim = 'namespaces'\n";

fn settings(lines: &str) -> Settings {
    section(lines, &[], &[]).unwrap().unwrap().settings().unwrap()
}

#[test]
fn without_the_section_there_are_no_tokens() {
    let told = section("", &[], &[]).unwrap_err();
    assert!(told.contains("give `auth.jwt.issuer` and `auth.jwt.audience`"), "{told}");
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let settings = settings(GOOD);
    let place = "https://login.example.com/realms/gpu/.well-known/openid-configuration".parse().unwrap();
    assert_eq!(settings.source, Source::Discovery(place));
    assert_eq!(settings.pace, Pace::default());
    assert_eq!(settings.rules.leeway, crate::auth::jwt::verify::LEEWAY);
    assert_eq!(settings.rules.user, "sub".parse().unwrap());
    assert_eq!(settings.rules.reach.groups, "groups".parse().unwrap());
    assert!(settings.rules.reach.admins.is_empty() && settings.rules.reach.group_namespaces.is_empty());
}

#[test]
fn flags_and_variables_say_the_same_as_the_file() {
    let args = [
        ["--auth-jwt-issuer", "https://login.example.com/realms/gpu"],
        ["--auth-jwt-admin-groups", "ops"],
        ["--auth-jwt-admin-groups", "root"],
    ];
    let env = [
        ("PROMCAST_AUTH_JWT_AUDIENCE", "promcast,gpu"),
        ("PROMCAST_AUTH_JWT_LEEWAY", "5s"),
        ("PROMCAST_AUTH_JWT_GROUPS_CLAIM", "/realm_access/roles"),
        ("PROMCAST_AUTH_JWT_JWKS_URL", "https://login.example.com/keys"),
    ];
    let settings = section("", &args.concat(), &env).unwrap().unwrap().settings().unwrap();
    assert_eq!(settings.rules.audiences, ["promcast", "gpu"]);
    assert_eq!(settings.rules.leeway, Duration::from_secs(5));
    assert_eq!(settings.rules.reach.groups, "/realm_access/roles".parse().unwrap());
    assert_eq!(settings.rules.reach.admins.len(), 2);
    assert_eq!(settings.source, Source::Jwks("https://login.example.com/keys".parse().unwrap()));
}

#[test]
fn groups_have_their_namespaces_in_a_table() {
    let lines = format!("{GOOD}[auth.jwt.group_namespaces]\n'/gpu/a' = ['a', 'shared']\n'b c' = ['b']\n");
    let groups = settings(&lines).rules.reach.group_namespaces;
    let names: Vec<_> = groups.keys().map(String::as_str).collect();
    assert_eq!(names, ["/gpu/a", "b c"]);
    for wrong in ["'a' = []", "'a' = ['*']", "'a' = ['A']", "'a' = 'a'"] {
        let lines = format!("{GOOD}[auth.jwt.group_namespaces]\n{wrong}\n");
        let error = section(&lines, &[], &[]).unwrap_err();
        assert!(error.contains("group_namespaces"), "{wrong}: {error}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let lines = "[auth.jwt]\nissuer = 'http://login.example.com'\naudience = ['']\nleeway = '1h'\nrefresh = '1s'\n\
                 timeout = '0s'\n";
    let error = section(lines, &[], &[]).unwrap_err();
    for part in ["allow_http", "audience", "leeway", "refresh", "timeout", "nobody would see anything"] {
        assert!(error.contains(part), "{part} is not told in:\n{error}");
    }
}

#[test]
fn what_cannot_be_used_is_told() {
    for (lines, part) in [
        ("[auth.jwt]\naudience = ['promcast']\n".to_owned(), "issuer"),
        (format!("{GOOD}jwks_url = 'https://h/k'\nkeys_file = '/k'\n"), "exclude each other"),
        (format!("{GOOD}jwks_url = 'ftp://h/k'\n"), "jwks_url"),
        (format!("{GOOD}jwks_url = 'https://user:hunter2@h/k'\n"), "without a user"),
        (format!("{GOOD}user_claim = '/a~9'\n"), "user_claim"),
        (format!("{GOOD}admin_groups = ['']\n"), "admin_groups"),
        (format!("{GOOD}isuer = 'x'\n"), "isuer"),
        (GOOD.replace("https://login.example.com/realms/gpu", "login"), "no URL"),
        (GOOD.replace("https://login.example.com/realms/gpu", " "), "issuer"),
    ] {
        let error = section(&lines, &[], &[]).unwrap_err();
        assert!(error.contains(part) && !error.contains("hunter2"), "{part} is not told in:\n{error}");
    }
}

#[test]
fn keys_come_in_clear_from_this_machine_or_where_that_is_said() {
    for (issuer, fine) in [
        ("http://127.0.0.1:5556/dex", true),
        ("http://[::1]:5556", true),
        ("http://localhost/x", true),
        ("http://10.0.0.1", false),
        ("http://localhost.evil.example", false),
        ("http://127.0.0.1.evil.example", false),
    ] {
        let lines = GOOD.replace("https://login.example.com/realms/gpu", issuer);
        assert_eq!(section(&lines, &[], &[]).is_ok(), fine, "{issuer}");
        assert!(section(&format!("{lines}allow_http = true\n"), &[], &[]).is_ok(), "{issuer}");
    }
    // A file is fetched from nowhere, whatever the issuer is called.
    let lines = GOOD.replace("https://login.example.com/realms/gpu", "kubernetes/serviceaccount");
    assert_eq!(settings(&format!("{lines}keys_file = '/keys'\n")).source, Source::File("/keys".into()));
}
