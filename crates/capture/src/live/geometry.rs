//! The sizes of a ring. The kernel takes a block size that is a multiple of the page size only, and pages have 4 to 64 kB.

/// How large a ring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Bytes of a block.
    pub(crate) block: u32,
    /// Blocks.
    pub(crate) blocks: u32,
}

impl Geometry {
    /// A block holds a frame of any size: an MTU has 65,535 at most, and what the kernel merges (BIG TCP) half a megabyte.
    const BLOCK: u64 = 1 << 20;

    /// Fewer blocks, and a reader that is late for one of them loses frames.
    const MIN_BLOCKS: u64 = 4;

    /// The smallest frame slot. The third version of rings has no slots, but the kernel wants to be told of some.
    pub(crate) const FRAME: u32 = 2048;

    /// The ring of so many bytes, on pages of this size; with bounds.
    pub(crate) fn new(bytes: u64, page: u64) -> Self {
        let page = page.clamp(4096, Self::BLOCK);
        let block = Self::BLOCK.next_multiple_of(page);
        // The kernel counts slots in 32 bits.
        let most = u64::from(u32::MAX) / (block / u64::from(Self::FRAME));
        Self { block: block as u32, blocks: (bytes / block).clamp(Self::MIN_BLOCKS, most) as u32 }
    }

    /// Half of it; none where that is too little.
    pub(crate) fn halved(self) -> Option<Self> {
        let blocks = self.blocks / 2;
        (u64::from(blocks) >= Self::MIN_BLOCKS).then_some(Self { blocks, ..self })
    }

    /// Bytes in all.
    pub(crate) fn bytes(self) -> u64 {
        u64::from(self.block) * u64::from(self.blocks)
    }

    /// Slots in all.
    pub(crate) fn frames(self) -> u32 {
        self.block / Self::FRAME * self.blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_whole_pages_and_hold_any_frame() {
        for page in [4096, 16_384, 65_536] {
            for bytes in [0, 1, 64 << 20, 8 << 30, u64::MAX] {
                let g = Geometry::new(bytes, page);
                assert_eq!(u64::from(g.block) % page, 0);
                assert!(g.block > 524_288 + 4096 && g.blocks >= 4);
                assert!(u64::from(g.block / Geometry::FRAME) * u64::from(g.blocks) <= u64::from(u32::MAX));
            }
            assert_eq!(Geometry::new(8 << 30, page).bytes(), 8 << 30, "more than 32 bits can say");
        }
    }

    #[test]
    fn halving_ends_at_a_floor() {
        let mut sizes = vec![Geometry::new(64 << 20, 4096)];
        while let Some(half) = sizes.last().and_then(|g| g.halved()) {
            sizes.push(half);
        }
        assert_eq!(sizes.iter().map(|g| g.blocks).collect::<Vec<_>>(), [64, 32, 16, 8, 4]);
    }
}
