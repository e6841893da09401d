//! Labels of flows from a CSV file: which columns it has, and what may stand in them.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord, Trim};
use joyfuljay_core::Config;
use joyfuljay_core::frame::TimeNs;
use joyfuljay_core::labels::{LabelRule, Labels};
use joyfuljay_core::packet::IpProtocol;
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Why there are no labels.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LabelsError {
    /// The file cannot be read.
    #[error("labels: {path}: {}", crate::error::without_codes(&.error.to_string()))]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// It is no file of labels.
    #[error("labels: {path}: {problem}")]
    Columns {
        /// The file.
        path: String,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// A line cannot be read.
    #[error("labels: {path}: line {line}: {problem}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong, and the way out.
        problem: String,
    },
}

/// Reads the labels that a configuration names, if it does.
///
/// # Errors
/// When the file cannot be read, has no column of labels or none that tells flows apart, or a value cannot be understood.
pub fn labels(config: &Config) -> Result<Option<Arc<Labels>>, LabelsError> {
    let Some(path) = &config.labels else { return Ok(None) };
    let file = File::open(path).map_err(|error| LabelsError::Read { path: path.clone(), error })?;
    read(path, file).map(|labels| Some(Arc::new(labels)))
}

/// What a column says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Column {
    SrcIp,
    DstIp,
    SrcPort,
    DstPort,
    Protocol,
    Start,
    End,
    Label,
}

/// Each column with its own name first, then with those of Zeek, of CICFlowMeter's and of UNSW's files. Case, spaces and the like make no difference.
const COLUMNS: &[(Column, &[&str])] = &[
    (Column::SrcIp, &["src_ip", "source_ip", "src_addr", "src", "id.orig_h"]),
    (Column::DstIp, &["dst_ip", "destination_ip", "dst_addr", "dst", "id.resp_h"]),
    (Column::SrcPort, &["src_port", "source_port", "sport", "id.orig_p"]),
    (Column::DstPort, &["dst_port", "destination_port", "dport", "dsport", "id.resp_p"]),
    (Column::Protocol, &["protocol", "proto"]),
    (Column::Start, &["start_time", "start", "stime", "ts", "timestamp"]),
    (Column::End, &["end_time", "end", "ltime"]),
    (Column::Label, &["label", "class"]),
];

/// Names of protocols beside those of [`IpProtocol`], with their numbers (IANA).
const PROTOCOLS: &[(&str, u8)] = &[("ipv6-icmp", 58), ("ospf", 89)];

/// Longest line: what is longer is no file of labels.
const MAX_LINE: usize = 1 << 20;

fn read(path: &str, input: impl Read) -> Result<Labels, LabelsError> {
    let columns_error = |problem: String| LabelsError::Columns { path: path.to_owned(), problem };
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(Lines { input, len: 0 });
    let csv_error = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        let problem = match error.into_kind() {
            csv::ErrorKind::Io(error) => return LabelsError::Read { path: path.to_owned(), error },
            csv::ErrorKind::Utf8 { .. } => "is no UTF-8 text".to_owned(),
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("has {len} columns where the first line has {expected_len}; is a quotation mark open?")
            }
            other => format!("is no CSV: {other:?}"),
        };
        LabelsError::Line { path: path.to_owned(), line, problem }
    };
    let header = reader.headers().map_err(csv_error)?.clone();
    let columns = columns(&header).map_err(columns_error)?;
    let mut known = HashSet::new();
    let mut record = StringRecord::new();
    Labels::new(std::iter::from_fn(|| {
        loop {
            match reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(csv_error(error))),
            }
            let line = record.position().map_or(0, csv::Position::line);
            match rule(&columns, &record, &mut known) {
                Ok(None) => {}
                Ok(Some(rule)) => return Some(Ok(rule)),
                Err(problem) => return Some(Err(LabelsError::Line { path: path.to_owned(), line, problem })),
            }
        }
    }))
}

/// Bytes in lines: input without any, such as a device's, is not read for ever.
struct Lines<R> {
    input: R,
    /// Bytes since the last line feed.
    len: usize,
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(to)?;
        let read = to.get(..n).unwrap_or_default();
        self.len = match read.iter().rposition(|b| *b == b'\n') {
            Some(last) => n - last - 1,
            None => self.len + n,
        };
        if self.len > MAX_LINE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a line has more than 1 MiB: is it a CSV file of labels?",
            ));
        }
        Ok(n)
    }
}

/// Where each column stands.
fn columns(header: &StringRecord) -> Result<HashMap<Column, usize>, String> {
    let plain = |name: &str| name.trim_start_matches('\u{feff}').to_ascii_lowercase().replace([' ', '_', '-', '.'], "");
    let mut columns = HashMap::new();
    for (at, name) in header.iter().enumerate() {
        let is = |(_, names): &&(Column, &[&str])| names.iter().any(|of| plain(of) == plain(name));
        if let Some((column, names)) = COLUMNS.iter().find(is)
            && columns.insert(*column, at).is_some()
        {
            return Err(format!("has two columns for {}", names[0]));
        }
    }
    if !columns.contains_key(&Column::Label) {
        let names: Vec<_> = COLUMNS.iter().map(|(_, names)| names[0]).collect();
        return Err(format!("has no column label: its first line must name its columns, of {}", names.join(", ")));
    }
    if columns.len() == 1 {
        return Err(
            "has labels, and no column that says for which flows (src_ip, dst_port, start_time and so on)".to_owned()
        );
    }
    Ok(columns)
}

/// The rule of a line; none where it has no label.
fn rule(
    columns: &HashMap<Column, usize>,
    record: &StringRecord,
    known: &mut HashSet<Arc<str>>,
) -> Result<Option<LabelRule>, String> {
    let text = |column| columns.get(&column).and_then(|at| record.get(*at)).filter(|text| !text.is_empty());
    let Some(label) = text(Column::Label) else { return Ok(None) };
    if label.contains(['\n', '\r']) {
        return Err("has a label of several lines; is a quotation mark open?".to_owned());
    }
    // Many lines have few labels.
    let label = match known.get(label) {
        Some(label) => Arc::clone(label),
        None => {
            let label: Arc<str> = label.into();
            known.insert(Arc::clone(&label));
            label
        }
    };
    let address = |column| text(column).map(network).transpose();
    let port = |column| {
        let parse = |text: &str| text.parse().map_err(|_| format!("'{text}' is no port: a number from 0 to 65535"));
        text(column).map(parse).transpose()
    };
    let from = text(Column::Start).map(|text| moment(text, false)).transpose()?;
    let to = text(Column::End).map(|text| moment(text, true)).transpose()?;
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err("ends before it starts".to_owned());
    }
    Ok(Some(LabelRule {
        addresses: [address(Column::SrcIp)?, address(Column::DstIp)?],
        ports: [port(Column::SrcPort)?, port(Column::DstPort)?],
        protocol: text(Column::Protocol).map(protocol).transpose()?,
        from,
        to,
        label,
    }))
}

/// An address, or a network: an address and how many of its leading bits count.
fn network(text: &str) -> Result<(IpAddr, u8), String> {
    let wrong = || format!("'{text}' is no address, and no network such as 10.0.0.0/8");
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
    if bits <= most { Ok((address, bits)) } else { Err(wrong()) }
}

fn protocol(text: &str) -> Result<u8, String> {
    let mut names = IpProtocol::ALL.iter().map(|p| (p.name, p.number)).chain(PROTOCOLS.iter().copied());
    let named = names.find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, number)| number);
    let wrong =
        || format!("'{text}' is no protocol: a number, or a name such as tcp, udp, icmp, icmpv6, sctp, gre, esp");
    named.or_else(|| text.parse().ok()).ok_or_else(wrong)
}

/// A time: Unix seconds, or as RFC 3339 has it, also with a space. The `last` nanosecond that it may be, or the first.
fn moment(text: &str, last: bool) -> Result<TimeNs, String> {
    let (ns, decimals) = written(text)?;
    let (before, behind) = match decimals {
        // Such times are cut, not rounded: the whole second.
        0 => (0, 999_999_999),
        // To the last digit, cut or rounded; but doubles, as which many programs have seconds, tell a quarter of a microsecond at best, and are
        // written without the zeros behind.
        1..=8 => [10_i64.pow(9 - decimals).clamp(1_000, 1_000_000); 2].into(),
        _ => (0, 0),
    };
    Ok(if last { ns.saturating_add(behind) } else { ns.saturating_sub(before) })
}

/// A time as it is written, and how many decimals it has.
fn written(text: &str) -> Result<(TimeNs, u32), String> {
    let wrong = || {
        format!(
            "'{text}' is no time: seconds since 1970 as 1499435760.25, or date, time and zone as 2017-07-07T13:56:00Z"
        )
    };
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let decimals = fraction.bytes().take_while(u8::is_ascii_digit).count() as u32;
    let number = text.strip_prefix('-').unwrap_or(text);
    if number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        let (seconds, fraction) = number.split_once('.').map_or((number, None), |(s, f)| (s, Some(f)));
        let seconds: i64 = seconds.parse().map_err(|_| wrong())?;
        let fraction = match fraction {
            None => 0,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                format!("{digits:0<9}").get(..9).and_then(|nine| nine.parse().ok()).ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        // What is beyond all times of packets may stand for ever.
        let ns = seconds.saturating_mul(1_000_000_000).saturating_add(fraction);
        let ns = if text.starts_with('-') { -ns } else { ns };
        return Ok((ns, decimals));
    }
    let time = OffsetDateTime::parse(&text.replacen(' ', "T", 1), &Rfc3339).map_err(|_| wrong())?;
    let ns = time.unix_timestamp_nanos().clamp(TimeNs::MIN.into(), TimeNs::MAX.into()) as TimeNs;
    Ok((ns, decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<usize, String> {
        read("l.csv", text.as_bytes()).map(|labels| labels.len()).map_err(|e| e.to_string())
    }

    #[test]
    fn columns_have_the_names_of_other_tools_too() {
        assert_eq!(rules("src_ip,label\n10.0.0.1,a\n\n10.0.0.2,\n"), Ok(1));
        assert_eq!(rules("\u{feff}Source IP,Destination Port,Protocol, Label\n10.0.0.1,80,6,\"a, b\"\n"), Ok(1));
        assert_eq!(rules("srcip,sport,dstip,dsport,proto,Stime,Ltime,Label\n::1,1,::2,2,TCP,1,2,0\n"), Ok(1));
        assert_eq!(rules("id.orig_h,id.resp_p,ts,class\n10.0.0.0/8,53,1.5,x\n"), Ok(1));
    }

    #[test]
    fn errors_name_the_line_and_the_way_out() {
        for (text, want) in [
            ("", "labels: l.csv: has no column label: its first line must name its columns, of src_ip,"),
            ("src_ip,what\n", "labels: l.csv: has no column label"),
            ("label\na\n", "labels: l.csv: has labels, and no column that says for which flows"),
            ("label,src,src_ip\n", "labels: l.csv: has two columns for src_ip"),
            ("src_ip,label\n10.0.0.1,a\n10.0.0,a\n", "labels: l.csv: line 3: '10.0.0' is no address"),
            ("src_ip,label\n10.0.0.0/33,a\n", "line 2: '10.0.0.0/33' is no address"),
            ("dport,label\n65536,a\n", "line 2: '65536' is no port"),
            ("proto,label\nquic,a\n", "line 2: 'quic' is no protocol"),
            ("start,label\n7/7/2017 1:56,a\n", "line 2: '7/7/2017 1:56' is no time"),
            ("start,end,label\n2,1,a\n", "line 2: ends before it starts"),
            ("dport,label\n1,a\n2,\"b\n3,c\n", "line 3: has a label of several lines; is a quotation mark open?"),
            (
                "label,dport\nx,1\n\"y,2\nz,3\n",
                "line 3: has 1 columns where the first line has 2; is a quotation mark open?",
            ),
        ] {
            let error = rules(text).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
        let endless = read("l.csv", io::repeat(b'x')).unwrap_err().to_string();
        assert!(endless.contains("a line has more than 1 MiB"), "{endless}");
        assert!(
            read("l.csv", &b"src_ip,label\n10.0.0.1,\xff\n"[..])
                .unwrap_err()
                .to_string()
                .contains("line 2: is no UTF-8")
        );
    }

    #[test]
    fn times_are_believed_to_their_last_digit() {
        let of = |text| (moment(text, false), moment(text, true));
        let around = |ns: i64, unit: i64| (Ok(ns - unit), Ok(ns + unit));
        let utc = 1_499_435_760_000_000_000;
        assert_eq!(of("1499435760.123456789"), around(utc + 123_456_789, 0));
        assert_eq!(of("1499435760.1234567"), around(utc + 123_456_700, 1_000));
        assert_eq!(of("1499435760.123"), around(utc + 123_000_000, 1_000_000));
        assert_eq!(of("-1.5"), around(-1_500_000_000, 1_000_000));
        assert_eq!(of("7"), (Ok(7_000_000_000), Ok(7_999_999_999)));
        assert_eq!(of("2017-07-07T13:56:00Z"), (Ok(utc), Ok(utc + 999_999_999)));
        assert_eq!(of("2017-07-07 10:56:00.25-03:00"), around(utc + 250_000_000, 1_000_000));

        assert_eq!(moment("99999999999", true), Ok(TimeNs::MAX));
        assert_eq!(moment("9999-01-01T00:00:00Z", true), Ok(TimeNs::MAX));
        for wrong in ["", ".", "1.2.3", "99999999999999999999", "2017-07-07T13:56:00", "2017-07-07", "1e9", "-"] {
            assert!(moment(wrong, false).is_err(), "{wrong}");
        }
    }
}
