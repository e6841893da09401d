//! When the row of a quiet flow comes out. Not what is in it: that is decided by the flow's own packets.
//!
//! Each flow has one valid entry in a queue, at the earliest time at which it may be due. A packet does not touch the queue: an
//! entry that comes up too early goes back with the right time, and one of a flow that has ended is void.

use std::hint::black_box;

use super::{FlowTable, RUN};
use crate::flow::due::Due;
use crate::flow::{FlowBase, FlowStore};
use crate::frame::TimeNs;
use crate::stats::EndReason;

/// Most flows that one call of [`FlowTable::expire`] ends: those of a wire that fell quiet all at once come out in
/// portions, and never lie twice in memory.
const MOST_EXPIRED: usize = 16_384;

impl FlowTable {
    /// Ends the flows that have been quiet for too long at `now`; of very many, the rest at the next call.
    pub fn expire(&mut self, now: TimeNs, ended: &mut FlowStore) {
        let most = ended.len() + MOST_EXPIRED;
        let mut run = std::mem::take(&mut self.expiring);
        while ended.len() < most {
            run.clear();
            let longest = RUN.min(most - ended.len());
            while run.len() < longest
                && let Some(top) = self.due.peek().filter(|top| top.at < now)
            {
                self.due.pop();
                if self.is_current(&top) {
                    run.push(top);
                }
            }
            if run.is_empty() {
                break;
            }
            self.touch_due(&run, now);
            run.iter().for_each(|top| self.expire_one(*top, now, ended));
        }
        self.expiring = run;
    }

    /// Ends a flow that is due at `now`, or queues it again.
    fn expire_one(&mut self, top: Due, now: TimeNs, ended: &mut FlowStore) {
        let Some(base) = self.store.base(top.place as usize) else { return };
        let at = self.due_at(base);
        if at < now {
            let remains = base.closed().is_some() && at < base.last_ts.saturating_add(self.settings.idle_timeout);
            match base.remnant {
                true => self.forget(top.place),
                false if remains && self.settings.terminate_on_fin_rst => self.end_but_remember(top.place, ended),
                false => self.end(top.place, EndReason::Idle, ended),
            }
        } else {
            self.due.push(Due { at, ..top });
        }
    }

    /// Loads what [`FlowTable::expire_one`] will need of flows whose last packets are long gone: their misses overlap.
    fn touch_due(&self, run: &[Due], now: TimeNs) {
        let bases = || run.iter().filter_map(|due| Some((due.place, self.store.base(due.place as usize)?)));
        let mut sum = bases().fold(0, |sum, (_, base)| sum ^ base.last_ts ^ base.end as i64) as u64;
        for (place, _) in bases().filter(|(_, base)| self.due_at(base) < now) {
            sum ^= self.store.get(place as usize).map_or(0, |flow| flow.touch());
        }
        black_box(sum);
    }

    /// When a flow may be given up for quiet.
    pub(super) fn due_at(&self, base: &FlowBase) -> i64 {
        let closes = self.settings.terminate_on_fin_rst && !base.remnant && base.closed().is_some();
        let idle = self.settings.idle_timeout;
        base.last_ts.saturating_add(if closes { self.settings.close_timeout.min(idle) } else { idle })
    }

    /// Queues a flow under its present due time; an earlier entry of it becomes void.
    pub(super) fn enqueue(&mut self, place: u32) {
        let Some(base) = self.store.base(place as usize) else { return };
        let at = self.due_at(base);
        if let Some(p) = self.places.get_mut(place as usize) {
            p.stamp = p.stamp.wrapping_add(1);
            self.due.push(Due { at, place, stamp: p.stamp });
        }
    }

    pub(super) fn is_current(&self, due: &Due) -> bool {
        self.places.get(due.place as usize).is_some_and(|p| p.live && p.stamp == due.stamp)
    }

    pub(super) fn is_same_flow(&self, due: &Due) -> bool {
        self.places.get(due.place as usize).is_some_and(|p| p.live && p.flow == due.stamp)
    }

    /// Drops void entries when most of the queues are void: flows that end early leave theirs behind.
    pub(super) fn compact(&mut self) {
        let most = 2 * self.live + 1024;
        let places = &self.places;
        let place = |due: &Due| places.get(due.place as usize).filter(|p| p.live);
        if self.due.len() > most {
            self.due.retain(|d| place(d).is_some_and(|p| p.stamp == d.stamp));
        }
        if self.by_age.len() > most {
            self.by_age.retain(|d| place(d).is_some_and(|p| p.flow == d.stamp));
        }
        if self.closed.len() > most {
            self.closed.retain(|d| place(d).is_some_and(|p| p.flow == d.stamp));
        }
    }
}
