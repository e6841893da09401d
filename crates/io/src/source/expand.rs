//! What the user named, as a list of files in an order that does not depend on the file system.

use super::error::{SourceError, SourceWarning, Trouble};
use super::order::sort_found;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Files that were named together.
#[derive(Debug)]
pub(super) struct Group {
    /// What was named.
    pub(super) name: String,
    /// Whether a file that cannot be read is an error: named files are the user's word, found ones are a guess.
    pub(super) named: bool,
    /// The files, in order.
    pub(super) files: Vec<Item>,
    /// What was met in the search and is not read.
    pub(super) warnings: Vec<SourceWarning>,
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
    let one = |name, item| Group { name, named: true, files: vec![item], warnings: Vec::new() };
    if input == Path::new("-") {
        return Ok(one(name, Item::Stdin));
    }
    let mut search = Search::new(recursive);
    match fs::metadata(input) {
        Ok(meta) if meta.is_dir() => {
            // One that was named must be readable, those below it need not.
            fs::read_dir(input).map_err(|error| SourceError::Open { path: name.clone(), error })?;
            search.walk(input);
            search.found(name.clone(), SourceError::EmptyDirectory { path: name })
        }
        Ok(_) => Ok(one(name, Item::File(input.to_owned()))),
        // Asked last: a file may have a name that looks like a pattern.
        Err(_) if name.contains(['*', '?', '[']) => {
            search.pattern(input)?;
            search.found(name.clone(), SourceError::NoMatch { pattern: name })
        }
        Err(error) => Err(SourceError::Open { path: name, error }),
    }
}

/// A search for files. What cannot be looked into is noted, and the search goes on.
#[derive(Debug)]
struct Search {
    recursive: bool,
    files: Vec<PathBuf>,
    warnings: Vec<SourceWarning>,
    passed_over: PassedOver,
}

/// Entries of directories that are not read unless they are named.
#[derive(Debug, Default)]
struct PassedOver {
    hidden: usize,
    /// Links to directories: they may lead in a circle.
    links: usize,
    /// Pipes, sockets, devices: reading them takes what is in them, or waits.
    special: usize,
}

impl Search {
    fn new(recursive: bool) -> Self {
        Self { recursive, files: Vec::new(), warnings: Vec::new(), passed_over: PassedOver::default() }
    }

    /// What was found, in order; where that is nothing, an error: this one, unless something else is the reason.
    fn found(mut self, name: String, nothing: SourceError) -> Result<Group, SourceError> {
        if self.files.is_empty() {
            return Err(match self.warnings.into_iter().next() {
                Some(first) => SourceError::NothingRead { name, first: first.message },
                None => nothing,
            });
        }
        // `a*` and `**` may find a directory and the files in it.
        self.files.sort();
        self.files.dedup();
        sort_found(&mut self.files);
        if let Some(list) = self.passed_over.list() {
            let message = format!("{name}: not read, as only what is named is: {list}");
            self.warnings.push(SourceWarning { path: name.clone(), offset: 0, trouble: Trouble::PassedOver, message });
        }
        let files = self.files.into_iter().map(Item::File).collect();
        Ok(Group { name, named: false, files, warnings: self.warnings })
    }

    /// The files below a directory. Links to files are followed.
    fn walk(&mut self, root: &Path) {
        let mut open = vec![root.to_owned()];
        while let Some(directory) = open.pop() {
            for path in self.entries(&directory) {
                if is_hidden(&path) {
                    self.passed_over.hidden += 1;
                    continue;
                }
                let meta = match fs::symlink_metadata(&path) {
                    Ok(meta) => meta,
                    Err(e) => {
                        self.not_read(&path, &e);
                        continue;
                    }
                };
                match fs::metadata(&path) {
                    Ok(target) if target.is_file() => self.files.push(path),
                    Ok(target) if target.is_dir() && meta.is_symlink() => self.passed_over.links += 1,
                    Ok(target) if target.is_dir() => open.extend(self.recursive.then_some(path)),
                    Ok(_) => self.passed_over.special += 1,
                    Err(e) => self.not_read(&path, &e),
                }
            }
        }
    }

    fn pattern(&mut self, input: &Path) -> Result<(), SourceError> {
        let mut found = vec![PathBuf::new()];
        for part in input.components() {
            let text = part.as_os_str().to_string_lossy();
            found = match part {
                Component::Normal(_) if text == "**" => self.below(found),
                Component::Normal(_) if text.contains(['*', '?', '[']) => {
                    let pattern = glob::Pattern::new(&text).map_err(|e| SourceError::Pattern {
                        pattern: input.display().to_string(),
                        problem: e.to_string(),
                    })?;
                    self.matching(found, &pattern)
                }
                _ => found.into_iter().map(|at| at.join(part)).filter(|path| path.exists()).collect(),
            };
        }
        for path in found {
            if path.is_dir() {
                self.walk(&path);
            } else {
                self.files.push(path);
            }
        }
        Ok(())
    }

    /// What is in these folders and has a name like this. Hidden entries only where the pattern begins with a dot; a name that
    /// is no UTF-8 matches where its readable part does.
    fn matching(&mut self, folders: Vec<PathBuf>, pattern: &glob::Pattern) -> Vec<PathBuf> {
        let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
        let mut found = Vec::new();
        for folder in folders {
            found.extend(self.entries(&folder).into_iter().filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                pattern.matches_with(&name, options)
            }));
        }
        found
    }

    /// These folders and all below them, hidden ones and links left out.
    fn below(&mut self, folders: Vec<PathBuf>) -> Vec<PathBuf> {
        let (mut open, mut all) = (folders, Vec::new());
        while let Some(folder) = open.pop() {
            let inner = self.entries(&folder).into_iter().filter(|path| path.is_dir() && !path.is_symlink());
            open.extend(inner.filter(|path| !is_hidden(path)));
            all.push(folder);
        }
        all
    }

    /// What is in a folder, the present one if it has no name; nothing where it is none.
    fn entries(&mut self, folder: &Path) -> Vec<PathBuf> {
        let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if !shown.is_dir() {
            return Vec::new();
        }
        let read: io::Result<Vec<PathBuf>> =
            fs::read_dir(shown).and_then(|entries| entries.map(|e| e.map(|e| folder.join(e.file_name()))).collect());
        read.unwrap_or_else(|e| {
            self.not_read(shown, &e);
            Vec::new()
        })
    }

    fn not_read(&mut self, path: &Path, error: &io::Error) {
        let path = path.display().to_string();
        let message = format!("{path}: {error}; skipped");
        // A folder may be met by several parts of a pattern.
        if self.warnings.iter().all(|w| w.path != path) {
            self.warnings.push(SourceWarning { path, offset: 0, trouble: Trouble::NotRead, message });
        }
    }
}

impl PassedOver {
    /// `1 hidden entry, 2 links to directories`; none where nothing was.
    fn list(&self) -> Option<String> {
        let each = [
            (self.hidden, "hidden entry", "hidden entries"),
            (self.links, "link to a directory", "links to directories"),
            (self.special, "pipe or device", "pipes or devices"),
        ];
        let some: Vec<String> = each
            .into_iter()
            .filter(|(n, ..)| *n > 0)
            .map(|(n, one, more)| format!("{n} {}", if n == 1 { one } else { more }))
            .collect();
        (!some.is_empty()).then(|| some.join(", "))
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
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

    #[cfg(unix)]
    #[test]
    fn what_is_passed_over_is_said_and_what_is_gone_too() {
        use std::os::unix::fs::symlink;
        let dir = tree();
        symlink("sub", dir.path().join("link")).unwrap();
        symlink("a.pcap", dir.path().join("file")).unwrap();
        symlink("gone.pcap", dir.path().join("sub/dangling")).unwrap();
        let group = expand(dir.path(), true).unwrap();
        assert_eq!(group.files.len(), 4);
        let [gone, passed] = &group.warnings[..] else { panic!("{:?}", group.warnings) };
        assert!(gone.trouble == Trouble::NotRead && gone.message.contains("dangling: No such file"), "{gone}");
        assert!(passed.trouble == Trouble::PassedOver, "{passed}");
        assert!(passed.message.ends_with(": 2 hidden entries, 1 link to a directory"), "{passed}");
        fs::remove_file(dir.path().join("sub/c.pcap")).unwrap();
        let nothing = expand(&dir.path().join("sub"), true).unwrap_err();
        assert!(
            matches!(nothing, SourceError::NothingRead { .. }) && nothing.to_string().contains("dangling"),
            "{nothing}"
        );
    }
}
