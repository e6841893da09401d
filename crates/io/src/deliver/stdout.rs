//! Standard output as a place for rows.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::BytePlace;
use crate::sink::SinkError;

/// How errors name it.
const NAME: &str = "stdout";

/// Standard output without the line buffer of the standard library, which would search every chunk for a line end.
pub(super) struct Stdout(File);

impl Stdout {
    pub(super) fn open() -> Result<Self, SinkError> {
        duplicate().map(Self).map_err(|e| SinkError::io(NAME, "open", e))
    }
}

impl BytePlace for Stdout {
    fn name(&self) -> &str {
        NAME
    }

    fn is_followed(&self) -> bool {
        true
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Whether a path is a name of standard output. Such names lead to the file behind a redirection, which must be appended to,
/// not replaced.
pub(super) fn is_name_of(path: &Path) -> bool {
    ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

#[cfg(unix)]
fn duplicate() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn duplicate() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}
