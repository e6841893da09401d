//! Random flows have no bytes: of SSH they show nothing.

use super::{Golden, Oracle, talk};

/// A binary packet (RFC 4253 section 6).
fn packet(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32 + 5).to_be_bytes()[..], &[4], payload, &[0; 4]].concat()
}

fn kexinit(lists: [&str; 10]) -> Vec<u8> {
    let mut p = vec![20];
    p.extend([7; 16]);
    for list in lists {
        p.extend((list.len() as u32).to_be_bytes());
        p.extend(list.as_bytes());
    }
    p.extend([0; 5]);
    packet(&p)
}

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, out| out.put("ssh_detected", 0.0),
    golden: &[
        Golden {
            flow: || {
                let client = kexinit(["kex1,kex2", "rsa", "c2s", "s2c", "mac", "mac2", "none", "zlib", "", ""]);
                let client = [b"SSH-2.0-Client_1 x\r\n", &client[..], &packet(&[30, 1]), &packet(&[21]), &[9; 40]].concat();
                let server = [b"hello\r\nSSH-1.99-Server\n", &packet(&[21])[..]].concat();
                talk(6, 22, &[(true, &client), (false, &server), (false, &[9; 40]), (true, &[9; 40])])
            },
            options: |_| {},
            // printf 'kex1,kex2;c2s;mac;none' | md5sum
            row: "ssh_detected true
                ssh_version 2.0
                ssh_client_software Client_1
                ssh_server_software Server
                ssh_client_version 2.0
                ssh_server_version 1.99
                ssh_hassh a526eeddb83ffb03d3365c7a67a3adaa
                ssh_hassh_server -
                ssh_kex_packets 4
                ssh_encrypted_packets 3",
        },
        Golden {
            flow: || talk(6, 22, &[(false, b"SSH-1.99-Server\n"), (true, b"SSH-1.5-Client\n\0\0\0\x20")]),
            // The first packet's sender is the initiator.
            options: |_| {},
            row: "ssh_detected true
                ssh_version 1.5
                ssh_client_software Server
                ssh_server_software Client
                ssh_client_version 1.99
                ssh_server_version 1.5
                ssh_hassh -
                ssh_hassh_server -
                ssh_kex_packets -
                ssh_encrypted_packets -",
        },
    ],
};
