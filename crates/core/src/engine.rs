//! The engine: partitions, order of rows.
