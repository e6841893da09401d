//! Rows that stay in memory, moved into one allocation of huge pages.
//!
//! A batch has some 150 buffers of 128 KiB. In pages of 4 KiB their first touch costs as much as a third of the whole run,
//! on a virtual machine above all; one large allocation takes few faults, and what the batch was built in is used
//! again for the next one.

use std::io;
use std::ops::Range;

use arrow_array::{Array, ArrayRef, RecordBatch, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_schema::ArrowError;
use bytes::Bytes;
use memmap2::MmapMut;

/// Below this a batch stays as it is: a huge page has 2 MiB.
const WORTHWHILE: usize = 1 << 20;

/// Alignment of buffers, as Arrow recommends it.
const ALIGN: usize = 64;

/// The same rows in an allocation of their own; as they are, where that is not worthwhile or cannot be had.
pub(super) fn pack(rows: RecordBatch) -> RecordBatch {
    repack(&rows).ok().flatten().unwrap_or(rows)
}

fn repack(rows: &RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
    let columns: Vec<ArrayData> = rows.columns().iter().map(Array::to_data).collect();
    let total = columns.iter().map(measure).sum::<usize>();
    if total < WORTHWHILE {
        return Ok(None);
    }
    let mut memory = huge(total)?;
    let mut free = Room { memory: &mut memory, at: 0, places: Vec::new() };
    columns.iter().for_each(|c| free.copy(c));
    let mut places = free.places.into_iter();
    let bytes = Bytes::from_owner(memory);
    let mut take = || places.next().map_or_else(Bytes::new, |place| bytes.slice(place));
    let columns: Result<Vec<ArrayRef>, _> =
        columns.into_iter().map(|c| rebuilt(c, &mut take).map(make_array)).collect();
    RecordBatch::try_new(rows.schema(), columns?).map(Some)
}

/// Anonymous memory, in huge pages where the system has them to give.
fn huge(size: usize) -> io::Result<MmapMut> {
    let memory = MmapMut::map_anon(size)?;
    #[cfg(target_os = "linux")]
    let _ = memory.advise(memmap2::Advice::HugePage);
    Ok(memory)
}

/// Every buffer of an array, those of its children too, in an order that is the same for measuring, copying, rebuilding.
fn buffers(data: &ArrayData) -> impl Iterator<Item = &Buffer> {
    data.nulls().map(NullBuffer::buffer).into_iter().chain(data.buffers())
}

fn measure(data: &ArrayData) -> usize {
    let own: usize = buffers(data).map(|b| b.len().next_multiple_of(ALIGN)).sum();
    own + data.child_data().iter().map(measure).sum::<usize>()
}

struct Room<'a> {
    memory: &'a mut [u8],
    at: usize,
    places: Vec<Range<usize>>,
}

impl Room<'_> {
    fn copy(&mut self, data: &ArrayData) {
        for buffer in buffers(data) {
            let place = self.at..self.at + buffer.len();
            if let Some(to) = self.memory.get_mut(place.clone()) {
                to.copy_from_slice(buffer);
            }
            self.at += buffer.len().next_multiple_of(ALIGN);
            self.places.push(place);
        }
        data.child_data().iter().for_each(|c| self.copy(c));
    }
}

/// The array over the copies of its buffers. Checked as any array from outside is, so a mistake here is an error.
fn rebuilt(data: ArrayData, take: &mut impl FnMut() -> Bytes) -> Result<ArrayData, ArrowError> {
    let nulls = data.nulls().map(|n| {
        let bits = BooleanBuffer::new(Buffer::from(take()), n.offset(), n.len());
        NullBuffer::new(bits)
    });
    let own: Vec<Buffer> = data.buffers().iter().map(|_| Buffer::from(take())).collect();
    let children: Result<Vec<_>, _> = data.child_data().iter().map(|c| rebuilt(c.clone(), take)).collect();
    data.into_builder().nulls(nulls).buffers(own).child_data(children?).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::types::Float64Type;
    use arrow_array::{BooleanArray, Float64Array, ListArray, StringArray};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn batch(rows: usize, nulls: bool) -> RecordBatch {
        let known = |i: usize| !nulls || !i.is_multiple_of(3);
        let of = |i: usize| known(i).then_some(i as f64);
        let columns: [(&str, ArrayRef); 4] = [
            ("number", Arc::new(Float64Array::from_iter((0..rows).map(of)))),
            ("flag", Arc::new(BooleanArray::from_iter((0..rows).map(|i| known(i).then_some(i % 5 == 0))))),
            ("text", Arc::new(StringArray::from_iter((0..rows).map(|i| known(i).then(|| "x".repeat(i % 40)))))),
            (
                "list",
                Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(
                    (0..rows).map(|i| known(i).then(|| (0..i % 7).map(of).collect::<Vec<_>>())),
                )),
            ),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap()
    }

    #[test]
    fn a_large_batch_is_the_same_in_one_piece_and_a_small_one_is_left() {
        for nulls in [false, true] {
            let rows = batch(30_000, nulls);
            let packed = repack(&rows).unwrap().unwrap();
            assert_eq!(packed, rows);
            let starts = |b: &RecordBatch| b.column(0).to_data().buffers()[0].as_ptr() as usize;
            assert_ne!(starts(&packed), starts(&rows));
            assert_eq!(starts(&packed) % ALIGN, 0);
        }
        assert!(repack(&batch(10, true)).unwrap().is_none());
        assert_eq!(pack(batch(0, true)), batch(0, true));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn slices_are_the_same_too(from in 0..5_000usize, len in 14_000..24_000usize, nulls: bool) {
            let rows = batch(30_000, nulls).slice(from, len);
            prop_assert_eq!(pack(rows.clone()), rows);
        }
    }
}
