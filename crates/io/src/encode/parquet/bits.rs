//! Numbers of a few bits and of a few bytes.

/// Appends values of so many bits, the lowest first. They come in eights: eight are as many bytes as one has bits.
pub(super) fn pack<T: Copy + Into<u64>>(values: &[T], bits: u32, out: &mut Vec<u8>) {
    debug_assert!(bits <= 64 && values.len().is_multiple_of(8));
    if bits == 0 {
        return;
    }
    // One word more than they take: the last eight are written as whole words, too.
    out.reserve(values.len() / 8 * bits as usize + size_of::<u128>());
    for eight in values.as_chunks::<8>().0 {
        let end = out.len() + bits as usize;
        match bits {
            0..=8 => out.extend_from_slice(&joined(eight, bits).to_le_bytes()),
            9..=16 => {
                let (low, high) = eight.split_at(4);
                let both = u128::from(joined(low, bits)) | u128::from(joined(high, bits)) << (4 * bits);
                out.extend_from_slice(&both.to_le_bytes());
            }
            _ => pack_wide(eight, bits, out),
        }
        out.truncate(end);
    }
}

fn joined<T: Copy + Into<u64>>(values: &[T], bits: u32) -> u64 {
    values.iter().rev().fold(0, |joined, value| joined << bits | (*value).into())
}

fn pack_wide<T: Copy + Into<u64>>(values: &[T; 8], bits: u32, out: &mut Vec<u8>) {
    let (mut joined, mut filled) = (0_u128, 0);
    for value in values {
        joined |= u128::from((*value).into()) << filled;
        filled += bits;
        if filled >= 64 {
            out.extend_from_slice(&(joined as u64).to_le_bytes());
            joined >>= 64;
            filled -= 64;
        }
    }
    out.extend_from_slice(&(joined as u64).to_le_bytes());
}

/// Appends a number, seven bits to a byte.
pub(super) fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a number with a sign, small ones of either in few bytes.
pub(super) fn zigzag(number: i64, out: &mut Vec<u8>) {
    varint((number << 1 ^ number >> 63) as u64, out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_bits_are_those_of_the_values(bits in 0_u32..=64, any in prop::collection::vec(any::<u64>(), 1..5)) {
            let values: Vec<u64> = any
                .iter()
                .flat_map(|any| (0..8).map(move |at| any.rotate_left(at * 8)))
                .map(|any| if bits == 64 { any } else { any & ((1 << bits) - 1) })
                .collect();
            let mut out = vec![7];
            pack(&values, bits, &mut out);
            prop_assert_eq!(out.len(), 1 + values.len() * bits as usize / 8);
            let bit = |at: usize| u64::from(out[1 + at / 8] >> (at % 8) & 1);
            for (at, value) in values.iter().enumerate() {
                let from = at * bits as usize;
                prop_assert_eq!((0..bits as usize).map(|place| bit(from + place) << place).sum::<u64>(), *value);
            }
        }
    }

    #[test]
    fn numbers_take_as_many_bytes_as_they_need() {
        let bytes = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            out
        };
        assert_eq!(bytes(&|out| varint(0, out)), [0]);
        assert_eq!(bytes(&|out| varint(127, out)), [127]);
        assert_eq!(bytes(&|out| varint(300, out)), [0xac, 2]);
        assert_eq!(bytes(&|out| varint(u64::MAX, out)), [[0xff; 9].as_slice(), &[1]].concat());
        for (number, byte) in [(0, 0), (-1, 1), (1, 2), (-64, 127)] {
            assert_eq!(bytes(&|out| zigzag(number, out)), [byte]);
        }
        assert_eq!(bytes(&|out| zigzag(i64::MIN, out)), bytes(&|out| varint(u64::MAX, out)));
    }
}
