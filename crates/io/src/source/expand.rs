//! What the user named, as a list of files in an order that does not depend on the file system.

use super::error::SourceError;
use std::fs;
use std::path::{Component, Path, PathBuf};

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
pub(super) fn expand(input: &Path, recursive: bool) -> Result<Group, SourceError> {
    let name = input.display().to_string();
    if input == Path::new("-") {
        return Ok(Group { name, named: true, files: vec![Item::Stdin] });
    }
    match fs::metadata(input) {
        Ok(meta) if meta.is_dir() => {
            let files = walk(input, recursive)?;
            if files.is_empty() {
                return Err(SourceError::EmptyDirectory { path: name });
            }
            Ok(Group { name, named: false, files: files.into_iter().map(Item::File).collect() })
        }
        Ok(_) => Ok(Group { name, named: true, files: vec![Item::File(input.to_owned())] }),
        // Asked last: a file may have a name that looks like a pattern.
        Err(_) if name.contains(['*', '?', '[']) => pattern(input, recursive),
        Err(error) => Err(SourceError::Open { path: name, error }),
    }
}

fn pattern(input: &Path, recursive: bool) -> Result<Group, SourceError> {
    let name = input.display().to_string();
    let mut found = vec![PathBuf::new()];
    for part in input.components() {
        let text = part.as_os_str().to_string_lossy();
        found = match part {
            Component::Normal(_) if text == "**" => below(found)?,
            Component::Normal(_) if text.contains(['*', '?', '[']) => {
                let pattern = glob::Pattern::new(&text)
                    .map_err(|e| SourceError::Pattern { pattern: name.clone(), problem: e.to_string() })?;
                matching(found, &pattern)?
            }
            _ => found.into_iter().map(|at| at.join(part)).filter(|path| path.exists()).collect(),
        };
    }
    let mut files = Vec::new();
    for path in found {
        if path.is_dir() {
            files.append(&mut walk(&path, recursive)?);
        } else {
            files.push(path);
        }
    }
    // `a*` and `**` may find a directory and the files in it.
    files.sort();
    files.dedup();
    if files.is_empty() {
        return Err(SourceError::NoMatch { pattern: name });
    }
    Ok(Group { name, named: false, files: files.into_iter().map(Item::File).collect() })
}

/// What is in these folders and has a name like this. Hidden entries only where the pattern begins with a dot; a name that is
/// no UTF-8 matches where its readable part does.
fn matching(folders: Vec<PathBuf>, pattern: &glob::Pattern) -> Result<Vec<PathBuf>, SourceError> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let mut found = Vec::new();
    for folder in folders {
        for path in entries(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if pattern.matches_with(&name, options) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// These folders and all below them, hidden ones and links left out.
fn below(folders: Vec<PathBuf>) -> Result<Vec<PathBuf>, SourceError> {
    let (mut open, mut all) = (folders, Vec::new());
    while let Some(folder) = open.pop() {
        let inner = entries(&folder)?.into_iter().filter(|path| path.is_dir() && !path.is_symlink());
        open.extend(inner.filter(|path| !is_hidden(path)));
        all.push(folder);
    }
    Ok(all)
}

/// What is in a folder, the present one if it has no name; nothing where it is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if !shown.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |error| SourceError::Open { path: shown.display().to_string(), error };
    fs::read_dir(shown).map_err(failed)?.map(|e| e.map(|e| folder.join(e.file_name())).map_err(failed)).collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
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
        let group = expand(&input, recursive).unwrap();
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
        let none = expand(&dir.path().join("*.nothing"), true).unwrap_err();
        assert!(none.to_string().contains("*.nothing"), "{none}");
    }

    #[test]
    fn patterns_have_their_usual_meaning() {
        let dir = tree();
        assert_eq!(names(&dir, "[!a]*.pcap", true), ["b.pcap"]);
        assert_eq!(names(&dir, "s?b/*", true), ["sub/c.pcap"]);
        assert_eq!(names(&dir, "s*", true), ["sub/c.pcap"]);
        assert_eq!(names(&dir, "**", true), ["a.pcap", "b.pcap", "sub/c.pcap"]);
        assert_eq!(names(&dir, ".h*", true), [".hidden.pcap"]);
        assert!(expand(&dir.path().join("[x"), true).unwrap_err().to_string().contains("[x"));
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_utf8_are_names_too() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tree();
        let odd = dir.path().join(std::ffi::OsStr::from_bytes(b"a\xff.pcap"));
        fs::write(&odd, b"x").unwrap();
        let files = |input: &Path| expand(input, true).unwrap().files;
        assert_eq!(files(&odd), [Item::File(odd.clone())]);
        assert_eq!(files(&dir.path().join("a*")), [Item::File(dir.path().join("a.pcap")), Item::File(odd)]);
        assert_eq!(files(&dir.path().join("b*")), [Item::File(dir.path().join("b.pcap"))]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = expand(Path::new("/nowhere/at-all.pcap"), true).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/at-all.pcap:"), "{error}");
    }
}
