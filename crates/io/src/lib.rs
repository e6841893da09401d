//! joyfuljay-io.
