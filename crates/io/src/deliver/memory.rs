//! Rows kept in memory, for tests and for data frames, which take Arrow as it is.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;

use crate::encode::Encoded;
use crate::sink::{RowSink, SinkError, Written};

/// A sink that keeps what it gets. Memory grows with the rows.
#[derive(Debug, Default)]
pub struct MemorySink {
    rows: MemoryRows,
    written: Written,
}

impl MemorySink {
    /// An empty sink.
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle on the rows, which outlives the sink.
    pub fn rows(&self) -> MemoryRows {
        self.rows.clone()
    }
}

impl RowSink for MemorySink {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let batch = chunk.into_batch(self.name())?;
        self.written.add(&batch);
        self.rows.lock().push(batch);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written, SinkError> {
        Ok(self.written)
    }

    fn bytes_written(&self) -> u64 {
        self.written.bytes
    }
}

/// The rows of a [`MemorySink`], also while it is being written.
#[derive(Clone, Debug, Default)]
pub struct MemoryRows(Arc<Mutex<Vec<RecordBatch>>>);

impl MemoryRows {
    /// Takes the batches that came so far, in their order.
    pub fn take(&self) -> Vec<RecordBatch> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<RecordBatch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
