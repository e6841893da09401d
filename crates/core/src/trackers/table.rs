//! The table of trackers: one line each. The mask, the columns of the flow store, what a row sees, the account of
//! memory and the test of bounds are loops over it.

/// Calls a macro with every tracker: documentation, name of its bit, name of its column, kind of column, type.
///
/// `Inline` columns hold the state of every flow side by side; `Boxed` ones hold a pointer, for state that is large or
/// that few flows have (see [`super::Tracker::CONCERNS`]).
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
            /// Ethernet addresses and VLAN tags.
            MAC mac: Boxed Mac,
            /// Fields of IP headers.
            IP_HEADER ip_header: Inline IpHeader,
            /// Messages of ICMP.
            ICMP icmp: Boxed Icmp,
            /// TCP options and windows.
            TCP_OPTIONS tcp_options: Boxed TcpOptions,
            /// Sequence analysis of TCP.
            TCP_SEQUENCE tcp_sequence: Boxed TcpSequence,
            /// Samples of payload.
            ENTROPY entropy: Boxed Entropy,
            /// Application protocols.
            APP app: Boxed App,
            /// The first exchange, and segments of SSH.
            OPENING opening: Boxed Opening,
        }
    };
}

pub(crate) use for_each_tracker;
