//! Lists are compared with rows worked out by hand only.

use super::{Golden, Oracle, connection};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, _| {},
    golden: &[
        Golden {
            flow: || connection().into(),
            options: |c| c.max_sequence_length = 5,
            row: "splt_direction 0 1 0 0 1
                splt_ps 40 40 40 140 540
                splt_piat_ms 0 10 10 0 200",
        },
        Golden {
            flow: || connection().into_iter().rev().take(2).collect::<Vec<_>>().into(),
            options: |_| {},
            row: "splt_direction 0 1
                splt_ps 40 40
                splt_piat_ms 0 10",
        },
    ],
};
