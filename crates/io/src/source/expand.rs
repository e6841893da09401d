//! What the user named, as a list of files in an order that does not depend on the file system.

use super::error::SourceError;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that were named together.
#[derive(Debug)]
pub(super) struct Group {
    /// What was named.
    pub(super) name: String,
    /// Whether a file that is no capture is an error: named files are the user's word, found ones are a guess.
    pub(super) named: bool,
    /// The files, in order.
    pub(super) files: Vec<Item>,
}

/// One thing to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Stdin,
    File(PathBuf),
}

/// Finds the files of one input: `-`, a file, a directory, or a pattern.
pub(super) fn expand(input: &str, recursive: bool) -> Result<Group, SourceError> {
    if input == "-" {
        return Ok(Group { name: input.to_owned(), named: true, files: vec![Item::Stdin] });
    }
    let path = Path::new(input);
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {
            let files = walk(path, recursive)?;
            if files.is_empty() {
                return Err(SourceError::EmptyDirectory { path: input.to_owned() });
            }
            Ok(Group { name: input.to_owned(), named: false, files: files.into_iter().map(Item::File).collect() })
        }
        Ok(_) => Ok(Group { name: input.to_owned(), named: true, files: vec![Item::File(path.to_owned())] }),
        // Asked last: a file may have a name that looks like a pattern.
        Err(_) if input.contains(['*', '?', '[']) => pattern(input, recursive),
        Err(error) => Err(SourceError::Open { path: input.to_owned(), error }),
    }
}

fn pattern(input: &str, recursive: bool) -> Result<Group, SourceError> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let matches = glob::glob_with(input, options)
        .map_err(|e| SourceError::Pattern { pattern: input.to_owned(), problem: e.to_string() })?;
    let mut files = Vec::new();
    for found in matches {
        let found = found.map_err(|e| SourceError::Open { path: e.path().display().to_string(), error: e.into() })?;
        if found.is_dir() {
            files.append(&mut walk(&found, recursive)?);
        } else {
            files.push(found);
        }
    }
    // `a*` and `**` may find a directory and the files in it.
    files.sort();
    files.dedup();
    if files.is_empty() {
        return Err(SourceError::NoMatch { pattern: input.to_owned() });
    }
    Ok(Group { name: input.to_owned(), named: false, files: files.into_iter().map(Item::File).collect() })
}

/// The files below `root`, sorted by path. Symbolic links to files are followed, those to directories are not: they
/// may lead in a circle. Hidden entries are passed over.
fn walk(root: &Path, recursive: bool) -> Result<Vec<PathBuf>, SourceError> {
    let mut files = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        let failed = |error| SourceError::Open { path: dir.display().to_string(), error };
        for entry in fs::read_dir(&dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let kind = entry.file_type().map_err(failed)?;
            let path = entry.path();
            if kind.is_dir() {
                if recursive {
                    open.push(path);
                }
            } else if kind.is_file() || (kind.is_symlink() && path.is_file()) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.pcap", "a.pcap", ".hidden.pcap", "sub/c.pcap", "sub/.git/d.pcap"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        dir
    }

    fn names(dir: &tempfile::TempDir, input: &str, recursive: bool) -> Vec<String> {
        let input = dir.path().join(input);
        let group = expand(input.to_str().unwrap(), recursive).unwrap();
        let path = |item: &Item| match item {
            Item::Stdin => "-".to_owned(),
            Item::File(path) => path.strip_prefix(dir.path()).unwrap().display().to_string(),
        };
        group.files.iter().map(path).collect()
    }

    #[test]
    fn directories_are_sorted_and_hidden_files_passed_over() {
        let dir = tree();
        assert_eq!(names(&dir, "", true), ["a.pcap", "b.pcap", "sub/c.pcap"]);
        assert_eq!(names(&dir, "", false), ["a.pcap", "b.pcap"]);
    }

    #[test]
    fn patterns_are_expanded_and_sorted() {
        let dir = tree();
        assert_eq!(names(&dir, "*.pcap", true), ["a.pcap", "b.pcap"]);
        assert_eq!(names(&dir, "**/*.pcap", true), ["a.pcap", "b.pcap", "sub/c.pcap"]);
        let none = expand(dir.path().join("*.nothing").to_str().unwrap(), true).unwrap_err();
        assert!(none.to_string().contains("*.nothing"), "{none}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = expand("/nowhere/at-all.pcap", true).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/at-all.pcap:"), "{error}");
    }
}
