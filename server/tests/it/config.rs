//! The configuration: what goes before what, and what is refused.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path, process::Command};

use patchbay::config::Config;
use tempfile::TempDir;

/// The real binary without settings of the environment that runs the tests.
pub fn patchbay() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PATCHBAY_") {
            command.env_remove(name);
        }
    }
    command
}

/// Prints the configuration with a file and an environment: exit status, standard output, standard error.
fn config(file: Option<&str>, environment: &[(&str, &str)]) -> (bool, String, String) {
    let folder = TempDir::new().unwrap();
    let mut command = patchbay();
    command.arg("config").envs(environment.iter().copied());
    if let Some(text) = file {
        let path = folder.path().join("patchbay.toml");
        std::fs::write(&path, text).unwrap();
        command.arg("--config").arg(path);
    }
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// The refusal of a configuration: one line.
fn refusal(file: Option<&str>, environment: &[(&str, &str)]) -> String {
    let (success, _, complaint) = config(file, environment);
    assert!(!success, "{file:?} {environment:?} was accepted");
    assert_eq!(complaint.trim_end().lines().count(), 1, "{complaint}");
    complaint
}

#[test]
fn the_environment_goes_before_the_file_and_the_file_before_defaults() {
    let file = "[http]\nmax_body_bytes = 2048\nheartbeat_ms = 100\n[outbound]\nallow_private = true\n";
    let (success, shown, complaint) = config(
        Some(file),
        &[
            ("PATCHBAY_HTTP__HEARTBEAT_MS", "250"),
            ("PATCHBAY_BENCH__ROUTES", "true"),
        ],
    );
    assert!(success, "{complaint}");
    let shown: Config = toml::from_str(&shown).unwrap();
    assert_eq!(shown.http.max_body_bytes, 2048);
    assert_eq!(shown.http.heartbeat_ms, 250);
    assert_eq!(shown.http.request_timeout_ms, Config::default().http.request_timeout_ms);
    assert!(shown.outbound.allow_private && shown.bench.routes);
}

#[test]
fn without_anything_the_defaults_are_in_force() {
    let (success, shown, _) = config(None, &[]);
    assert!(success);
    assert_eq!(toml::from_str::<Config>(&shown).unwrap(), Config::default());
}

#[test]
fn the_example_file_lists_every_setting_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/patchbay.example.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let example: toml::Table = text.parse().unwrap();
    let defaults: toml::Table = Config::default().to_toml().unwrap().parse().unwrap();
    assert_eq!(example, defaults);
    for unset in ["# key = ", "# key_file = "] {
        assert!(text.contains(unset), "{unset} is not mentioned");
    }
}

#[test]
fn a_setting_that_does_not_exist_is_refused_by_name() {
    let complaint = refusal(Some("[http]\nmax_body = 1\n"), &[]);
    assert!(
        complaint.contains("http.max_body,") && complaint.contains("max_body_bytes"),
        "{complaint}"
    );
    assert!(complaint.contains("patchbay.toml"), "{complaint}");
    let complaint = refusal(Some("[htpp]\n"), &[]);
    assert!(complaint.contains("htpp"), "{complaint}");
    let complaint = refusal(None, &[("PATCHBAY_OUTBOUND__TIMEOUT", "5")]);
    assert!(complaint.contains("PATCHBAY_OUTBOUND__TIMEOUT,"), "{complaint}");
    assert!(
        complaint.contains("environment") && complaint.contains("timeout_ms"),
        "{complaint}"
    );
}

#[test]
fn names_without_a_section_are_not_settings() {
    let (success, _, complaint) = config(None, &[("PATCHBAY_ACCOUNT_SECRET", "x"), ("PATCHBAY_CONTRACTS", "y")]);
    assert!(success, "{complaint}");
}

#[test]
fn a_setting_with_one_underscore_is_refused() {
    for (name, meant) in [
        ("PATCHBAY_OUTBOUND_ALLOW_PRIVATE", "PATCHBAY_OUTBOUND__ALLOW_PRIVATE"),
        ("PATCHBAY_SEAL_KEY", "PATCHBAY_SEAL__KEY"),
        ("PATCHBAY_LOG_LEVEL", "PATCHBAY_LOG__LEVEL"),
    ] {
        let complaint = refusal(None, &[(name, "true")]);
        assert!(complaint.contains(name) && complaint.contains(meant), "{complaint}");
    }
}

#[test]
fn keys_that_are_none_are_refused_and_not_printed() {
    for key in ["deadbeef", "", "x,y"] {
        let complaint = refusal(None, &[("PATCHBAY_SEAL__KEY", key)]);
        assert!(complaint.contains("seal.key does not hold keys"), "{complaint}");
        assert!(key.is_empty() || !complaint.contains(key), "{complaint}");
    }
}

#[test]
fn texts_of_digits_are_texts() {
    let (success, shown, complaint) = config(
        None,
        &[
            ("PATCHBAY_SEAL__KEY", &"0".repeat(64)),
            ("PATCHBAY_SEAL__KEY_FILE", "0123"),
        ],
    );
    assert!(success, "{complaint}");
    assert!(shown.contains("key_file = \"0123\""), "{shown}");
    let (_, shown, complaint) = config(None, &[("patchbay_seal__Key_File", "0123")]);
    assert!(shown.contains("key_file = \"0123\""), "{complaint}");
    let mut command = patchbay();
    command
        .arg("config")
        .env("PATCHBAY_SEAL__KEY_FILE", OsStr::from_bytes(b"\xff"));
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && complaint.contains("PATCHBAY_SEAL__KEY_FILE, which is not UTF-8"),
        "{complaint}"
    );
}

#[test]
fn what_stands_in_place_of_a_section_is_not_printed() {
    let key = "ab".repeat(32);
    for (file, environment) in [
        (Some(format!("seal = \"{key}\"\n")), vec![]),
        (Some(format!("[seal]\nkey = {{ a = \"{key}\" }}\n")), vec![]),
        (Some(format!("[seal]\nkey = [\"{key}\"]\n")), vec![]),
        (None, vec![("PATCHBAY_SEAL__KEY__A", key.as_str())]),
    ] {
        let complaint = refusal(file.as_deref(), &environment);
        assert!(
            complaint.to_lowercase().contains("seal") && !complaint.contains(&key),
            "{complaint}"
        );
        assert!(!complaint.contains("Section"), "{complaint}");
    }
}

#[test]
fn levels_and_filters_are_taken() {
    for level in [
        "info",
        "WARN",
        "off",
        "info,hyper=warn",
        "hyper=debug",
        "info,patchbay[span]=trace",
    ] {
        let (success, _, complaint) = config(Some(&format!("[log]\nlevel = \"{level}\"\n")), &[]);
        assert!(success, "{level}: {complaint}");
    }
}

#[test]
fn wrong_values_are_refused_by_name() {
    for (section, key, value) in [
        ("http", "max_body_bytes", "0"),
        ("http", "max_body_bytes", "-1"),
        ("http", "request_timeout_ms", "0"),
        ("http", "max_connections", "100000000"),
        ("http", "health", "3"),
        ("outbound", "timeout_ms", "true"),
        ("store", "queue", "0"),
        ("log", "format", "\"xml\""),
        ("outbound", "timeout_ms", "60001"),
        ("log", "level", "\"a=b=c\""),
        ("log", "level", "\"wran\""),
        ("log", "level", "\"hyper=warn,inof\""),
    ] {
        let complaint = refusal(Some(&format!("[{section}]\n{key} = {value}\n")), &[]);
        assert!(complaint.contains(&format!("{section}.{key}")), "{complaint}");
    }
}

#[test]
fn a_file_that_is_not_toml_or_not_there_is_refused() {
    let complaint = refusal(Some("[http]\nhealth = true\nhealth\n"), &[]);
    assert!(complaint.contains("line 3"), "{complaint}");
    let output = patchbay()
        .args(["config", "--config", "/nonexistent.toml"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent.toml cannot be read"));
}

#[test]
fn secrets_are_not_printed() {
    let key = "ab".repeat(32);
    let file = format!("[seal]\nkey = \"{key}\"\n");
    for (file, environment) in [
        (Some(file.as_str()), vec![]),
        (None, vec![("PATCHBAY_SEAL__KEY", key.as_str())]),
    ] {
        let (success, shown, complaint) = config(file, &environment);
        assert!(success, "{complaint}");
        assert!(shown.contains("key = \"(hidden)\""), "{shown}");
        assert!(!shown.contains(&key) && !complaint.contains(&key));
    }
}
