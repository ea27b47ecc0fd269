//! Finds the file, reads it, and puts flag over variable over file over default.
//!
//! A box without a file does not start: an empty data folder in the wrong place would look like lost data.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::doors::{ControlConfig, HttpConfig, LISTEN_HINT, OpsConfig, REFUSAL_HINT, parse_listen};
use super::environment::Environment;
use super::finding::{ConfigErrors, Finding, Origin};
use super::provider::ProviderConfig;
use super::reader::{Reading, Section, type_name};
use super::retry::RetryConfig;
use super::section::{
    ApiConfig, LEVEL_HINT, LedgerConfig, LogConfig, PairingConfig, ProcessingConfig, StoreConfig,
    parse_level,
};
use super::{Config, DEFAULT_DATA_DIR, DEFAULT_SCRIPTS_DIR};

/// Looked for first, in the working folder.
pub const WORKING_FILE: &str = "pairbox.toml";
/// Looked for next: where the package puts it.
pub const SYSTEM_FILE: &str = "/etc/pairbox/pairbox.toml";
/// A configuration is small; a larger file is another file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What flags of the command line decide; paths count from the working folder.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub data_dir: Option<PathBuf>,
    pub listen: Option<String>,
    pub log_level: Option<String>,
}

/// A configuration and the file that it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub config: Config,
    pub path: PathBuf,
    text: String,
}

impl Loaded {
    /// Where a key has its value from; the file as a whole if it is not written there.
    pub fn place(&self, section: &str, key: &str) -> Origin {
        let variable = Environment::variable(section, key);
        if Environment::of_process().get(&variable).is_some() {
            return Origin::Environment { variable };
        }
        let (document, _) = DeTable::parse_recoverable(&self.text);
        let top = document.get_ref();
        let found = if section.is_empty() {
            offset_of(top, key)
        } else {
            let inner = top.iter().find(|(name, _)| name.get_ref() == section);
            inner.and_then(|(_, value)| match value.get_ref() {
                DeValue::Table(table) => offset_of(table, key),
                _ => None,
            })
        };
        match found {
            Some(offset) => Origin::in_file(&self.path, &self.text, offset),
            None => Origin::WholeFile {
                path: self.path.clone(),
            },
        }
    }
}

fn offset_of(table: &DeTable<'_>, key: &str) -> Option<usize> {
    let found = table.iter().find(|(name, _)| name.get_ref() == key);
    found.map(|(_, value)| value.span().start)
}

impl Config {
    /// Reads `path`, or `PAIRBOX_CONFIG`, or `./pairbox.toml`, or `/etc/pairbox/pairbox.toml`, with this process's
    /// variables.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Loaded, ConfigErrors> {
        Self::load_with(path, overrides, &Environment::of_process())
    }

    /// The same with given variables.
    pub fn load_with(
        path: Option<&Path>,
        overrides: &Overrides,
        environment: &Environment,
    ) -> Result<Loaded, ConfigErrors> {
        let path = find_file(path, environment)?;
        let text = read_file(&path)?;
        let config = Self::parse(&path, &text, overrides, environment)?;
        Ok(Loaded { config, path, text })
    }

    /// The data directory that the configuration names, whatever else is wrong with it.
    pub fn locate(path: Option<&Path>, overrides: &Overrides) -> Result<PathBuf, ConfigErrors> {
        if let Some(data_dir) = &overrides.data_dir {
            return Ok(data_dir.clone());
        }
        let environment = Environment::of_process();
        let path = find_file(path, &environment)?;
        let text = read_file(&path)?;
        let (document, _) = DeTable::parse_recoverable(&text);
        let mut reading = Reading {
            path: &path,
            text: &text,
            environment: &environment,
            findings: Vec::new(),
            claimed: Vec::new(),
        };
        let mut top = Section::top(&mut reading, "", Some(document.get_ref()));
        Ok(read_folder(&mut top, "data_dir", DEFAULT_DATA_DIR))
    }

    /// Reads the text of a file that lies at `path`; touches no file.
    pub fn parse(
        path: &Path,
        text: &str,
        overrides: &Overrides,
        environment: &Environment,
    ) -> Result<Self, ConfigErrors> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let is_readable = errors
            .iter()
            .all(|error| error.message().starts_with("duplicate key"));
        let mut reading = Reading {
            path,
            text,
            environment,
            findings: Vec::new(),
            claimed: Vec::new(),
        };
        for error in &errors {
            let origin = reading.origin(error.span().map_or(0, |span| span.start));
            reading.find(origin, error.message(), None);
        }
        if !is_readable {
            // Half a document would bring findings that are none.
            return Err(ConfigErrors::new(reading.findings));
        }
        let config = Self::read(&mut reading, document.get_ref(), overrides);
        let unclaimed = environment.unclaimed(&reading.claimed);
        reading.findings.extend(unclaimed);
        if reading.findings.is_empty() {
            Ok(config)
        } else {
            Err(ConfigErrors::new(reading.findings))
        }
    }

    fn read<'a>(
        reading: &mut Reading<'a>,
        document: &'a DeTable<'a>,
        overrides: &Overrides,
    ) -> Self {
        let mut top = Section::top(reading, "", Some(document));
        let data_dir = read_folder(&mut top, "data_dir", DEFAULT_DATA_DIR);
        let scripts_dir = read_folder(&mut top, "scripts_dir", DEFAULT_SCRIPTS_DIR);
        let mut section = |name| top.table(name).map(|(table, _)| table);
        let http = section("http");
        let ops = section("ops");
        let control = section("control");
        let api = section("api");
        let processing = section("processing");
        let store = section("store");
        let ledger = section("ledger");
        let pairing = section("pairing");
        let retry = section("retry");
        let log = section("log");
        let provider = top.entry("provider");
        top.finish();

        let providers = match provider.map(|(name, value)| (name, value.get_ref())) {
            None => Vec::new(),
            Some((_, DeValue::Array(list))) => ProviderConfig::read_all(reading, list),
            Some((name, other)) => {
                let origin = reading.origin(name.span().start);
                let message = format!(
                    "`provider`: expected a list of sections, found {}",
                    type_name(other)
                );
                let hint = "write [[provider]], with two brackets".to_owned();
                reading.find(origin, message, Some(hint));
                Vec::new()
            }
        };
        let (http, listen_origin) = HttpConfig::read(reading, http);
        let mut config = Self {
            data_dir,
            scripts_dir,
            http,
            ops: OpsConfig::read(reading, ops),
            control: ControlConfig::read(reading, control),
            api: ApiConfig::read(reading, api),
            processing: ProcessingConfig::read(reading, processing),
            store: StoreConfig::read(reading, store),
            ledger: LedgerConfig::read(reading, ledger),
            pairing: PairingConfig::read(reading, pairing),
            retry: RetryConfig::read(reading, retry),
            log: LogConfig::read(reading, log),
            providers,
        };
        config.apply(overrides, listen_origin, reading);
        config
    }

    fn apply(
        &mut self,
        overrides: &Overrides,
        mut listen_origin: Option<Origin>,
        reading: &mut Reading<'_>,
    ) {
        let mut refuse = |flag, text: &str, error: String, hint: &str| {
            let message = format!("\"{text}\": {error}");
            reading.find(Origin::Flag { flag }, message, Some(hint.to_owned()));
        };
        if let Some(data_dir) = &overrides.data_dir {
            self.data_dir.clone_from(data_dir);
        }
        if let Some(text) = &overrides.listen {
            match parse_listen(text) {
                Ok(listen) => {
                    self.http.listen = listen;
                    listen_origin = Some(Origin::Flag { flag: "--listen" });
                }
                Err(error) => refuse("--listen", text, error.to_string(), LISTEN_HINT),
            }
        }
        if let Some(text) = &overrides.log_level {
            match parse_level(text) {
                Ok(level) => self.log.level = level,
                Err(error) => refuse("--log-level", text, error.to_owned(), LEVEL_HINT),
            }
        }
        if let Some(why) = self.http.refusal() {
            let origin = listen_origin.unwrap_or(Origin::Nowhere);
            reading.find(origin, why, Some(REFUSAL_HINT.to_owned()));
        }
    }
}

fn read_folder(section: &mut Section<'_, '_>, key: &'static str, default: &str) -> PathBuf {
    match section.path(key, "a folder") {
        Some((path, _)) => path,
        None => section.reading().folder().join(default),
    }
}

fn find_file(path: Option<&Path>, environment: &Environment) -> Result<PathBuf, ConfigErrors> {
    if let Some(path) = path {
        return Ok(path.to_owned());
    }
    if let Some(path) = environment.get("PAIRBOX_CONFIG") {
        return Ok(PathBuf::from(path));
    }
    [WORKING_FILE, SYSTEM_FILE]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .ok_or_else(|| {
            ConfigErrors::one(Finding::new(
                Origin::Nowhere,
                format!("no file found: looked for `./{WORKING_FILE}` and `{SYSTEM_FILE}`"),
                Some("`pairbox init DIR` writes one; `--config FILE` names another".to_owned()),
            ))
        })
}

fn read_file(path: &Path) -> Result<String, ConfigErrors> {
    let refuse = |message: String, hint: Option<&str>| {
        let origin = Origin::WholeFile {
            path: path.to_owned(),
        };
        ConfigErrors::one(Finding::new(origin, message, hint.map(str::to_owned)))
    };
    let cannot_read = |error: std::io::Error| {
        refuse(
            format!("cannot read the file: {error}"),
            Some("`pairbox init DIR` writes one; `--config FILE` names another"),
        )
    };
    let length = std::fs::metadata(path).map_err(cannot_read)?.len();
    if length > FILE_BYTES_MAX {
        let message = format!("expected at most {FILE_BYTES_MAX} bytes, found {length}");
        return Err(refuse(message, None));
    }
    let bytes = std::fs::read(path).map_err(cannot_read)?;
    String::from_utf8(bytes)
        .map_err(|error| refuse(format!("the file is not UTF-8: {error}"), None))
}
