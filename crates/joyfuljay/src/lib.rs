//! joyfuljay.
pub mod config_file;
