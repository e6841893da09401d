//! The table of trackers: one line each. The mask, the columns of the flow store, what a row sees, the account of
//! memory and the test of bounds are loops over it.

/// Calls a macro with every tracker: documentation, name of its bit, name of its column, kind of column, type.
///
/// `Inline` columns hold the state of every flow side by side; `Boxed` ones hold a pointer, for state that is large or
/// that few flows have (see [`super::Tracker::concerns`]).
macro_rules! for_each_tracker {
    ($apply:ident) => {
        $apply! {
            /// Lengths.
            SIZES sizes: Inline Sizes,
            /// TCP flag counts.
            TCP_FLAGS tcp_flags: Inline TcpFlags,
            /// Per-packet records.
            LOG log: Inline PacketLog,
            /// The packets themselves. No feature reads them: only who wants the packets asks for them.
            KEEP kept: Boxed KeptPackets,
            /// Application protocols.
            APP app: Boxed App,
        }
    };
}

pub(crate) use for_each_tracker;
