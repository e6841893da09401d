//! Lists are compared with rows worked out by hand only.

use super::{Golden, Oracle, connection};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, _| {},
    golden: &[Golden {
        flow: || connection().into(),
        options: |c| c.max_sequence_length = 5,
        row: "iat_sequence 0 0.01 0.01 0 0.2
            size_sequence 40 40 40 140 540
            payload_sequence 0 0 0 100 500
            direction_sequence 0 1 0 0 1
            flags_sequence 2 18 16 24 24",
    }],
};
