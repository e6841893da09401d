//! Batches of few rows on their way to a larger one.

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;

/// Batches that are joined at a time. A column of one row takes some 300 bytes, so 16,384 rows of all features that come one
/// by one, as those of a quiet wire do, would be 2 GB.
const JOINED: usize = 64;

/// Rows that wait until they are enough.
pub(crate) struct Gathering {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    /// So many of them from the first one on are made of others.
    joined: usize,
    rows: usize,
}

impl Gathering {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self { schema, batches: Vec::new(), joined: 0, rows: 0 }
    }

    /// Takes the next rows.
    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<(), ArrowError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows();
        self.batches.push(batch);
        if self.batches.len() - self.joined >= JOINED {
            let joined = concat_batches(&self.schema, self.batches.iter().skip(self.joined))?;
            self.batches.truncate(self.joined);
            self.batches.push(joined);
            self.joined += 1;
        }
        Ok(())
    }

    /// How many rows wait.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// What waits, in order.
    pub(crate) fn take(&mut self) -> Vec<RecordBatch> {
        (self.joined, self.rows) = (0, 0);
        std::mem::take(&mut self.batches)
    }

    /// What waits, as one batch; none where nothing does.
    pub(crate) fn joined(&self) -> Result<Option<RecordBatch>, ArrowError> {
        match self.batches.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            several => concat_batches(&self.schema, several).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{Int64Builder, StringBuilder};
    use arrow_array::{ArrayRef, Int64Array};

    use super::*;

    fn row(n: i64) -> RecordBatch {
        let (mut numbers, mut texts) = (Int64Builder::new(), StringBuilder::new());
        numbers.append_option((n % 3 > 0).then_some(n));
        texts.append_value(n.to_string());
        let columns: [(&str, ArrayRef, bool); 2] =
            [("n", Arc::new(numbers.finish()), true), ("s", Arc::new(texts.finish()), true)];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    #[test]
    fn rows_that_come_one_by_one_take_little_and_keep_their_order() {
        let schema = row(0).schema();
        let (mut gathering, mut alone) = (Gathering::new(Arc::clone(&schema)), 0);
        let rows: Vec<_> = (0..5000).map(row).collect();
        for row in &rows {
            alone += row.get_array_memory_size();
            gathering.push(row.clone()).unwrap();
            gathering.push(row.slice(0, 0)).unwrap();
        }
        assert_eq!(gathering.rows(), 5000);
        let held: usize = gathering.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        assert!(held * 5 < alone, "{held} of {alone}");
        assert!(gathering.batches.len() < 5000 / JOINED + JOINED);
        assert_eq!(gathering.joined().unwrap(), Some(concat_batches(&schema, &rows).unwrap()));
        assert_eq!(gathering.take().iter().map(RecordBatch::num_rows).sum::<usize>(), 5000);
        assert_eq!((gathering.rows(), gathering.joined().unwrap()), (0, None));
        gathering.push(row(7)).unwrap();
        let numbers = gathering.joined().unwrap().unwrap();
        assert_eq!(numbers.column(0).as_ref(), &Int64Array::from(vec![7]));
    }
}
