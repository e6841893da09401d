//! Random flows have no bytes.

use super::{Golden, Oracle, eventful};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |case, out| {
        if matches!(case.protocol, 6 | 17) {
            out.put("payload_bytes_sampled", 0.0);
        }
    },
    // Forward 0123456789 twice, backward ff fe 00 00 and ten times "a".
    golden: &[
        Golden {
            flow: eventful,
            options: |_| {},
            row: "entropy_payload 3.463366342754057
                entropy_initiator 3.321928094887362
                entropy_responder 1.2916919971380596
                entropy_ratio 2.571764865190463
                byte_distribution_uniformity -
                printable_ratio 0.8823529411764706
                null_ratio 0.058823529411764705
                high_byte_ratio 0.058823529411764705
                payload_bytes_sampled 34",
        },
        Golden {
            flow: eventful,
            options: |config| config.entropy_sample_bytes = 2,
            row: "entropy_payload 2
                entropy_initiator 1
                entropy_responder 1
                entropy_ratio 1
                byte_distribution_uniformity -
                printable_ratio 0.5
                null_ratio 0
                high_byte_ratio 0.5
                payload_bytes_sampled 4",
        },
    ],
};
