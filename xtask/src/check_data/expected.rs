//! Reference answers.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::IpAddr;
use std::path::Path;

use crate::table::{Row, rows};

/// What is known of one capture.
#[derive(Debug, Default)]
pub struct Capture {
    /// Whether tshark read it to the end.
    pub readable: bool,
    /// Frames.
    pub frames: u64,
    /// Frames with an outermost IP header.
    pub ip_packets: u64,
    /// Bytes of these.
    pub ip_bytes: u64,
    /// First and last time in nanoseconds.
    pub times: Option<(i64, i64)>,
    /// TCP and UDP flows with ports.
    pub flows: Vec<Flow>,
    /// Fragments of TCP and UDP: rows without ports.
    pub fragments: Vec<Flow>,
    /// Frames with more than one IP header: with some, there may be flows beside these.
    pub tunnelled: u64,
}

/// One flow without timeouts.
#[derive(Clone, Debug)]
pub struct Flow {
    pub protocol: u8,
    pub src: (IpAddr, u16),
    pub dst: (IpAddr, u16),
    /// From `src`, from `dst`.
    pub packets: [u64; 2],
    pub bytes: [u64; 2],
    pub payload: [u64; 2],
    /// Seconds.
    pub duration: f64,
    /// Smallest, largest, mean and standard deviation (population) of IP lengths.
    pub sizes: [f64; 4],
}

/// Captures by the path that the manifest has.
pub fn load(folder: &Path) -> Result<BTreeMap<String, Capture>, Box<dyn Error>> {
    let mut set: BTreeMap<String, Capture> = BTreeMap::new();
    for row in rows(&folder.join("MANIFEST.csv"))? {
        let file = row.text("file")?;
        if folder.join(file).is_file() {
            set.insert(file.to_owned(), Capture::default());
        }
    }
    for row in rows(&folder.join("expected/captures.csv"))? {
        if let Some(capture) = set.get_mut(row.text("file")?) {
            capture.readable = row.text("tshark_rc")? == "0";
            capture.frames = row.number("packets")?;
            capture.ip_packets = row.number("ip_packets")?;
            capture.ip_bytes = row.number("ip_bytes")?;
            capture.times = nanoseconds(row.text("first_ts")?).zip(nanoseconds(row.text("last_ts")?));
            capture.tunnelled = row.number("tunnelled_frames")?;
        }
    }
    for row in rows(&folder.join("expected/flows.csv"))? {
        let Some(capture) = set.get_mut(row.text("file")?) else { continue };
        if !matches!(row.text("proto")?, "6" | "17") {
            continue;
        }
        let fragment = row.text("frag")? == "1";
        if fragment {
            capture.fragments.push(row.flow()?);
        } else if !row.text("sport")?.is_empty() {
            capture.flows.push(row.flow()?);
        }
    }
    Ok(set)
}

impl Row {
    fn address(&self, column: &str) -> Result<IpAddr, String> {
        let text = self.text(column)?;
        text.parse().map_err(|_| format!("{}: row {}: {column} = {text} is no address", self.file, self.line))
    }

    fn flow(&self) -> Result<Flow, String> {
        Ok(Flow {
            protocol: self.number("proto")?,
            src: (self.address("src")?, self.number("sport")?),
            dst: (self.address("dst")?, self.number("dport")?),
            packets: [self.number("pkts_fwd")?, self.number("pkts_bwd")?],
            bytes: [self.number("ip_bytes_fwd")?, self.number("ip_bytes_bwd")?],
            payload: [self.number("l4_payload_fwd")?, self.number("l4_payload_bwd")?],
            duration: self.number("duration")?,
            sizes: [
                self.number("iplen_min")?,
                self.number("iplen_max")?,
                self.number("iplen_mean")?,
                self.number("iplen_std_pop")?,
            ],
        })
    }
}

/// Nanoseconds of a decimal number of seconds, exactly.
fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction: i128 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let ns = whole.parse::<i128>().ok()? * 1_000_000_000 + fraction;
    i64::try_from(if negative { -ns } else { ns }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_exactly() {
        assert_eq!(nanoseconds("1112172466.496046000"), Some(1_112_172_466_496_046_000));
        assert_eq!(nanoseconds("-1.5"), Some(-1_500_000_000));
        assert_eq!(nanoseconds("7"), Some(7_000_000_000));
        assert_eq!(nanoseconds(""), None);
    }
}
