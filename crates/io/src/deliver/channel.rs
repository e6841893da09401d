//! Rows to another thread while the run goes on. The run waits where nobody takes them: memory does not grow.

use arrow_array::RecordBatch;
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::encode::Encoded;
use crate::sink::{RowSink, SinkError, Written};

/// A sink that hands rows to the holder of the other end. When that is gone, the sink is closed, as a pipe would be.
#[derive(Debug)]
pub struct ChannelSink {
    name: &'static str,
    to: Sender<RecordBatch>,
    written: Written,
}

impl ChannelSink {
    /// A sink of this name (a label of metrics) with room for so many batches, and its other end.
    pub fn new(name: &'static str, room: usize) -> (Self, Receiver<RecordBatch>) {
        let (to, from) = bounded(room);
        (Self { name, to, written: Written::default() }, from)
    }
}

impl RowSink for ChannelSink {
    fn name(&self) -> &'static str {
        self.name
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let batch = chunk.into_batch(self.name)?;
        let mut written = self.written;
        written.add(&batch);
        self.to.send(batch).map_err(|_| SinkError::Closed { target: self.name.to_owned() })?;
        self.written = written;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written, SinkError> {
        Ok(self.written)
    }

    fn bytes_written(&self) -> u64 {
        self.written.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn rows_come_out_until_the_other_end_goes() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let rows = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let (mut sink, from) = ChannelSink::new("test", 1);
        let encoder = sink.encoder();
        sink.write(encoder.encode(rows.clone()).unwrap()).unwrap();
        assert_eq!(from.recv().unwrap(), rows);
        drop(from);
        let result = sink.write(encoder.encode(rows).unwrap());
        assert!(matches!(result, Err(SinkError::Closed { .. })), "{result:?}");
        assert_eq!(Box::new(sink).finish().unwrap().rows, 2);
    }
}
