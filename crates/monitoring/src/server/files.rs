//! Small files that a configuration names, read whole.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A web configuration, a certificate chain or a key of more than this is none.
const MAX_BYTES: u64 = 1 << 20;

/// The contents of a regular file. A pipe in its place would hold the reader up for as long as nobody writes, a device for ever.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    if !std::fs::metadata(path).map_err(|e| e.to_string())?.is_file() {
        return Err("not a regular file".to_owned());
    }
    let file = File::open(path).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("more than {MAX_BYTES} bytes; is this the right file?"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_some_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
        assert_eq!(read(&file).map(|b| b.len()), Ok(1 << 20));
        std::fs::write(&file, vec![b'x'; (1 << 20) + 1]).unwrap();
        assert!(read(&file).unwrap_err().contains("right file?"));
        assert!(read(dir.path()).unwrap_err().contains("not a regular file"));
        assert!(read(&dir.path().join("none")).is_err());
        #[cfg(unix)]
        assert!(read(Path::new("/dev/zero")).unwrap_err().contains("not a regular file"));
    }
}
