//! How to read each family: what feeds it, what it shows on a good day, and what is worth a look.

use crate::table::Id;

/// What a person needs to know of a family beside its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The runs or processes that it has samples of.
    pub fed_by: &'static str,
    /// What it shows on a good day.
    pub normal: &'static str,
    /// What is worth a look; empty for what only tells.
    pub worrying: &'static str,
}

const EVERY: &str = "every run";
const FILES: &str = "rows into files, pipes, databases";
const KAFKA: &str = "Kafka output";
const LIVE: &str = "live capture";
const REMOTE: &str = "sensors and their clients";
const SERVER: &str = "the metrics server";
const PROCESS: &str = "the process, on Linux";

/// How to read a family.
#[rustfmt::skip] // a line each
pub fn reading(id: Id) -> Reading {
    let (fed_by, normal, worrying) = match id {
        Id::Packets => (EVERY, "grows", "stands still while a run goes on"),
        Id::Bytes | Id::Frames | Id::CapturedBytes | Id::WireBytes => (EVERY, "grows with packets", ""),
        Id::Flows => (EVERY, "mostly `fin`, `timeout`; `completed` at the end of an input", "`evicted` grows: the flow table is too small"),
        Id::Errors => (EVERY, "near 0", "a rate that stays: see `packets_skipped_total` for parsing, `output_errors_total` for output"),
        Id::ProcessingDuration | Id::LastRunDuration | Id::LastRunStart => (EVERY, "as long as the input needs", ""),
        Id::ActiveFlows => (EVERY, "level after some timeouts", "nears `flow_table_capacity_flows`"),
        Id::BuildInfo => ("every process", "1", ""),
        Id::PacketsSkipped => (EVERY, "`non_ip` is ARP and the like; `sampled` is wanted", "`malformed`, `truncated`, `unsupported_link_type` are a large share of frames"),
        Id::FramesFiltered => ("runs with bpf_filter", "what is not wanted", "all frames: the filter is wrong"),
        Id::OddTimes => (EVERY, "0", "above 0: a clock of the sensor, or a damaged capture"),
        Id::DatagramsReassembled => (EVERY, "few", ""),
        Id::DatagramsEvicted => (EVERY, "0", "grows: a flood of fragments"),
        Id::StreamsMalformed => (EVERY, "few; streams that began before the capture count too", "a sudden rise: an attack on parsers, or packet loss"),
        Id::StreamsGivenUp => (EVERY, "0", "grows: handshakes stay unread; raise max_memory"),
        Id::FlowTableCapacity => (EVERY, "as configured", ""),
        Id::FlowTableBytes => (EVERY, "level", "nears max_memory"),
        Id::FlowsStarted => (EVERY, "grows", "a jump: a scan or a flood"),
        Id::FlowEvictions => (EVERY, "0", "grows: raise max_concurrent_flows or max_memory, or lower flow_timeout"),
        Id::BatchDuration => (EVERY, "below 10 ms, `output` as the disk allows", "`output` of seconds: the sink holds the run up"),
        Id::ActiveRuns => (EVERY, "1 while a run goes on", "0 where a sensor should run"),
        Id::Runs => (EVERY, "`success`", "`failure`"),
        Id::LastRunSuccess => (EVERY, "the end of the last run", "older than the schedule of batch runs"),
        Id::InputReadBytes => ("captures from files and pipes", "grows to `input_size_bytes`", "stands still while a run goes on"),
        Id::InputSizeBytes => ("captures from files", "the size of the inputs", ""),
        Id::OutputRecords => (EVERY, "grows as flows end", "stands still while `flows_total` grows"),
        Id::OutputBytes => (FILES, "grows with rows", ""),
        Id::OutputErrors => (EVERY, "0", "above 0"),
        Id::OutputLost => ("`--output-error lose`", "0", "above 0: rows are gone"),
        Id::OutputRetries | Id::OutputQueueDepth => ("no run of this version", "absent", ""),
        Id::OutputLastSuccess => (EVERY, "now, while flows end", "minutes ago while flows end"),
        Id::SavedFrames => ("`--save-pcap`", "grows with frames", ""),
        Id::SavedFramesLost => ("`--save-pcap`", "0", "above 0: the saved capture has gaps"),
        Id::KafkaRows | Id::KafkaBytes => (KAFKA, "grows as flows end", "stands still while `flows_total` grows"),
        Id::KafkaRetries => (KAFKA, "0, or a few at a restart of a broker", "grows steadily"),
        Id::KafkaFailures => (KAFKA, "0", "above 0: rows are gone"),
        Id::KafkaQueueDepth => (KAFKA, "hundreds", "nears the bound of the queue: brokers are slow or away"),
        Id::KafkaDeliveryDuration => (KAFKA, "below 100 ms", "seconds"),
        Id::KafkaLastSuccess => (KAFKA, "now, while flows end", "minutes ago while flows end"),
        Id::CapturePackets => (LIVE, "grows", "stands still: the interface or the mirror port is silent"),
        Id::CaptureDrops => (LIVE, "0", "grows: what is counted is not all that passed"),
        Id::CaptureUp => (LIVE, "1", "0"),
        Id::QueueDepth => ("runs with several workers", "any, up to `queue_capacity`", "`chunks` always full: the sink holds the run up"),
        Id::QueueCapacity => ("runs with several workers", "as built", ""),
        Id::ExtractorSeconds | Id::ExtractorFlows => (EVERY, "grows as flows end", "one `extractor` takes most of the time: leave its group out"),
        Id::WorkerBusySeconds => (EVERY, "below 1 a second for each thread", "all near 1: more workers or fewer features"),
        Id::Watermark => ("every run, from its first packet on", "of live capture now, else the time of the capture", "of live capture it stands still"),
        Id::Lag => ("live capture and clients of sensors", "below 1 s", "grows: the run is slower than the traffic"),
        Id::RemoteConnections => (REMOTE, "as many as clients", "0 where a client should be"),
        Id::RemoteReconnects => (REMOTE, "few", "grows steadily: the network between them"),
        Id::RemoteMessages | Id::RemoteBytes => (REMOTE, "grows", ""),
        Id::RemoteDrops => (REMOTE, "0", "grows: `slow_client` is the client's or the network's"),
        Id::WatchCaptures => ("`jj watch`", "`read` grows", "`failed` grows: files that are no captures come into the folder"),
        Id::WatchCapturesWaiting => ("`jj watch`", "a few: the one that is being written", "grows: captures come faster than they are read"),
        Id::WatchLastCapture => ("`jj watch`", "as old as a capture is long", "older than two captures are long: none comes, or none is finished"),
        Id::WatchFlowsCut => ("`jj watch`", "0", "grows with each restart: flows last longer than ten idle timeouts"),
        Id::RemoteAuthFailures => ("sensors", "0", "grows: a wrong token, or somebody tries some"),
        Id::Scrapes => (SERVER, "`200`", "`401`: a wrong password; `503`: too many at once"),
        Id::ScrapeDuration => (SERVER, "below 10 ms", ""),
        Id::WebConfigReloads => ("the metrics server with a web configuration", "`success`", "`failure`: the old one stays in use"),
        Id::LabelOverflow => (SERVER, "0", "above 0: some values are under `other`"),
        Id::SinkErrors => ("metrics sinks of your own", "0", "above 0: your sink raised"),
        Id::ProcessCpuSeconds => (PROCESS, "at most the number of processors a second", ""),
        Id::ProcessResidentMemory => (PROCESS, "level", "grows for hours"),
        Id::ProcessVirtualMemory => (PROCESS, "any", ""),
        Id::ProcessOpenFds => (PROCESS, "tens", "nears `process_max_fds`"),
        Id::ProcessMaxFds => (PROCESS, "as the system allows", ""),
        Id::ProcessStartTime => (PROCESS, "the start", "changes often: the process is started again and again"),
    };
    Reading { fed_by, normal, worrying }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::METRICS;

    #[test]
    fn every_family_that_is_named_in_a_reading_is_one() {
        for m in METRICS {
            let how = reading(m.id);
            assert!(!how.fed_by.is_empty() && !how.normal.is_empty(), "{}", m.name);
            for text in [how.normal, how.worrying] {
                for name in text.split('`').skip(1).step_by(2).filter(|name| name.contains('_')) {
                    let is_label = m.labels.iter().any(|label| label.values.contains(&name));
                    assert!(is_label || METRICS.iter().any(|other| other.name == name), "{}: {name}", m.name);
                }
            }
        }
    }
}
