//! What happens where flows are too many, or hold too much: trackers give back what they can do without, then flows go.
//!
//! It is decided by the partition's own packets alone, so rows do not depend on the number of workers.

use super::{FlowTable, Place};
use crate::config::Eviction;
use crate::flow::FlowStore;
use crate::flow::due::Due;
use crate::frame::TimeNs;
use crate::stats::EndReason;

impl FlowTable {
    /// Bytes that one more flow adds, before its trackers take any.
    pub(super) fn growth(&self) -> usize {
        let place = size_of::<Place>() + self.store.flow_bytes() + size_of::<Due>();
        self.index.growth() + if self.free.is_empty() { place } else { 0 }
    }

    /// Bytes that are left of the limit.
    pub(super) fn room(&self) -> usize {
        self.settings.max_bytes.saturating_sub(self.bytes())
    }

    /// Gets below the limit of memory: trackers are asked for what they can do without, then flows go.
    #[cold]
    pub(super) fn shed(&mut self, now: TimeNs, ended: &mut FlowStore) {
        // Asking costs a look at every flow: worth while only when much has been allocated since the last time.
        if self.context.memory.taken_bytes() >= self.next_relief {
            for (at, _) in self.places.iter().enumerate().filter(|(_, p)| p.live) {
                self.store.relieve(at, &mut self.context);
            }
            self.next_relief = self.context.memory.taken_bytes() + self.settings.max_bytes / 8;
        }
        while self.live > 0 && self.context.memory.taken_bytes() > self.most_heap {
            self.evict(now, ended);
        }
    }

    /// Ends one flow at `now` to make room: a closed one, else one that is quiet for too long, else as the strategy says.
    pub(super) fn evict(&mut self, now: TimeNs, ended: &mut FlowStore) {
        while let Some(closed) = self.closed.pop_front() {
            if !self.is_same_flow(&closed) {
                continue;
            }
            let Some(base) = self.store.base_mut(closed.place as usize) else { continue };
            if base.remnant || base.closed().is_some() {
                return self.end_or_forget(closed.place, EndReason::Evicted, ended);
            }
            // The connection went on after its RST.
            base.in_closed_queue = false;
        }
        let oldest = self.settings.eviction == Eviction::Oldest;
        while let Some(top) = self.due.pop() {
            if !self.is_current(&top) {
                continue;
            }
            let Some(base) = self.store.base(top.place as usize) else { continue };
            let at = self.due_at(base);
            if at > top.at {
                self.due.push(Due { at, ..top });
                continue;
            }
            if at < now {
                return self.end_or_forget(top.place, EndReason::Idle, ended);
            }
            if oldest {
                self.due.push(top);
                break;
            }
            return self.end_or_forget(top.place, EndReason::Evicted, ended);
        }
        while let Some(top) = self.by_age.pop() {
            if self.is_same_flow(&top) {
                return self.end_or_forget(top.place, EndReason::Evicted, ended);
            }
        }
    }
}
