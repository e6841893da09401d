//! The engine as a whole: what a setting, the order of rows and the size of batches may and may not change.

use super::*;
use crate::flow::FlowRef;
use crate::frame::LinkType;
use crate::packet::FlowKey;
use crate::stats::{EndReason, SkipReason};
use crate::testing;

fn settings(config: &Config) -> EngineSettings {
    EngineSettings::new(config, TrackerMask::NONE, TrackerSettings::default())
}

/// A UDP packet of flow `n`: from 10.0.x.y:1000 to 10.1.0.1:53.
fn udp(n: u16) -> Vec<u8> {
    let [x, y] = n.to_be_bytes();
    testing::ip4_between([10, 0, x, y], [10, 1, 0, 1], 17, &testing::udp(1000, 53, &[1, 2, 3, 4]))
}

/// Packets as (milliseconds, flow).
type Input = Vec<(i64, u16)>;

/// Each of `flows` flows sends five packets, in turns, a millisecond apart.
fn turns(flows: u16) -> Input {
    (0..).zip((0..5).flat_map(|_| 0..flows)).collect()
}

struct Outcome {
    flows: Vec<(u64, FlowKey, u64, EndReason)>,
    stats: StatsDelta,
    chunks: Vec<usize>,
}

fn run(settings: EngineSettings, input: &[(i64, u16)], batch_size: usize) -> Outcome {
    run_early(settings, input, batch_size, None)
}

/// The same, and flows are taken out of a chunk while it grows, in multiples of `early`; chunks are told by their ends.
fn run_early(settings: EngineSettings, input: &[(i64, u16)], batch_size: usize, early: Option<usize>) -> Outcome {
    let (mut front, mut engine) = (Front::new(&settings), Engine::new(&settings));
    let mut batch = PacketBatch::default();
    let mut out = Outcome { flows: Vec::new(), stats: StatsDelta::default(), chunks: Vec::new() };
    let keep_flows = |flows: &[FlowRef<'_>], out: &mut Outcome| {
        out.flows.extend(flows.iter().map(|f| (f.base.first_seq, f.base.key, f.base.total_packets(), f.base.end)));
    };
    let mut growing = RowChunk::default();
    let keep = |growing: &mut RowChunk, last: RowChunk, out: &mut Outcome| {
        let mut chunk = std::mem::take(growing);
        chunk.append(last);
        out.chunks.push(chunk.len());
        keep_flows(&chunk.flows(), out);
    };
    for part in input.chunks(batch_size) {
        batch.frames.clear();
        for (ms, flow) in part {
            batch.frames.push(ms * 1_000_000, LinkType::RAW, 32, &udp(*flow));
        }
        front.decode(&mut batch);
        out.stats.add(&batch.stats);
        engine.track(&batch);
        if let Some(chunk) = engine.ready() {
            keep(&mut growing, chunk, &mut out);
        } else if let Some((multiple, piece)) = early.and_then(|multiple| Some((multiple, engine.piece()?))) {
            growing.append(piece);
            let flows = growing.next_flows(multiple);
            let taken = flows.len();
            assert_eq!(taken % multiple, 0);
            keep_flows(&flows, &mut out);
            growing.let_go(taken).for_each(|spent| engine.recycle(spent));
        }
    }
    if front.finish(&mut batch) {
        out.stats.add(&batch.stats);
        engine.track(&batch);
    }
    out.stats.add(&engine.take_stats());
    let mut drain = engine.finish(front.last_ts().unwrap_or_default());
    while let Some((piece, ended)) = drain.piece(early.unwrap_or(usize::MAX)) {
        out.stats.add(&drain.take_stats());
        match ended {
            true => keep(&mut growing, piece, &mut out),
            false => growing.append(piece),
        }
    }
    assert!(growing.is_empty(), "the last chunk ended");
    out
}

#[test]
fn a_small_limit_is_kept_by_one_partition() {
    let limit = |n| settings(&Config { max_concurrent_flows: n, ..Config::default() });
    let of = |s: EngineSettings| (s.partitions, s.flow.max_flows);
    assert_eq!(of(limit(1)), (1, 1));
    assert_eq!(of(limit(65_535)), (1, 65_535));
    assert_eq!(of(limit(65_536)), (PARTITIONS, 4_096));
    assert_eq!(of(limit(65_537)), (PARTITIONS, 4_097));
    let out = run(limit(7), &turns(20), 16);
    assert_eq!(out.stats.flows_created, 100, "each flow was evicted before its next packet");
    assert_eq!(out.stats.flows_ended[EndReason::Evicted], 93);
}

#[test]
fn timeouts_are_nanoseconds_and_never_overflow() {
    let s = settings(&Config { flow_timeout: 1.5, active_timeout: Some(1e300), ..Config::default() });
    assert_eq!((s.flow.idle_timeout, s.flow.active_timeout), (1_500_000_000, Some(i64::MAX)));
}

#[test]
fn what_is_open_at_the_end_comes_in_the_order_of_first_packets() {
    let settings = EngineSettings { chunk_rows: 30, ..settings(&Config::default()) };
    let out = run(settings, &turns(100), 64);
    assert_eq!(settings.partitions, PARTITIONS);
    assert_eq!(out.flows.iter().map(|f| f.0).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    assert_eq!(out.chunks, [30, 30, 30, 10]);
    assert!(out.flows.iter().all(|f| f.2 == 5 && f.3 == EndReason::EndOfInput));
}

#[test]
fn what_ends_in_a_batch_comes_before_what_ends_later() {
    // Flows 0 to 9 fall quiet while flow 99, which began before them, goes on.
    let mut input: Input = vec![(0, 99)];
    input.extend((0..10).map(|n| (1 + i64::from(n), 9 - n)));
    input.extend([(59_000, 99), (70_000, 99), (71_000, 99)]);
    let out = run(settings(&Config::default()), &input, 12);
    assert_eq!(out.flows.iter().map(|f| f.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0]);
    assert!(out.flows.iter().take(10).all(|f| f.3 == EndReason::Idle));
}

#[test]
fn sampling_keeps_whole_flows_and_is_deterministic() {
    let sampled = |rate, seed| {
        let config = Config { sampling_rate: Some(rate), sampling_seed: seed, ..Config::default() };
        run(settings(&config), &turns(1000), 300)
    };
    let out = sampled(0.3, 1);
    assert!(out.flows.iter().all(|f| f.2 == 5), "all packets of a flow or none");
    assert!((200..400).contains(&out.flows.len()), "{}", out.flows.len());
    assert_eq!(out.stats.packets + out.stats.skipped[SkipReason::Sampled], 5000);
    assert_eq!(out.stats.packets, out.flows.len() as u64 * 5);
    assert_eq!(out.flows, sampled(0.3, 1).flows);
    assert_ne!(out.flows, sampled(0.3, 2).flows);
    assert_eq!(sampled(1.0, 1).flows.len(), 1000);
    // A higher rate under the same seed only adds flows.
    let more: Vec<_> = sampled(0.6, 1).flows.iter().map(|f| f.1).collect();
    assert!(out.flows.iter().all(|f| more.contains(&f.1)));
}

#[test]
fn batches_of_any_size_give_the_same_flows() {
    // Pauses of up to 100 s, so that flows end by their gaps and by being given out.
    let mut input = turns(40);
    for (i, (ms, flow)) in input.iter_mut().enumerate() {
        *ms += 100_000 * (i as i64 / 50);
        *flow = *flow * 7 % 31;
    }
    let sorted = |size| {
        let mut out = run(settings(&Config::default()), &input, size);
        out.flows.sort_unstable_by_key(|f| f.0);
        (out.flows, out.stats.packets, out.stats.flows_created, out.stats.flows_ended, out.stats.active_flows)
    };
    let whole = sorted(1000);
    assert!(whole.2 > 100 && whole.4 == 0);
    for size in [1, 3, 50, 64] {
        assert_eq!(sorted(size), whole, "batches of {size}");
    }
}

#[test]
fn flows_that_are_taken_early_come_once_and_chunks_stay_as_they_are() {
    let settings = EngineSettings { chunk_rows: 30, ..settings(&Config::default()) };
    let mut input = turns(40);
    for (i, (ms, flow)) in input.iter_mut().enumerate() {
        *ms += 100_000 * (i as i64 / 50);
        *flow = *flow * 7 % 31;
    }
    let whole = run(settings, &input, 20);
    assert!(whole.chunks.len() > 3);
    for multiple in [1, 4, 7, 64] {
        let early = run_early(settings, &input, 20, Some(multiple));
        assert_eq!((&early.flows, &early.chunks), (&whole.flows, &whole.chunks), "in multiples of {multiple}");
    }
}

#[test]
fn a_time_from_a_broken_clock_ends_no_other_flow() {
    // A packet each second, and among them one of another flow that bears a day more, an hour less, or a little less.
    for stray in [86_400_000, -3_600_000, -61] {
        let mut input: Input = (0..90).map(|n| (10_000_000 + 1000 * n, 1)).collect();
        input.insert(45, (10_045_000 + stray, 2));
        for batch in [10, 91] {
            let out = run(settings(&Config::default()), &input, batch);
            let mut packets: Vec<_> = out.flows.iter().map(|flow| flow.2).collect();
            packets.sort_unstable();
            assert_eq!(packets, [1, 90], "{stray} ms, {batch} packets a batch");
        }
    }
}

#[test]
fn a_quiet_wire_gives_flows_out_by_the_clock() {
    let settings = settings(&Config::default());
    let (mut front, mut engine) = (Front::new(&settings), Engine::new(&settings));
    let mut batch = PacketBatch::default();
    batch.frames.push(0, LinkType::RAW, 32, &udp(1));
    front.decode(&mut batch);
    engine.track(&batch);
    for (now, rows) in [(None, None), (Some(60_000_000_000), None), (Some(60_000_000_001), Some(1))] {
        front.idle(now, &mut batch);
        engine.track(&batch);
        assert_eq!(engine.flush().map(|c| c.len()), rows, "{now:?}");
    }
    assert_eq!(engine.take_stats().flows_ended[EndReason::Idle], 1);
}

#[test]
fn a_quiet_wire_gives_up_fragments_that_wait() {
    let settings = settings(&Config::default());
    let (mut front, mut batch) = (Front::new(&settings), PacketBatch::default());
    let mut fragment = udp(1);
    // The second fragment of a datagram whose first one never comes.
    (fragment[6], fragment[7]) = (0, 8);
    batch.frames.push(0, LinkType::RAW, 32, &fragment);
    front.decode(&mut batch);
    assert_eq!(batch.packets().len(), 0);
    for (now, packets) in [(None, 0), (Some(30_000_000_000), 0), (Some(30_000_000_001), 1)] {
        front.idle(now, &mut batch);
        assert_eq!(batch.packets().len(), packets, "{now:?}");
    }
}

#[test]
fn rows_after_an_active_timeout_know_the_protocol_of_the_connection() {
    use crate::protocols::tls::testing::{Hello, record};
    use crate::rows::{RowPlan, RowScratch};
    use crate::testing::{ip4_between, tcp};
    use arrow_array::{Array, BooleanArray, StringArray};

    let features = ["app", "http", "http2", "tls"].map(str::to_owned).to_vec();
    let config = Config { active_timeout: Some(10.0), features, ..Config::default() };
    let plan = RowPlan::new(&config).unwrap();
    let settings = EngineSettings::new(&config, plan.trackers(), plan.tracker_settings());
    let extensions: &[(u16, &[u8])] = &[(16, b"\0\x03\x02h2")];
    let offers_h2 = Hello { version: 0x0303, ciphers: &[0x1301], extensions, ..Hello::default() };
    // What was chosen is not known, and stays so.
    let hello = record(22, &offers_h2.message());
    let cases = [
        (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], "http", [Some(true), Some(false), Some(false), Some(false)]),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2", [Some(false), Some(true), Some(false), Some(false)]),
        (&hello, "tls", [Some(false), None, Some(false), Some(true)]),
    ];
    for (first, protocol, detected) in cases {
        let (mut front, mut engine) = (Front::new(&settings), Engine::new(&settings));
        let mut batch = PacketBatch::default();
        for (second, payload) in [(0, first), (20, b"more"), (40, b"more")] {
            let frame = ip4_between([10, 0, 0, 1], [10, 0, 0, 2], 6, &tcp(40_000, 80, 0x18, payload));
            batch.frames.push(second * 1_000_000_000, LinkType::RAW, frame.len() as u32, &frame);
        }
        front.decode(&mut batch);
        engine.track(&batch);
        let mut drain = engine.finish(0);
        let rows = plan.build(&drain.next().unwrap().flows(), &mut RowScratch::default()).unwrap();
        let text = rows.column_by_name("app_protocol").unwrap();
        let protocols: Vec<_> = text.as_any().downcast_ref::<StringArray>().unwrap().iter().collect();
        assert_eq!(protocols, [Some(protocol); 3]);
        let names = ["http_detected", "http2_detected", "http3_detected", "tls_detected"];
        for (name, detected) in names.into_iter().zip(detected) {
            let column = rows.column_by_name(name).unwrap();
            let found: Vec<_> = column.as_any().downcast_ref::<BooleanArray>().unwrap().iter().collect();
            assert_eq!(found, [detected; 3], "{protocol}: {name}");
        }
    }
}

/// Wants the packets of every third flow.
#[derive(Debug)]
struct Third;

impl crate::frame::FrameFilter for Third {
    fn matches(&mut self, _: LinkType, _: u32, bytes: &[u8]) -> bool {
        (0..3_000).step_by(3).any(|flow| bytes == udp(flow))
    }

    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn useless(&self) -> Option<String> {
        None
    }
}

#[test]
fn a_filter_leaves_out_frames_but_not_their_time() {
    let settings = settings(&Config::default());
    let (mut front, mut engine) = (Front::new(&settings), Engine::new(&settings));
    front.set_filter(Some(Box::new(Third)));
    let (mut batch, mut stats) = (PacketBatch::default(), StatsDelta::default());
    for (seconds, flows) in [(1, 0..9), (200, 7..9)] {
        batch.frames.clear();
        flows.for_each(|flow| batch.frames.push(seconds * 1_000_000_000, LinkType::RAW, 32, &udp(flow)));
        front.decode(&mut batch);
        stats.add(&batch.stats);
        engine.track(&batch);
    }
    stats.add(&engine.take_stats());
    assert_eq!((stats.frames, stats.filtered, stats.packets, stats.skipped.total()), (11, 8, 3, 0));
    assert_eq!((stats.captured_bytes, stats.wire_bytes), (11 * udp(0).len() as u64, 11 * 32));
    assert_eq!((front.first_ts(), front.last_ts()), (Some(1_000_000_000), Some(200_000_000_000)));
    // None of the second batch's frames is wanted, and the flows are over by its time.
    assert_eq!(stats.flows_ended[EndReason::Idle], 3);
    assert_eq!(stats.remarks(), [""; 0]);
    stats.filtered = stats.frames;
    assert_eq!(stats.remarks(), ["none of the 11 frames matches the filter"]);
}
