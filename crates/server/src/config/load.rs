//! Reading the configuration: file, then environment, then flags. What the values mean is not checked here.

use std::path::{Path, PathBuf};

use super::{Config, ConfigError, LogFormat, example::plain_keys};

const PREFIX: &str = "OSTRACON_";

/// What the command line may say; it overrides everything else.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The data directory.
    pub data_dir: Option<PathBuf>,
    /// Where to listen.
    pub listen: Option<String>,
    /// No rate limits, for load tests.
    pub no_rate_limits: bool,
    /// The log's level or filter.
    pub log_level: Option<String>,
    /// How log lines look.
    pub log_format: Option<LogFormat>,
}

impl Config {
    /// Reads the configuration. `file`: must exist when named. `env`: the variables of the process; those that are
    /// not ours are passed over, those of ours that name no key are refused.
    ///
    /// # Errors
    /// One sentence that names the file, key or variable.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        flags: Flags,
    ) -> Result<Self, ConfigError> {
        let mut table = toml::Table::new();
        if let Some(path) = file {
            let refuse = |what: &dyn std::fmt::Display| {
                ConfigError::new(format!("{}: {what}", path.display()))
            };
            let text = std::fs::read_to_string(path).map_err(|error| refuse(&error))?;
            // Read as what it is first: such errors name the line.
            toml::from_str::<Self>(&text).map_err(|error| refuse(&error))?;
            table = toml::from_str(&text).map_err(|error| refuse(&error))?;
        }
        for (name, value) in env {
            if let Some(path) = key_of(&name) {
                set(&mut table, &path, &value)
                    .map_err(|what| ConfigError::new(format!("{name}: {what}")))?;
                // One at a time, so that the error names the variable.
                table
                    .clone()
                    .try_into::<Self>()
                    .map_err(|error| ConfigError::new(format!("{name}: {error}")))?;
            }
        }
        let mut config: Self =
            table.try_into().map_err(|error| ConfigError::new(error.to_string()))?;
        config.data_dir = flags.data_dir.unwrap_or(config.data_dir);
        config.listen = flags.listen.unwrap_or(config.listen);
        config.rate_limits.enabled &= !flags.no_rate_limits;
        config.log.level = flags.log_level.unwrap_or(config.log.level);
        config.log.format = flags.log_format.unwrap_or(config.log.format);
        Ok(config)
    }
}

/// The key of a variable. Without `__` only those that are keys: other programs of ours have variables too.
fn key_of(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix(PREFIX)?.to_lowercase();
    let path: Vec<_> = rest.split("__").map(str::to_owned).collect();
    match path.as_slice() {
        [key] if !plain_keys().any(|known| known == key) => None,
        _ => Some(path),
    }
}

/// Puts a value where the default has one, as that one's type.
fn set(table: &mut toml::Table, path: &[String], value: &str) -> Result<(), String> {
    let defaults = toml::Table::try_from(Config::default()).map_err(|error| error.to_string())?;
    let default = match path {
        [key] => defaults.get(key),
        [section, key] => defaults.get(section).and_then(|section| section.get(key)),
        _ => None,
    };
    let value = match default.ok_or("there is no such key")? {
        toml::Value::String(_) => toml::Value::String(value.to_owned()),
        toml::Value::Integer(_) => {
            let number = value.parse().map_err(|_| "must be a whole number");
            toml::Value::Integer(number?)
        }
        toml::Value::Boolean(_) => {
            toml::Value::Boolean(value.parse().map_err(|_| "must be true or false")?)
        }
        _ => return Err("cannot be set by a variable".to_owned()),
    };
    let (table, key) = match path {
        [section, key] => {
            let section =
                table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            (section.as_table_mut().ok_or("is no section")?, key)
        }
        _ => (table, path.last().ok_or("there is no such key")?),
    };
    table.insert(key.clone(), value);
    Ok(())
}
