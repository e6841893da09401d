//! Flows and their trackers in columns: one vector for the base, one for each tracker that is in use.
//!
//! A tracker that no selected feature reads has no column: it is neither allocated nor updated. Columns rather than
//! one large struct also keep the cache lines that a packet touches few, whatever is selected. Which trackers a flow
//! has and which of them still want packets are two masks in its base, so that the others cost a test of a bit.

use super::FlowBase;
use crate::analysis::graph::FlowValues;
use crate::packet::tcp_flags::SYN;
use crate::packet::{Packet, PacketInfo, Side};
// Every tracker of the table.
use crate::trackers::for_each_tracker;
use crate::trackers::*;

macro_rules! store {
    ($($(#[$doc:meta])* $bit:ident $name:ident: $kind:ident $tracker:ident,)*) => {
        /// Trackers that a SYN wakes.
        const AGAIN_AT_SYN: TrackerMask = {
            let mut mask = TrackerMask::NONE;
            $(
                if $tracker::AGAIN_AT_SYN {
                    mask = mask.union(TrackerMask::$bit);
                }
            )*
            mask
        };

        /// A flow as features see it: its base and the trackers that were kept.
        #[derive(Clone, Copy, Debug)]
        pub struct FlowRef<'a> {
            /// Always there.
            pub base: &'a FlowBase,
            $($(#[$doc])* pub $name: Option<&'a $tracker>,)*
            /// What the graph of connections says of it; none where there is no such graph, or not yet.
            pub connection: Option<&'a FlowValues>,
        }

        /// Flows by index.
        #[derive(Debug)]
        pub struct FlowStore {
            mask: TrackerMask,
            base: Vec<FlowBase>,
            $($name: $kind<$tracker>,)*
        }

        impl FlowStore {
            /// An empty store that keeps these trackers.
            pub fn new(mask: TrackerMask) -> Self {
                Self { mask, base: Vec::new(), $($name: $kind::default(),)* }
            }

            /// Starts a flow at `at`: a place that was moved out, or the next one (`len`).
            pub fn insert(&mut self, at: usize, mut base: FlowBase, first: &PacketInfo, context: &mut Context) {
                base.trackers = TrackerMask::NONE;
                $(
                    if self.mask.contains(TrackerMask::$bit) && $tracker::concerns(first) {
                        self.$name.insert(at, context);
                        base.trackers = base.trackers.union(TrackerMask::$bit);
                    }
                )*
                base.wanting = base.trackers;
                match self.base.get_mut(at) {
                    Some(place) => *place = base,
                    None => self.base.push(base),
                }
            }

            /// Takes a packet into the flow at `at`.
            #[inline]
            pub fn update(&mut self, at: usize, packet: &Packet<'_>, side: Side, context: &mut Context) {
                let Some(base) = self.base.get_mut(at) else { return };
                base.update(packet, side);
                let mut wanting = base.wanting;
                if packet.info.tcp_flags & SYN != 0 {
                    wanting = wanting.union(base.trackers.and(AGAIN_AT_SYN));
                    base.wanting = wanting;
                }
                let mut done = TrackerMask::NONE;
                $(
                    if wanting.contains(TrackerMask::$bit)
                        && self.$name.update(at, packet, side, context) == Wants::NoMore
                    {
                        done = done.union(TrackerMask::$bit);
                    }
                )*
                if done != TrackerMask::NONE
                    && let Some(base) = self.base.get_mut(at)
                {
                    base.wanting = base.wanting.without(done);
                }
            }

            /// Moves the flow at `at`, which has ended, to the end of another store; what its row does not need is freed.
            pub fn move_to(&mut self, at: usize, to: &mut FlowStore, context: &mut Context) {
                let Some(base) = self.base.get_mut(at) else { return };
                let outer = base.outer.take();
                let has = base.trackers;
                let place = to.base.len();
                let mut moved = base.clone();
                moved.outer = outer;
                to.base.push(moved);
                $(
                    if has.contains(TrackerMask::$bit) {
                        self.$name.move_to(at, &mut to.$name, place, context);
                    }
                )*
            }

            /// The flow at `at` goes on where the one at `from` of another store ended.
            pub fn continue_from(&mut self, at: usize, ended: &FlowStore, from: usize) {
                let (Some(new), Some(old)) = (self.base.get(at), ended.base.get(from)) else { return };
                let both = new.trackers.and(old.trackers);
                $(
                    if both.contains(TrackerMask::$bit)
                        && let (Some(new), Some(earlier)) = (self.$name.get_mut(at), ended.$name.get(from))
                    {
                        new.continue_from(earlier, &old.key, old.initiator());
                    }
                )*
            }

            /// Memory is short: the trackers of the flow at `at` give back what they can do without.
            pub fn relieve(&mut self, at: usize, context: &mut Context) {
                let Some(has) = self.base.get(at).map(|b| b.trackers) else { return };
                $(
                    if has.contains(TrackerMask::$bit)
                        && let Some(tracker) = self.$name.get_mut(at)
                    {
                        tracker.relieve(context);
                    }
                )*
            }

            /// A flow with its trackers.
            pub fn get(&self, at: usize) -> Option<FlowRef<'_>> {
                let base = self.base.get(at)?;
                let has = base.trackers;
                Some(FlowRef {
                    base,
                    $($name: if has.contains(TrackerMask::$bit) { self.$name.get(at) } else { None },)*
                    connection: None,
                })
            }

            /// Loads the cache lines of a flow that an update will need, and returns something made of them.
            #[inline]
            pub fn touch(&self, at: usize) -> u64 {
                let Some(base) = self.base.get(at) else { return 0 };
                // One field of each of the cache lines that an update touches.
                let mut sum = base.last_ts as u64 ^ base.bytes[0] ^ base.first_seq;
                // Only those that an update will look at: the place of an idle one would be a cache line more.
                $(
                    if base.wanting.contains(TrackerMask::$bit) {
                        sum ^= self.$name.get(at).map_or(0, Tracker::touch);
                    }
                )*
                sum
            }

            /// Bytes of one flow, without what lies on the heap beside it.
            pub fn flow_bytes(&self) -> usize {
                let mut bytes = size_of::<FlowBase>();
                $(
                    if self.mask.contains(TrackerMask::$bit) {
                        bytes += $kind::<$tracker>::PLACE_BYTES;
                    }
                )*
                bytes
            }

            /// Bytes that the flow at `at` holds on the heap.
            pub fn heap_bytes(&self, at: usize) -> usize {
                let Some(base) = self.base.get(at) else { return 0 };
                let mut bytes = 0;
                $(
                    if base.trackers.contains(TrackerMask::$bit) {
                        bytes += self.$name.heap_bytes(at);
                    }
                )*
                bytes
            }
        }
    };
}

for_each_tracker!(store);

impl FlowStore {
    /// Adds a flow of packets that are all there already, as the first of which `base` was made.
    pub fn replay<'p>(
        &mut self,
        base: FlowBase,
        packets: impl IntoIterator<Item = Packet<'p>>,
        settings: &TrackerSettings,
    ) {
        let at = self.len();
        let mut context = Context::new(*settings);
        let mut base = Some(base);
        for packet in packets {
            if let Some(base) = base.take() {
                self.insert(at, base, packet.info, &mut context);
            }
            let Some(side) = self.base(at).map(|b| b.side_of(packet.info)) else { return };
            self.update(at, &packet, side, &mut context);
        }
    }

    /// The base of a flow.
    pub fn base(&self, at: usize) -> Option<&FlowBase> {
        self.base.get(at)
    }

    /// The base of a flow, to change it.
    pub fn base_mut(&mut self, at: usize) -> Option<&mut FlowBase> {
        self.base.get_mut(at)
    }

    /// The bases of all places.
    pub fn bases(&self) -> &[FlowBase] {
        &self.base
    }

    /// How many places there are, moved-out ones included.
    pub fn len(&self) -> usize {
        self.base.len()
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.base.is_empty()
    }
}

/// State of every flow side by side. Places of flows without this state hold one that was never updated.
#[derive(Debug)]
struct Inline<T>(Vec<T>);

impl<T> Default for Inline<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Tracker> Inline<T> {
    const PLACE_BYTES: usize = size_of::<T>();

    fn insert(&mut self, at: usize, context: &mut Context) {
        let state = T::start(&context.settings);
        context.memory.changed(0, state.heap_bytes());
        self.put(at, state, &context.settings);
    }

    fn put(&mut self, at: usize, state: T, settings: &TrackerSettings) {
        while self.0.len() < at {
            self.0.push(T::start(settings));
        }
        match self.0.get_mut(at) {
            Some(place) => *place = state,
            None => self.0.push(state),
        }
    }

    #[inline]
    fn update(&mut self, at: usize, packet: &Packet<'_>, side: Side, context: &mut Context) -> Wants {
        self.0.get_mut(at).map_or(Wants::NoMore, |t| t.update(packet, side, context))
    }

    fn move_to(&mut self, at: usize, to: &mut Self, place: usize, context: &mut Context) {
        let Some(state) = self.0.get_mut(at) else { return };
        let mut state = std::mem::replace(state, T::start(&context.settings));
        state.end(context);
        context.memory.changed(state.heap_bytes(), 0);
        to.put(place, state, &context.settings);
    }

    fn get(&self, at: usize) -> Option<&T> {
        self.0.get(at)
    }

    fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.0.get_mut(at)
    }

    fn heap_bytes(&self, at: usize) -> usize {
        self.get(at).map_or(0, T::heap_bytes)
    }
}

/// A pointer to state that is large, or that few flows have.
#[derive(Debug)]
struct Boxed<T>(Vec<Option<Box<T>>>);

impl<T> Default for Boxed<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Tracker> Boxed<T> {
    const PLACE_BYTES: usize = size_of::<Option<Box<T>>>();

    fn insert(&mut self, at: usize, context: &mut Context) {
        let state = Box::new(T::start(&context.settings));
        context.memory.changed(0, size_of::<T>() + state.heap_bytes());
        self.put(at, Some(state));
    }

    fn put(&mut self, at: usize, state: Option<Box<T>>) {
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        if let Some(place) = self.0.get_mut(at) {
            *place = state;
        }
    }

    #[inline]
    fn update(&mut self, at: usize, packet: &Packet<'_>, side: Side, context: &mut Context) -> Wants {
        self.get_mut(at).map_or(Wants::NoMore, |t| t.update(packet, side, context))
    }

    fn move_to(&mut self, at: usize, to: &mut Self, place: usize, context: &mut Context) {
        let Some(mut state) = self.0.get_mut(at).and_then(Option::take) else { return };
        state.end(context);
        context.memory.changed(size_of::<T>() + state.heap_bytes(), 0);
        to.put(place, Some(state));
    }

    fn get(&self, at: usize) -> Option<&T> {
        self.0.get(at)?.as_deref()
    }

    fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.0.get_mut(at)?.as_deref_mut()
    }

    fn heap_bytes(&self, at: usize) -> usize {
        self.get(at).map_or(0, |t| size_of::<T>() + t.heap_bytes())
    }
}
