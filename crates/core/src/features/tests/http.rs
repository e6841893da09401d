//! Random flows have no bytes: of HTTP they show nothing.

use super::{Golden, Oracle, talk};

pub(super) static ORACLE: Oracle = Oracle {
    naive: |_, out| out.put("http_detected", 0.0),
    golden: &[Golden {
        flow: || {
            talk(6, 80, &[
                (true, b"GET /a HTTP/1.1\r\nHost: www.example.test \r\nUser-Agent:\r\n\r\n"),
                (false, b"HTTP/1.1 103 Early Hints\r\nContent-Type: a\r\n\r\nHTTP/1.1 404 Not Found\r\n"),
                (false, b"Content-Type: text/html\r\nContent-Length: 0\r\n\r\n"),
                (true, b"HEAD /b HTTP/1.1\r\n\r\n"),
            ])
        },
        options: |_| {},
        row: "http_detected true
            http_method GET
            http_host www.example.test
            http_user_agent -
            http_status 404
            http_content_type text/html
            http_request_count 2
            http_response_count 2",
    }],
};
