//! What a file says of flows is tested beside the rules and the rows; without a file there is nothing.

use super::{Golden, Oracle, connection};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, _| {},
    golden: &[Golden { flow: || connection().into(), options: |_| {}, row: "label -" }],
};
