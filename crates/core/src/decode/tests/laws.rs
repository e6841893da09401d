//! What holds for any bytes at all.

use proptest::prelude::*;

use super::*;

/// Every link type that there is a decoder for, and one there is none for.
fn links() -> Vec<u16> {
    let decoded = LinkType::ALL.iter().filter(|l| is_supported(**l));
    decoded.chain(&[LinkType::USER0]).map(|l| l.0).collect()
}

fn batch_of(frames: Vec<(u16, Vec<u8>, u32)>) -> FrameBatch {
    let mut batch = FrameBatch::new();
    for (i, (link, bytes, more)) in frames.iter().enumerate() {
        batch.push(i as i64 * 7_000_000_000, LinkType(*link), bytes.len() as u32 + more, bytes);
    }
    batch
}

/// Bytes that get further than noise does: an IP header in front.
fn ip_like() -> impl Strategy<Value = Vec<u8>> {
    let protocols = prop::sample::select(vec![1, 4, 6, 17, 33, 41, 44, 47, 51, 60, 97, 103, 115, 132, 136, 137, 143]);
    let ports =
        prop::sample::select(vec![53, 1701, 2152, 2268, 3544, 4341, 4754, 4789, 4790, 5247, 5555, 6080, 6081, 37008]);
    (any::<bool>(), protocols, ports, any::<u16>(), prop::collection::vec(any::<u8>(), 0..120)).prop_map(
        |(v6, protocol, port, field, bytes)| {
            let payload = if protocol == UDP { udp_to(9, port, &bytes) } else { bytes };
            match v6 {
                true => eth(0x86dd, &ip6(protocol, &payload)),
                false if field % 3 == 0 => {
                    eth(0x800, &ip4_part(protocol, field % 4, field & 0xf8, field & 1 == 1, &payload))
                }
                false => eth(0x800, &ip4(protocol, &payload)),
            }
        },
    )
}

proptest! {
    #[test]
    fn every_frame_is_one_packet_or_one_reason(
        frames in prop::collection::vec(
            (prop::sample::select(links()), prop::collection::vec(any::<u8>(), 0..200), 0u32..100), 0..20),
    ) {
        prop_assert!(Run::of(batch_of(frames)).is_conserved());
    }

    #[test]
    fn every_frame_with_ip_is_one_packet_or_one_reason(frames in prop::collection::vec(ip_like(), 0..20), cut in 0usize..40) {
        let frames = frames.into_iter().map(|mut f| {
            f.truncate(f.len().saturating_sub(cut).max(20));
            (1, f, cut as u32)
        });
        let run = Run::of(batch_of(frames.collect()));
        prop_assert!(run.is_conserved());
        for p in &run.out.packets {
            prop_assert!(p.payload_start <= p.payload_end && p.payload_end as usize <= run.batch.data.len());
        }
    }

    #[test]
    fn the_straight_line_and_the_walk_agree(bytes in ip_like(), cut in 0usize..60, more in 0u32..20) {
        let mut bytes = bytes;
        bytes.truncate(bytes.len().saturating_sub(cut));
        let batch = batch_of(vec![(1, bytes, more)]);
        let frame = &batch.frames[0];
        if let Some(fast) = fast::packet(&batch.data, 0, frame, [1, 2]) {
            let (mut decoder, mut out) = (Decoder::new([1, 2], DecodeSettings::default()), Decoded::default());
            decoder.walk(batch.data.len(), &batch.data, 0, frame, &mut out);
            prop_assert_eq!(format!("{:?}", out.packets), format!("{:?}", [fast]));
            prop_assert_eq!(out.stats.ip_bytes, u64::from(fast.ip_len));
        }
    }

    #[test]
    fn fragments_in_any_order_give_the_datagram(
        v6 in any::<bool>(),
        payload in prop::collection::vec(any::<u8>(), 1..400),
        step in (3usize..20).prop_map(|n| n * 8),
        seed in any::<u64>(),
    ) {
        let mut parts = fragments(v6, &payload, step);
        prop_assume!(parts.len() > 1);
        let mut order = seed;
        for i in (1..parts.len()).rev() {
            order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            parts.swap(i, (order >> 33) as usize % (i + 1));
        }
        let frames: Vec<(u16, &[u8])> = parts.iter().map(|p| (1, p.as_slice())).collect();
        let run = Run::new(&frames);
        prop_assert!(run.is_conserved());
        prop_assert_eq!(run.out.packets.len(), parts.len());
        prop_assert!(run.out.packets.iter().all(|p| p.key.port(p.from_lo) == Some(12345)));
        prop_assert_eq!(run.out.packets.iter().map(|p| p.payload_len as usize).sum::<usize>(), payload.len());
        prop_assert_eq!(run.payloads().into_iter().filter(|p| *p == payload.as_slice()).count(), 1);
        prop_assert_eq!(run.out.stats.datagrams_reassembled, 1);
        let layers = crate::packet::Layers::of([Layer::Eth, if v6 { Layer::Ip6 } else { Layer::Ip }, Layer::Tcp]);
        prop_assert!(run.out.packets.iter().all(|p| p.layers == layers), "{:?}", run.out.packets);
        // Each has the headers of its own frame, whenever it came out.
        let of_packet = |info| {
            let p = Packet { info, batch: &run.batch };
            (p.ethernet().map(|(header, _)| header.to_vec()), p.l3_header().to_vec())
        };
        let of_frame = |f: &Vec<u8>| (Some(f[..14].to_vec()), f[14..if v6 { 62 } else { 34 }].to_vec());
        let mut headers = [run.out.packets.iter().map(of_packet).collect(), parts.iter().map(of_frame).collect::<Vec<_>>()];
        headers.iter_mut().for_each(|headers| headers.sort());
        prop_assert_eq!(&headers[0], &headers[1]);
    }
}
