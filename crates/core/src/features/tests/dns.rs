//! Random flows have no bytes: of DNS they show nothing, though their port is 53.

use super::{Golden, Oracle, talk};

const QUERY: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x41\0\x01";

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, out| out.put("dns_detected", 0.0),
    golden: &[
        Golden {
            flow: || {
                let mut response = QUERY.to_vec();
                response[2..8].copy_from_slice(&[0x83, 0x83, 0, 1, 0, 2]);
                response[11] = 1;
                let answer = |ttl| [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 192, 0, 2, 1];
                response.extend([answer(60), answer(30)].concat());
                // OPT: the upper bits of the code are 1.
                response.extend([0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0]);
                talk(17, 53, &[(true, QUERY), (true, QUERY), (false, &response), (true, b"noise")])
            },
            options: |_| {},
            row: "dns_detected true
                dns_query_name www.example
                dns_query_type 65
                dns_query_type_str HTTPS
                dns_response_code 19
                dns_response_code_str BADMODE
                dns_answer_count 2
                dns_authority_count 0
                dns_additional_count 1
                dns_min_ttl 30
                dns_max_ttl 60
                dns_is_query true
                dns_is_response true
                dns_truncated true
                dns_recursion_desired true
                dns_recursion_available true
                dns_query_count 2
                dns_response_count 1
                dns_transaction_count 1
                dns_unique_names 1
                dns_response_time 0.002",
        },
        Golden {
            flow: || {
                let framed = [&[0, QUERY.len() as u8], QUERY].concat();
                talk(6, 53, &[(true, &framed[..9]), (true, &framed[9..])])
            },
            options: |_| {},
            row: "dns_detected true
                dns_query_name www.example
                dns_query_type 65
                dns_query_type_str HTTPS
                dns_response_code -
                dns_response_code_str -
                dns_answer_count -
                dns_authority_count -
                dns_additional_count -
                dns_min_ttl -
                dns_max_ttl -
                dns_is_query true
                dns_is_response false
                dns_truncated false
                dns_recursion_desired true
                dns_recursion_available -
                dns_query_count 1
                dns_response_count 0
                dns_transaction_count 0
                dns_unique_names 1
                dns_response_time -",
        },
    ],
};
