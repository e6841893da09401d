//! What the request asks for: gzip or not, and the names of the query.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// Whether an `Accept-Encoding` header allows gzip.
pub(super) fn accepts_gzip(header: &str) -> bool {
    let weight = |wanted: &str| {
        header.split(',').find_map(|part| {
            let mut fields = part.split(';').map(str::trim);
            let coding = fields.next()?;
            let q = fields.find_map(|f| f.strip_prefix("q=").or_else(|| f.strip_prefix("Q=")));
            coding.eq_ignore_ascii_case(wanted).then(|| q.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0)))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|q| q > 0.0)
}

/// The text, compressed fast: a scrape should cost little.
pub(super) fn gzip(text: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
    encoder.write_all(text).ok()?;
    encoder.finish().ok()
}

/// The values of `name[]` in a query.
pub(super) fn names(query: &str) -> Vec<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| decode(key) == "name[]").map(|(_, value)| decode(value)).collect()
}

/// `%41+b` to `A b`.
fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let hex = tail.get(..2).and_then(|h| str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok());
        match (byte, hex) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_only_where_it_is_welcome() {
        for (header, want) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0, *", false),
            ("identity", false),
            ("", false),
            ("xgzip", false),
        ] {
            assert_eq!(accepts_gzip(header), want, "{header}");
        }
    }

    #[test]
    fn names_are_percent_decoded() {
        assert_eq!(names("name[]=a_b&x=1&name%5B%5D=c%20d&name=e&name[]"), ["a_b", "c d"]);
        assert_eq!(names("name[]=%zz%4"), ["%zz%4"]);
    }
}
