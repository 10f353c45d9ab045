//! The configuration: defaults, then a TOML file, then the environment; each overrides the one before.
//!
//! A setting `section.key` is `PATCHBAY_SECTION__KEY` in the environment. A setting that does not exist is refused, so that
//! a misspelt bound does not go unnoticed. `docs/patchbay.example.toml` lists every setting with its default.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use figment::{
    Figment,
    error::Kind,
    providers::{Env, Format, Toml},
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer};

use crate::{app::HttpConfig, outbound::http::OutboundConfig, seal, store::sqlite::Options};

const PREFIX: &str = "PATCHBAY_";
/// Settings that are texts whatever they look like: from the environment a key of digits would be read as a number, and lose them.
const TEXTS: [&str; 2] = ["seal.key", "seal.key_file"];

/// Every setting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The HTTP side.
    pub http: HttpSection,
    /// Calls to remote systems.
    pub outbound: OutboundSection,
    /// The data folder.
    pub store: StoreSection,
    /// Secrets at rest.
    pub seal: SealSection,
    /// Logs.
    pub log: LogSection,
    /// Measuring the server itself.
    pub bench: BenchSection,
}

/// Bounds and switches of the HTTP side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSection {
    /// The most bytes of a JSON body, where the dialect has no bound of its own. 1,024 to 67,108,864.
    pub max_body_bytes: u64,
    /// The longest that one request may take. 1 to 3,600,000.
    pub request_timeout_ms: u64,
    /// How long a client may take to send a request's head, and may keep an idle connection. 10 to 3,600,000.
    pub header_timeout_ms: u64,
    /// How long a client may leave an answer where it is before the connection is cut. 10 to 3,600,000.
    pub write_timeout_ms: u64,
    /// How long a request that prefers heartbeats may take before the first one, and between them. 10 to 3,600,000.
    pub heartbeat_ms: u64,
    /// The most connections at a time; more wait to be accepted. 1 to 65,536.
    pub max_connections: u64,
    /// How long requests may take to finish after the signal to stop; a call to a remote system that is under way is
    /// waited for beyond that, up to six times `outbound.timeout_ms` and 20 s. 0 to 3,600,000.
    pub drain_ms: u64,
    /// Whether `/healthz` and `/readyz` are served.
    pub health: bool,
    /// Whether `/metrics` is served.
    pub metrics: bool,
}

impl Default for HttpSection {
    fn default() -> Self {
        Self {
            max_body_bytes: 1024 * 1024,
            request_timeout_ms: 60_000,
            header_timeout_ms: 30_000,
            write_timeout_ms: 30_000,
            heartbeat_ms: 5_000,
            max_connections: 1_024,
            drain_ms: 10_000,
            health: true,
            metrics: true,
        }
    }
}

/// Bounds of calls to remote systems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboundSection {
    /// The longest that one call may take, answer included. 1 to 60,000: a write makes five calls at most, and is looked into
    /// by a repeat once it has been open for 400 seconds.
    pub timeout_ms: u64,
    /// Whether loopback, private and link-local addresses may be called.
    pub allow_private: bool,
}

impl Default for OutboundSection {
    fn default() -> Self {
        Self {
            timeout_ms: 25_000,
            allow_private: false,
        }
    }
}

/// Sizes of the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSection {
    /// The most writes that wait for the writer; more are refused with 503. 1 to 1,048,576.
    pub queue: u64,
    /// The most bytes of records that wait, roughly. 1,048,576 to 17,179,869,184.
    pub queue_bytes: u64,
    /// The most writes in one transaction. 1 to 65,536.
    pub batch: u64,
    /// Connections for reading; one per core is best. 1 to 64.
    pub readers: u64,
    /// The page cache of each connection for reading, in KiB. 64 to 1,048,576.
    pub reader_cache_kib: u32,
    /// The page cache of the writer, in KiB. 64 to 16,777,216.
    pub writer_cache_kib: u32,
    /// How many users a server keeps in memory, about 1.5 KiB each, taken as they come; fewer where that would take more than
    /// 4 KiB each. 0 to 100,000,000.
    pub cached_users: u64,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            queue: 4_096,
            queue_bytes: 64 << 20,
            batch: 256,
            readers: 4,
            reader_cache_kib: 2 << 10,
            writer_cache_kib: 8 << 10,
            cached_users: 100_000,
        }
    }
}

/// Keys that seal secrets at rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SealSection {
    /// Keys of 64 hexadecimal digits, separated by commas; the last one seals. Unset: those of the key file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    /// The key file, one key per line, the last one seals; a relative path begins in the data folder. Unset: `seal.key` there. It is made
    /// when first needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Logs, on the standard error stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// `text` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `warn,patchbay=debug`.
    pub level: String,
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
        }
    }
}

/// Measuring the server itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BenchSection {
    /// Whether `PATCH /bench/echo` and `GET /bench/static` are served.
    pub routes: bool,
}

/// A secret setting: shown as `(hidden)`.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(SecretString);

impl Secret {
    /// The secret itself, still wrapped.
    pub fn inner(&self) -> &SecretString {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(hidden)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        use secrecy::ExposeSecret;
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Config {
    /// The effective configuration: defaults, the file if one is given, the environment.
    ///
    /// Fails with one sentence that names the setting and where it stands.
    pub fn load(file: Option<&Path>) -> Result<Self, String> {
        let mut figment = Figment::new();
        if let Some(path) = file {
            let text = fs::read_to_string(path)
                .map_err(|error| format!("the configuration file {} cannot be read: {error}", path.display()))?;
            syntax(path, &text)?;
            figment = figment.merge(Toml::string(&text));
        }
        underscores(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
        // Names without a section are not settings: other programs and this one's tests use them.
        let environment = Env::prefixed(PREFIX)
            .filter(|name| name.as_str().contains("__"))
            .split("__");
        figment = figment.merge(environment);
        for setting in TEXTS {
            let name = variable(setting.split('.'));
            let mut set = std::env::vars_os().filter(|(set, _)| set.eq_ignore_ascii_case(&name));
            if let Some((_, text)) = set.next() {
                let text = text.into_string();
                let text = text.map_err(|_| format!("the environment sets {name}, which is not UTF-8"))?;
                figment = figment.merge((setting, text));
            }
        }
        let config: Self = figment.extract().map_err(|error| sentence(file, &error))?;
        config.check()?;
        Ok(config)
    }

    /// The configuration as TOML, secrets hidden.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| format!("the configuration cannot be written as TOML: {error}"))
    }

    /// The bounds and switches of the HTTP side as the routes take them.
    pub fn http(&self) -> HttpConfig {
        HttpConfig {
            max_body_bytes: usize::try_from(self.http.max_body_bytes).unwrap_or(usize::MAX),
            request_timeout: Duration::from_millis(self.http.request_timeout_ms),
            heartbeat: Duration::from_millis(self.http.heartbeat_ms),
            health: self.http.health,
            metrics: self.http.metrics,
            bench: self.bench.routes,
        }
    }

    /// The bounds of outward calls as the client takes them.
    pub fn outbound(&self) -> OutboundConfig {
        OutboundConfig {
            timeout: Duration::from_millis(self.outbound.timeout_ms),
            allow_private: self.outbound.allow_private,
        }
    }

    /// The sizes of the store as it takes them.
    pub fn store(&self) -> Options {
        let store = &self.store;
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Options {
            queue: size(store.queue),
            queue_bytes: size(store.queue_bytes),
            batch: size(store.batch),
            readers: size(store.readers),
            reader_cache_kib: store.reader_cache_kib,
            writer_cache_kib: store.writer_cache_kib,
            cached_users: size(store.cached_users),
            ..Options::default()
        }
    }

    fn check(&self) -> Result<(), String> {
        const HOUR: u64 = 3_600_000;
        let (http, store) = (&self.http, &self.store);
        bound("http.max_body_bytes", http.max_body_bytes, 1_024, 64 << 20)?;
        bound("http.request_timeout_ms", http.request_timeout_ms, 1, HOUR)?;
        bound("http.header_timeout_ms", http.header_timeout_ms, 10, HOUR)?;
        bound("http.write_timeout_ms", http.write_timeout_ms, 10, HOUR)?;
        bound("http.heartbeat_ms", http.heartbeat_ms, 10, HOUR)?;
        bound("http.max_connections", http.max_connections, 1, 65_536)?;
        bound("http.drain_ms", http.drain_ms, 0, HOUR)?;
        bound("outbound.timeout_ms", self.outbound.timeout_ms, 1, 60_000)?;
        bound("store.queue", store.queue, 1, 1 << 20)?;
        bound("store.queue_bytes", store.queue_bytes, 1 << 20, 16 << 30)?;
        bound("store.batch", store.batch, 1, 65_536)?;
        bound("store.readers", store.readers, 1, 64)?;
        bound("store.reader_cache_kib", store.reader_cache_kib.into(), 64, 1 << 20)?;
        bound("store.writer_cache_kib", store.writer_cache_kib.into(), 64, 16 << 20)?;
        bound("store.cached_users", store.cached_users, 0, 100_000_000)?;
        if let Some(key) = &self.seal.key {
            seal::check(key.inner()).map_err(|error| error.to_string())?;
        }
        if tracing_subscriber::EnvFilter::try_new(&self.log.level).is_err() || !levels(&self.log.level) {
            return Err(
                "log.level must be off, error, warn, info, debug or trace, or a filter such as info,hyper=warn"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

/// True if every word of a log filter that stands by itself is a level. The filter's reader takes any other word for the name
/// of what shall be logged, so that a misspelt level would silence the rest.
fn levels(filter: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    filter
        .split(',')
        .map(str::trim)
        .all(|word| word.contains('=') || word.contains('[') || is_level(word))
}

/// Fails at a name of the environment that is a setting but for the second underscore after the section.
fn underscores(names: impl Iterator<Item = String>) -> Result<(), String> {
    let sections = toml::Table::try_from(Config::default()).map_err(|error| error.to_string())?;
    for name in names {
        let section = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
        let Some((section, key)) = section.filter(|(_, key)| !key.starts_with('_')) else {
            continue;
        };
        if sections.contains_key(&section.to_lowercase()) {
            return Err(format!(
                "the environment sets {name}, which does not exist; settings have two underscores after the section: \
                 {PREFIX}{section}__{key}"
            ));
        }
    }
    Ok(())
}

fn bound(name: &str, value: u64, least: u64, most: u64) -> Result<(), String> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(format!("{name} must be between {least} and {most}, but is {value}"))
    }
}

/// Fails at the first place where the file is not TOML, naming the line.
fn syntax(path: &Path, text: &str) -> Result<(), String> {
    text.parse::<toml::Table>().map(|_| ()).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let why = error.message().replace('\n', "; ");
        format!(
            "the configuration file {}, line {line}, is not TOML: {why}",
            path.display()
        )
    })
}

/// The variable in the environment that sets a setting.
fn variable<'a>(path: impl Iterator<Item = &'a str>) -> String {
    let path: Vec<&str> = path.collect();
    format!("{PREFIX}{}", path.join("__").to_uppercase())
}

/// Where a setting that cannot be used stands, and what is wrong with it.
fn sentence(file: Option<&Path>, error: &figment::Error) -> String {
    let environment = error
        .metadata
        .as_ref()
        .is_some_and(|metadata| metadata.name.contains("environment"));
    let setting = |path: &[String]| {
        if environment {
            variable(path.iter().map(String::as_str))
        } else {
            path.join(".")
        }
    };
    let place = match file {
        Some(path) if !environment => format!("the configuration file {}", path.display()),
        _ => "the environment".to_owned(),
    };
    match &error.kind {
        Kind::UnknownField(name, known) => {
            let mut path = error.path.clone();
            if path.last() != Some(name) {
                path.push(name.clone());
            }
            let known = known.join(", ");
            format!(
                "{place} sets {}, which does not exist; known there: {known}",
                setting(&path)
            )
        }
        // Of a section only the name is shown: a secret may have been put there.
        Kind::InvalidType(_, expected) if expected.starts_with("struct ") => {
            let path = setting(&error.path);
            format!("{place} sets {path}, which is a section with settings of its own: see `patchbay config`")
        }
        kind => format!("{place} sets {} to a wrong value: {kind}", setting(&error.path)),
    }
}
