//! Pieces of a message, put together by their offsets. The bytes that come first win.

/// Most holes that a message may have while it is put together. Implementations cut a message into a dozen frames or so, in
/// any order; every hole costs a step at each piece.
const MAX_HOLES: usize = 64;

/// The first bytes of a sequence that comes in pieces.
#[derive(Clone, Debug, Default)]
pub(in crate::protocols) struct Joined {
    bytes: Vec<u8>,
    /// What has come: ranges, in order, that do not touch.
    ranges: Vec<(usize, usize)>,
}

impl Joined {
    /// Most bytes on the heap besides the bytes themselves: the vector of ranges doubles.
    pub const MAX_RANGES_BYTES: usize = 2 * (MAX_HOLES + 2) * size_of::<(usize, usize)>();

    /// Takes in a piece. Pieces that reach to `limit` or beyond it, or that make too many holes, are left out.
    pub fn add(&mut self, start: usize, piece: &[u8], limit: usize) {
        let Some(end) = start.checked_add(piece.len()).filter(|end| *end <= limit) else { return };
        if piece.is_empty() {
            return;
        }
        let first = self.ranges.partition_point(|r| r.1 < start);
        let last = self.ranges.partition_point(|r| r.0 <= end);
        if first == last && self.ranges.len() > MAX_HOLES {
            return;
        }
        if self.bytes.len() < end {
            if self.bytes.capacity() < end {
                // Doubled, so that a byte is moved only so often; never beyond the limit.
                let capacity = (2 * self.bytes.capacity()).clamp(end, limit);
                self.bytes.reserve_exact(capacity - self.bytes.len());
            }
            self.bytes.resize(end, 0);
        }
        let mut at = start;
        let mut joined = (start, end);
        for &(from, to) in self.ranges.get(first..last).unwrap_or_default() {
            joined = (joined.0.min(from), joined.1.max(to));
            copy(&mut self.bytes, at, from.min(end), start, piece);
            at = at.max(to);
        }
        copy(&mut self.bytes, at, end, start, piece);
        self.ranges.splice(first..last, [joined]);
    }

    /// The bytes from the first one up to the first hole.
    pub fn ready(&self) -> &[u8] {
        match self.ranges.first() {
            Some(&(0, end)) => self.bytes.get(..end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ranges.capacity() * size_of::<(usize, usize)>()
    }
}

/// Copies the part of a piece that lies from `from` to `to`.
fn copy(bytes: &mut [u8], from: usize, to: usize, start: usize, piece: &[u8]) {
    if from < to
        && let (Some(into), Some(part)) = (bytes.get_mut(from..to), piece.get(from - start..to - start))
    {
        into.copy_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_win() {
        let mut j = Joined::default();
        j.add(2, b"cd", 100);
        j.add(6, b"gh", 100);
        assert_eq!(j.ready(), b"");
        j.add(0, b"ABCDEFGHIJ", 100);
        assert_eq!(j.ready(), b"ABcdEFghIJ");
        j.add(10, b"x", 10);
        assert_eq!(j.ready().len(), 10);
    }

    proptest::proptest! {
        /// As a table of bytes would have it.
        #[test]
        fn any_order_and_overlap(pieces in proptest::collection::vec((0..60usize, 0..20usize), 0..30)) {
            let mut j = Joined::default();
            let mut naive = [None; 80];
            for (i, (start, len)) in pieces.into_iter().enumerate() {
                let piece = vec![i as u8; len];
                j.add(start, &piece, 70);
                if start + len <= 70 {
                    naive[start..start + len].iter_mut().for_each(|b| _ = b.get_or_insert(i as u8));
                }
            }
            let ready: Vec<u8> = naive.iter().map_while(|b| *b).collect();
            proptest::prop_assert_eq!(j.ready(), ready);
            proptest::prop_assert!(j.ranges.is_sorted() && j.ranges.windows(2).all(|w| w[0].1 < w[1].0));
        }
    }
}
