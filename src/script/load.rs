//! Where a mapping's files come from: a folder of the operator, else the copy in the binary.
//!
//! A folder replaces the built-in mapping of the same name as a whole; files are never mixed from both.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::error::{ScriptError, nearest};
use super::shipped;

/// A mapping's folder, real or built in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Folder(PathBuf),
    /// The shipped mapping of this name.
    BuiltIn(String),
    /// An activated version, kept beside the mapping's own files.
    Version {
        name: String,
        folder: PathBuf,
    },
}

/// Whether a name can be a folder's.
pub(super) fn is_plain_name(name: &str) -> bool {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    !name.is_empty() && name.chars().all(is_plain)
}

impl Origin {
    /// `<scripts_dir>/mappings/<name>/` if it exists, else the built-in mapping `name`.
    pub fn find(scripts_dir: &Path, name: &str) -> Result<Self, ScriptError> {
        if !is_plain_name(name) {
            return Err(ScriptError::Name {
                name: name.to_owned(),
            });
        }
        let folder = scripts_dir.join("mappings").join(name);
        if folder.is_dir() {
            return Ok(Self::Folder(folder));
        }
        let built_in = shipped::mapping_names();
        if built_in.contains(&name) {
            return Ok(Self::BuiltIn(name.to_owned()));
        }
        Err(ScriptError::NotFound {
            name: name.to_owned(),
            folder,
            nearest: nearest(name, built_in).map(str::to_owned),
        })
    }

    /// The mapping's name: that of its folder.
    pub fn name(&self) -> String {
        match self {
            Self::BuiltIn(name) | Self::Version { name, .. } => name.clone(),
            Self::Folder(folder) => folder
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
        }
    }

    /// The text of one file of the mapping, e.g. `mapping.rhai`; none if there is no such file.
    pub fn read(&self, file: &str) -> Result<Option<String>, ScriptError> {
        match self {
            Self::BuiltIn(name) => {
                Ok(shipped::text(&format!("mappings/{name}/{file}")).map(str::to_owned))
            }
            Self::Folder(folder) | Self::Version { folder, .. } => {
                let path = folder.join(file);
                match std::fs::read_to_string(&path) {
                    Ok(text) => Ok(Some(text)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(ScriptError::Read { path, source }),
                }
            }
        }
    }

    pub(crate) fn need(&self, file: &'static str) -> Result<String, ScriptError> {
        self.read(file)?.ok_or_else(|| ScriptError::Absent {
            name: self.name(),
            script: file,
        })
    }

    /// The case files with their texts, sorted by name.
    pub fn cases(&self) -> Result<Vec<(String, String)>, ScriptError> {
        self.files("cases", "json")
    }

    /// The files of one kind in a folder of the mapping with their texts, sorted by name.
    pub(crate) fn files(
        &self,
        inside: &str,
        kind: &str,
    ) -> Result<Vec<(String, String)>, ScriptError> {
        let mut names = match self {
            Self::BuiltIn(name) => shipped::SCRIPTS
                .get_dir(format!("mappings/{name}/{inside}"))
                .into_iter()
                .flat_map(include_dir::Dir::files)
                .filter_map(|file| file.path().file_name()?.to_str().map(str::to_owned))
                .collect(),
            Self::Folder(folder) | Self::Version { folder, .. } => {
                file_names(&folder.join(inside))?
            }
        };
        let is_of_kind = |name: &String| Path::new(name).extension().is_some_and(|k| k == kind);
        names.retain(is_of_kind);
        names.sort_unstable();
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            if let Some(text) = self.read(&format!("{inside}/{name}"))? {
                files.push((name, text));
            }
        }
        Ok(files)
    }

    /// The operator's table of error codes, `errors.csv` with the columns `code` and `text`; empty if there is none.
    pub(crate) fn explanations(&self) -> Result<HashMap<String, String>, ScriptError> {
        let Some(text) = self.read(EXPLANATIONS)? else {
            return Ok(HashMap::new());
        };
        csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes())
            .deserialize::<(String, String)>()
            .collect::<Result<_, _>>()
            .map_err(|source| ScriptError::Table {
                name: self.name(),
                file: EXPLANATIONS,
                source,
            })
    }
}

const EXPLANATIONS: &str = "errors.csv";

fn file_names(folder: &Path) -> Result<Vec<String>, ScriptError> {
    let failed = |source| ScriptError::Read {
        path: folder.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(
            entry
                .map_err(failed)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    Ok(names)
}

/// A job's or free script's name and text: a file, `<scripts_dir>/jobs/<name>.rhai`, or the shipped one of that name.
pub fn job_text(scripts_dir: &Path, given: &str) -> Result<(String, String), ScriptError> {
    let path = Path::new(given);
    if path.extension().is_some_and(|kind| kind == "rhai") {
        let name = path.file_name().unwrap_or_default();
        return Ok((name.to_string_lossy().into_owned(), read_script(path)?));
    }
    if !is_plain_name(given) {
        return Err(ScriptError::JobName {
            name: given.to_owned(),
        });
    }
    let file = format!("{given}.rhai");
    let path = scripts_dir.join("jobs").join(&file);
    if path.is_file() {
        return Ok((file, read_script(&path)?));
    }
    match shipped::text(&format!("jobs/{file}")) {
        Some(text) => Ok((file, text.to_owned())),
        None => Err(ScriptError::JobNotFound {
            name: given.to_owned(),
            path,
            nearest: nearest(given, shipped::job_names()).map(str::to_owned),
        }),
    }
}

fn read_script(path: &Path) -> Result<String, ScriptError> {
    std::fs::read_to_string(path).map_err(|source| ScriptError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_the_operator_wins_over_the_built_in_copy() {
        let scripts = tempfile::tempdir().unwrap();
        assert_eq!(
            Origin::find(scripts.path(), "smsgw").unwrap(),
            Origin::BuiltIn("smsgw".to_owned())
        );
        let folder = scripts.path().join("mappings/smsgw");
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(
            Origin::find(scripts.path(), "smsgw").unwrap(),
            Origin::Folder(folder)
        );
    }

    #[test]
    fn a_name_never_leaves_the_folder_and_a_typing_error_is_named() {
        let scripts = Path::new("/nowhere");
        assert!(matches!(
            Origin::find(scripts, "../smsgw"),
            Err(ScriptError::Name { .. })
        ));
        let error = Origin::find(scripts, "smsgv").unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("did you mean `smsgw`?"));
    }
}
