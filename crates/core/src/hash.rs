//! Folded multiplication, of which the hashes of a process are made.

/// Both halves of a product of 128 bits, as in wyhash and foldhash.
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let p = u128::from(a) * u128::from(b);
    p as u64 ^ (p >> 64) as u64
}
