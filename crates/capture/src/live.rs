//! Live capture from network interfaces.
