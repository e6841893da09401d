//! joyfuljay-monitoring.
