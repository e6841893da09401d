//! Selection and rows.
