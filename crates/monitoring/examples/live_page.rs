//! Serves the live page with numbers that change, as a run would make them: `cargo run --example live_page [-- PORT]`.

use joyfuljay_core::metrics::{MetricsSink, Mode, Stage};
use joyfuljay_core::stats::{EndReason, SkipReason, StatsDelta};
use joyfuljay_monitoring::{PrometheusMetrics, Registry, ServerOptions, start_server};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(9095), |p| p.parse())?;
    let registry = Registry::new().with_process();
    let metrics = PrometheusMetrics::new(&registry, "joyfuljay")?;
    let server = start_server("127.0.0.1", port, &registry, ServerOptions::default())?;
    println!("{}", server.url());
    metrics.table_capacity(200_000);
    for seconds in [0.4, 2.1, 37.0] {
        metrics.run_started(Mode::Pcap);
        metrics.run_finished(Mode::Pcap, seconds, true);
    }
    metrics.run_started(Mode::Pcap);
    let (begun, size) = (Instant::now(), 38_000_000_000u64);
    let (mut read, mut active) = (0u64, 0i64);
    while read < size {
        let t = begun.elapsed().as_secs_f64();
        let wave = 1.0 + 0.35 * (t / 4.0).sin() + 0.12 * (t * 1.7).sin();
        let packets = (18_000.0 * wave) as u64;
        let ended = (packets / 90) as i64;
        let mut delta = StatsDelta {
            frames: packets + 40,
            packets,
            bytes: packets * 712,
            captured_bytes: packets * 726,
            wire_bytes: packets * 726,
            flows_created: ended as u64 + 20,
            ..StatsDelta::default()
        };
        let wanted = (60_000.0 * wave) as i64;
        delta.active_flows = wanted - active;
        delta.table_bytes = (wanted - active) * 640;
        active = wanted;
        let parts = [
            (EndReason::Fin, 60),
            (EndReason::Idle, 22),
            (EndReason::Rst, 12),
            (EndReason::Active, 4),
            (EndReason::EndOfInput, 2),
        ];
        for (reason, percent) in parts {
            delta.flows_ended[reason] = (ended * percent / 100) as u64;
        }
        delta.skipped[SkipReason::NonIp] = 31;
        delta.skipped[SkipReason::Fragment] = u64::from(((t * 10.0) as u64).is_multiple_of(23));
        delta.skipped[SkipReason::Truncated] = u64::from(((t * 10.0) as u64).is_multiple_of(17));
        metrics.record(&delta);
        for (stage, seconds) in
            [(Stage::Decode, 0.00021), (Stage::Track, 0.00047), (Stage::Extract, 0.00033), (Stage::Output, 0.00055)]
        {
            metrics.batch_duration(stage, seconds * wave);
        }
        metrics.output("parquet", ended as u64, ended as u64 * 900);
        read += packets * 742;
        metrics.input_progress(read.min(size), Some(size));
        std::thread::sleep(Duration::from_millis(50));
    }
    metrics.run_finished(Mode::Pcap, begun.elapsed().as_secs_f64(), true);
    std::thread::park();
    Ok(())
}
