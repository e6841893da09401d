//! Random flows have no bytes: what they speak is not known. The rules are tried beside them.

use super::{Golden, Oracle, talk};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, _| {},
    golden: &[
        Golden {
            flow: || talk(6, 25, &[(true, b""), (false, b"220 x\r\n"), (true, b"EHLO y\r\n")]),
            options: |_| {},
            row: "app_protocol smtp
                app_protocol_by smtp_greeting",
        },
        Golden {
            flow: || talk(17, 5353, &[(true, b"\0\0\0\0\0\x01\0\0\0\0\0\0\x05local\0\0\x0c\x80\x01")]),
            options: |_| {},
            row: "app_protocol mdns
                app_protocol_by dns_message",
        },
        Golden {
            flow: || talk(50, 0, &[(true, &[7; 40])]),
            options: |_| {},
            row: "app_protocol esp
                app_protocol_by esp_protocol",
        },
        Golden {
            flow: || talk(6, 443, &[(true, b"\xff\xfe\xfd"), (false, b"\xff")]),
            options: |_| {},
            row: "app_protocol -
                app_protocol_by -",
        },
    ],
};
