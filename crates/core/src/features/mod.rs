//! Features, group by group.
