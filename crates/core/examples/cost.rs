//! What a packet costs in each tracker, and what a row costs: `cargo run --release -p joyfuljay-core --example cost`.
//!
//! Not a test: numbers depend on the machine. 12 packets a flow, 512 flows open at a time, packets of flows mixed.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use joyfuljay_core::flow::{FlowBase, FlowStore, Spare};
use joyfuljay_core::packet::{Endpoint, FlowKey, Known, Layer, Layers, Packet, PacketInfo, Scope};
use joyfuljay_core::rows::{RowPlan, RowScratch};
use joyfuljay_core::trackers::{Context, PacketLog, Sizes, TcpFlags, Tracker};
use joyfuljay_core::{Config, Side};

const FLOWS: usize = 512;
const PACKETS: usize = 12;
const ROUNDS: usize = 400;

fn main() -> Result<(), Box<dyn Error>> {
    let packets: Vec<PacketInfo> = (0..FLOWS * PACKETS).map(packet).collect();
    tracker::<PacketLog>("PacketLog", &packets);
    tracker::<Sizes>("Sizes", &packets);
    tracker::<TcpFlags>("TcpFlags", &packets);
    for groups in
        [&["flow_meta"][..], &["timing"], &["size"], &["tcp"], &["flow_meta", "timing", "size", "tcp"], &["all"]]
    {
        rows(groups, &packets)?;
    }
    Ok(())
}

fn tracker<T: Tracker>(name: &str, packets: &[PacketInfo]) {
    let mut context = Context::default();
    let mut best = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        let mut flows: Vec<T> = (0..FLOWS).map(|_| T::start(&context.settings)).collect();
        let start = Instant::now();
        for (i, info) in packets.iter().enumerate() {
            let side = if info.from_lo { Side::A } else { Side::B };
            flows[i % FLOWS].update(&Packet::without_bytes(info), side, &mut context);
        }
        best[0] = best[0].min(start.elapsed().as_secs_f64());
        drop(black_box(flows));
        best[1] = best[1].min(start.elapsed().as_secs_f64());
    }
    let per_packet = best.map(|b| b * 1e9 / packets.len() as f64);
    println!("{name:10} {:5.2} ns a packet, {:5.2} with its end", per_packet[0], per_packet[1]);
}

fn rows(groups: &[&str], packets: &[PacketInfo]) -> Result<(), Box<dyn Error>> {
    let config = Config { features: groups.iter().map(|g| (*g).to_owned()).collect(), ..Config::default() };
    let plan = RowPlan::new(&config)?;
    let mut context = Context::new(plan.tracker_settings());
    let (mut store, mut spare) = (FlowStore::new(plan.trackers()), Spare::new(plan.tracker_settings()));
    let (mut best, mut best_update) = (f64::MAX, f64::MAX);
    let mut scratch = RowScratch::default();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for (i, info) in packets.iter().enumerate() {
            let packet = Packet::without_bytes(info);
            if i < FLOWS {
                store.insert(i, FlowBase::start(&packet, i as u64), &packet, &mut context, &mut spare);
            }
            store.update(i % FLOWS, &packet, &mut context);
        }
        best_update = best_update.min(start.elapsed().as_secs_f64());
        let flows: Vec<_> = (0..FLOWS).filter_map(|i| store.get(i)).collect();
        let start = Instant::now();
        black_box(plan.build(&flows, &mut scratch)?);
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{:28} {:3} columns: {:5.3} us a row; {:5.2} ns a packet in the store",
        groups.join(","),
        plan.features().len(),
        best * 1e6 / FLOWS as f64,
        best_update * 1e9 / packets.len() as f64
    );
    Ok(())
}

fn packet(i: usize) -> PacketInfo {
    let (flow, n) = (i % FLOWS, i / FLOWS);
    let mix = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let src = Endpoint::v4([10, 0, (flow >> 8) as u8, flow as u8], 1024 + flow as u16);
    let (key, _) = FlowKey::new(false, 6, true, src, Endpoint::v4([192, 168, 1, 7], 443), Scope::default());
    let payload = if mix.is_multiple_of(3) { 0 } else { (mix >> 8) as u32 % 1460 };
    let ts = 1_700_000_000_000_000_000 + (n as i64) * 3_000_000 + (mix % 2_000_000) as i64;
    PacketInfo {
        layers: Layers::of([Layer::Eth, Layer::Ip, Layer::Tcp]),
        ip_len: 40 + payload,
        payload_len: payload,
        window: 500,
        tcp_flags: match n {
            0 => 2,
            1 => 18,
            _ if mix & 4 == 0 => 16,
            _ => 24,
        },
        known: Known::TCP_HEADER,
        ..PacketInfo::by_hand(ts, key, n == 0 || mix & 2 == 0)
    }
}
