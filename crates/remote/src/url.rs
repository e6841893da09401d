//! Addresses of sensors: `jj://HOST:PORT?token=…&tls=1`, `jjs://` for the same with TLS.

use std::fmt;

use crate::DEFAULT_PORT;

/// A sensor's address. The token in it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SensorUrl {
    /// Name or IP address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether the connection is by TLS.
    pub tls: bool,
    /// The token, where it is in the address.
    pub token: Option<String>,
}

/// Whether a text is meant as the address of a sensor.
pub fn is_sensor(text: &str) -> bool {
    ["jj://", "jjs://"].iter().any(|scheme| text.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme)))
}

impl SensorUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// When it is none. The message does not repeat it, as there may be a token in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || "the form is jj://HOST:PORT?tls=1".to_owned();
        let (scheme, rest) =
            text.split_once("://").ok_or_else(|| format!("this is no address of a sensor: {}", form()))?;
        let mut tls = match scheme.to_ascii_lowercase().as_str() {
            "jj" => false,
            "jjs" => true,
            _ => return Err(format!("sensors are at jj:// or jjs://; {}", form())),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let place = place.strip_suffix('/').unwrap_or(place);
        let (host, port) = match place.strip_prefix('[') {
            Some(inside) => {
                let (host, behind) = inside.split_once(']').ok_or("an IPv6 address has no closing bracket")?;
                (
                    host,
                    behind
                        .strip_prefix(':')
                        .map_or_else(|| if behind.is_empty() { Ok(None) } else { Err(form()) }, |p| Ok(Some(p)))?,
                )
            }
            None => match place.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err("an IPv6 address is put into brackets: jj://[::1]:8765".into());
                }
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        if host.is_empty()
            || host.contains(['/', '@', ' ', '#'])
            || !host.is_ascii()
            || host.bytes().any(|b| b.is_ascii_control())
        {
            return Err(form());
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or("the port is a number from 1 to 65535")?,
        };
        let mut token = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, "1"));
            match key {
                "token" => token = Some(percent_decoded(value)?),
                "tls" => {
                    tls = match value {
                        "1" | "true" | "yes" => true,
                        "0" | "false" | "no" if scheme.len() == 2 => false,
                        _ => return Err("tls is 1 or 0 (jjs:// has it always)".into()),
                    }
                }
                _ => return Err("an address has the parameters token and tls, and no others".into()),
            }
        }
        Ok(Self { host: host.to_owned(), port, tls, token })
    }

    /// Host and port as they are written together.
    pub fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for SensorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "jj://{}{}", self.place(), if self.tls { "?tls=1" } else { "" })
    }
}

impl fmt::Debug for SensorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn percent_decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or("a % in the token is written %25")?);
        rest = rest.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes).map_err(|_| "the token is no text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, host, port, tls, token) in [
            ("jj://sensor", "sensor", 8765, false, None),
            ("jj://10.0.0.1:99/?token=a%2Bb&tls=1", "10.0.0.1", 99, true, Some("a+b")),
            ("JJS://[fe80::1]:7", "fe80::1", 7, true, None),
            ("jj://[::1]", "::1", 8765, false, None),
            ("jj://h?tls=0", "h", 8765, false, None),
        ] {
            let url = SensorUrl::parse(text).unwrap();
            let token = token.map(str::to_owned);
            assert_eq!(url, SensorUrl { host: host.into(), port, tls, token }, "{text}");
        }
    }

    #[test]
    fn no_address_and_no_error_shows_the_token() {
        let url = SensorUrl::parse("jj://h?token=s3cret").unwrap();
        assert!(!format!("{url} {url:?}").contains("s3cret"));
        for wrong in [
            "s3cret",
            "http://h?token=s3cret",
            "jj://?token=s3cret",
            "jj://h:0?token=s3cret",
            "jj://h:99999?token=s3cret",
            "jj://::1?token=s3cret",
            "jj://h?token=s3cret%2",
            "jj://h?token=s3cret%ff",
            "jj://h?s3cret=1",
            "jj://s3cret@h",
            "jjs://h?tls=0&token=s3cret",
            "jj://[::1?token=s3cret",
        ] {
            let message = SensorUrl::parse(wrong).unwrap_err();
            assert!(!message.contains("s3cret"), "{wrong}: {message}");
        }
    }
}
