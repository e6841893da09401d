//! A name for what is no capture: the commonest mistakes deserve a way out, not a dump of bytes.

use super::compressed::Compression;

/// What a file that is no capture looks like, and what to do with it where that is known.
pub(super) fn describe(head: &[u8], compression: Compression) -> String {
    let known: &[(&[u8], &str)] = &[
        (b"\xfd7zXZ\0", "it is xz-compressed: decompress it first, as in `xz -dc FILE | jj … -`"),
        (b"BZh", "it is bzip2-compressed: decompress it first, as in `bzip2 -dc FILE | jj … -`"),
        (b"PK\x03\x04", "it is a zip archive: unpack it first"),
        (b"snoop\0\0\0", "it is a snoop capture: convert it first, as in `editcap -F pcapng FILE OUT`"),
        (b"GMBU", "it is a Network Monitor capture: convert it first, as in `editcap -F pcapng FILE OUT`"),
        (b"PAR1", "it is a Parquet file"),
        (b"\x7fELF", "it is a program"),
    ];
    let inside = if compression == Compression::None { String::new() } else { format!("{compression} data; inside, ") };
    if head.is_empty() {
        return format!("{inside}it is empty");
    }
    if let Some((_, text)) = known.iter().find(|(magic, _)| head.starts_with(magic)) {
        return format!("{inside}{text}");
    }
    let start = head.get(..head.len().min(16)).unwrap_or_default();
    if start.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) {
        return format!("{inside}it looks like text: {:?}", String::from_utf8_lossy(start));
    }
    let hex: Vec<String> = start.iter().map(|b| format!("{b:02x}")).collect();
    format!("{inside}it begins with the bytes {}", hex.join(" "))
}
