//! Rows to nowhere, for runs of which only the counts are wanted.

use crate::encode::Encoded;
use crate::sink::{RowSink, SinkError, Written};

/// A sink that counts rows and forgets them.
#[derive(Debug, Default)]
pub struct Discard(Written);

impl RowSink for Discard {
    fn name(&self) -> &'static str {
        "none"
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        self.0.rows += chunk.rows() as u64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written, SinkError> {
        Ok(self.0)
    }

    fn bytes_written(&self) -> u64 {
        0
    }
}
