//! Frames as they were captured, many at a time.
//!
//! A batch owns one byte buffer and describes the frames in it by offset, so that a reader may `read(2)` straight into
//! the buffer and nothing is copied until a feature asks for it. Sources fill batches, [`crate::decode`] reads them.

use std::fmt;

pub use crate::link_type::LinkType;

/// Nanoseconds since the Unix epoch; may be negative, and may go back from one frame to the next.
pub type TimeNs = i64;

/// How many frames a source puts into one batch when it has that many.
///
/// Fixed, because rows are ordered batch by batch: a setting here would change the order of rows.
pub const BATCH_FRAMES: usize = 2048;

/// One captured frame: where it lies in its batch, and what the capture says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Time of capture.
    pub ts: TimeNs,
    /// Offset of the first byte in [`FrameBatch::data`].
    pub offset: u32,
    /// Bytes captured.
    pub cap_len: u32,
    /// Bytes on the wire, at least `cap_len` in a sound capture.
    pub wire_len: u32,
    /// Link-layer type of the interface that the frame came from.
    pub link: LinkType,
}

/// A run of frames in capture order, and the bytes they lie in.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FrameBatch {
    /// The bytes; readers may leave other things (record headers) between the frames.
    pub data: Vec<u8>,
    /// The frames, in capture order.
    pub frames: Vec<Frame>,
}

impl FrameBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.frames.clear();
    }

    /// Whether a source should hand the batch over now.
    pub fn is_full(&self) -> bool {
        self.frames.len() >= BATCH_FRAMES
    }

    /// Copies one frame to the end of the batch.
    pub fn push(&mut self, ts: TimeNs, link: LinkType, wire_len: u32, bytes: &[u8]) {
        let offset = self.data.len() as u32;
        self.data.extend_from_slice(bytes);
        self.frames.push(Frame { ts, offset, cap_len: bytes.len() as u32, wire_len, link });
    }

    /// The bytes of a frame of this batch; empty where the frame is not of this batch.
    pub fn bytes(&self, frame: &Frame) -> &[u8] {
        let start = frame.offset as usize;
        self.data.get(start..start + frame.cap_len as usize).unwrap_or_default()
    }
}

/// What frames are to a run over a slice of its input: each flow belongs to the slice in which it begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlicePart {
    /// Before the slice: shows which flows are open already, whose rows are made elsewhere.
    LeadIn,
    /// The slice.
    #[default]
    Own,
    /// Behind the slice: brings the rest of its flows; none begins here.
    LeadOut,
}

/// Chooses frames by their bytes, before anything is made of them.
pub trait FrameFilter: fmt::Debug + Send {
    /// Whether a frame is wanted. Depends on the frame alone.
    fn matches(&mut self, link: LinkType, wire_len: u32, bytes: &[u8]) -> bool;

    /// What the user has to know since the last call, such as a link type that the filter says nothing of.
    fn take_warnings(&mut self) -> Vec<String>;

    /// Why no frame so far could be judged, where there were some and that is so.
    fn useless(&self) -> Option<String>;
}
