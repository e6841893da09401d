//! joyfuljay.
