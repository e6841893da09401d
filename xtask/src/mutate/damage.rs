//! What happens to bytes on disks and in the hands of the ill-disposed.

/// Numbers that look random (SplitMix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The numbers of one case of a seed.
    pub fn new(seed: u64, case: u64) -> Self {
        let mut rng = Self(seed);
        rng.0 = rng.next().wrapping_add(case);
        rng.0 = rng.next();
        rng
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `n`; 0 where `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

/// Lengths and counts that code forgets.
const EDGES: [u32; 12] = [0, 1, 3, 4, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff];

/// Damages a capture in one to eight places.
pub fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..=rng.below(8) {
        if bytes.is_empty() {
            return;
        }
        // The file's own header is a small part of it, and most damage there only makes it another kind of file.
        let whole = bytes.len();
        let at = if rng.below(16) == 0 { rng.below(whole.min(64)) } else { rng.below(whole) };
        match rng.below(9) {
            0 | 1 => bytes[at] ^= 1 << rng.below(8),
            2 => bytes[at] = 0,
            3 => bytes[at] = 255,
            4 => overwrite(bytes, at, 2, rng),
            5 => overwrite(bytes, at, 4, rng),
            6 => drop(bytes.drain(at..block_end(whole, at, rng))),
            7 => {
                let block = bytes[at..block_end(whole, at, rng)].to_vec();
                bytes.splice(at..at, block);
            }
            // Cut less often: what is behind the cut is not tried.
            _ if rng.below(3) == 0 => bytes.truncate(at),
            _ => bytes[at] = rng.next() as u8,
        }
    }
}

/// Puts an edge value, in either byte order, or a small change of what is there.
fn overwrite(bytes: &mut [u8], at: usize, size: usize, rng: &mut Rng) {
    let Some(field) = bytes.get_mut(at..at + size) else { return };
    let edge = EDGES[rng.below(EDGES.len())];
    let (big, little) = (edge.to_be_bytes(), edge.to_le_bytes());
    match rng.below(3) {
        0 => field.copy_from_slice(&big[4 - size..]),
        1 => field.copy_from_slice(&little[..size]),
        _ => field[rng.below(size)] = field[0].wrapping_add(1),
    }
}

fn block_end(whole: usize, at: usize, rng: &mut Rng) -> usize {
    let most = if rng.below(4) == 0 { 4_000 } else { 40 };
    (at + 1 + rng.below(most)).min(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_the_same_every_time_and_unlike_the_next() {
        let damaged = |case| {
            let mut bytes: Vec<u8> = (0..=255).cycle().take(5_000).collect();
            mutate(&mut bytes, &mut Rng::new(1, case));
            bytes
        };
        assert!((0..300).all(|n| damaged(n) == damaged(n)));
        assert!((0..300).filter(|n| damaged(*n) != damaged(n + 1)).count() > 295);
    }
}
