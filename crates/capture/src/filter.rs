//! Packet filters in the language of tcpdump.
