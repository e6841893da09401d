//! Our answers: the pipeline, in this process, without timeouts and without FIN splits.

use std::error::Error;
use std::net::IpAddr;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use joyfuljay::{Config, Summary};

use super::expected::Flow;
use super::false_positives::{self, Seen};
use crate::capture;

/// What a capture gave.
#[derive(Debug)]
pub struct Answer {
    /// Totals.
    pub summary: Summary,
    /// TCP and UDP rows.
    pub rows: Vec<Row>,
}

/// One row: `flow.src` is the initiator.
#[derive(Clone, Debug)]
pub struct Row {
    pub flow: Flow,
    /// Seconds since the epoch.
    pub start: f64,
    pub end: f64,
    /// What it was taken for.
    pub seen: Seen,
}

/// Runs one capture.
pub fn run(path: &Path) -> Result<Answer, Box<dyn Error>> {
    let ours = TEXTS.iter().chain(&WHOLES).chain(&REALS);
    let names = ours.chain(&false_positives::FLAGS).chain(&false_positives::TEXTS).map(|n| (*n).to_owned()).collect();
    let config = Config {
        flow_timeout: 9e9,
        terminate_on_fin_rst: false,
        max_concurrent_flows: 10_000_000,
        specific_features: Some(names),
        ..Config::default()
    };
    let (summary, batches) = capture::run(path, config)?;
    let mut rows = Vec::new();
    for batch in batches {
        read(&batch, &mut rows)?;
    }
    Ok(Answer { summary, rows })
}

const TEXTS: [&str; 2] = ["src_ip", "dst_ip"];
const WHOLES: [&str; 9] = [
    "protocol",
    "src_port",
    "dst_port",
    "packets_fwd",
    "packets_bwd",
    "bytes_fwd",
    "bytes_bwd",
    "payload_bytes_fwd",
    "payload_bytes_bwd",
];
const REALS: [&str; 7] =
    ["duration", "pkt_len_min", "pkt_len_max", "pkt_len_mean", "pkt_len_std", "start_time", "end_time"];

fn read(batch: &RecordBatch, rows: &mut Vec<Row>) -> Result<(), Box<dyn Error>> {
    let column = |name: &str| batch.column_by_name(name).ok_or_else(|| format!("no column {name}"));
    let texts = [column(TEXTS[0])?.as_string::<i32>(), column(TEXTS[1])?.as_string::<i32>()];
    let mut wholes = Vec::new();
    for name in WHOLES {
        wholes.push(column(name)?.as_primitive::<Int64Type>());
    }
    let mut reals = Vec::new();
    for name in REALS {
        let reals_of = column(name)?;
        reals.push(reals_of.as_primitive_opt::<Float64Type>().ok_or_else(|| format!("{name} is not float64"))?);
    }
    for (i, seen) in Seen::read(batch)?.into_iter().enumerate() {
        let whole: Vec<u64> =
            wholes.iter().map(|c| if c.is_null(i) { 0 } else { u64::try_from(c.value(i)).unwrap_or(0) }).collect();
        let real: Vec<f64> = reals.iter().map(|c| if c.is_null(i) { 0.0 } else { c.value(i) }).collect();
        let [protocol, sport, dport, pf, pb, bf, bb, lf, lb] = whole[..] else { continue };
        let [duration, min, max, mean, std, start, end] = real[..] else { continue };
        if !matches!(protocol, 6 | 17) {
            continue;
        }
        let flow = Flow {
            protocol: protocol as u8,
            src: (texts[0].value(i).parse::<IpAddr>()?, sport as u16),
            dst: (texts[1].value(i).parse::<IpAddr>()?, dport as u16),
            packets: [pf, pb],
            bytes: [bf, bb],
            payload: [lf, lb],
            duration,
            sizes: [min, max, mean, std],
        };
        rows.push(Row { flow, start, end, seen });
    }
    Ok(())
}
