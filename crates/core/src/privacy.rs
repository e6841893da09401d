//! What columns give away of persons and hosts, and what the options do to each class of them.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::Config;

/// Class of a column. It is metadata: values are made in clear, and replaced when they enter the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// Nothing by itself.
    Public,
    /// An IP address.
    Address,
    /// A port, or what is said of one.
    Port,
    /// A hardware address.
    Mac,
    /// A name of a host, a service or an organisation.
    Name,
    /// What may be traced to one device, session or certificate.
    Id,
}

impl Privacy {
    /// Every class.
    pub const ALL: [Self; 6] = [Self::Public, Self::Address, Self::Port, Self::Mac, Self::Name, Self::Id];

    /// As it is written in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Address => "address",
            Self::Port => "port",
            Self::Mac => "mac",
            Self::Name => "name",
            Self::Id => "id",
        }
    }

    /// What columns of this class hold.
    pub const fn holds(self) -> &'static str {
        match self {
            Self::Public => "nothing that points to a host or a person by itself",
            Self::Address => "an IP address",
            Self::Port => "a port, or its service",
            Self::Mac => "a hardware address",
            Self::Name => "a name of a host, a service or an organisation",
            Self::Id => "what may be traced to one device, session or certificate",
        }
    }

    /// The key of the configuration that, when false, leaves out the columns of this class.
    pub const fn left_out_by(self) -> Option<&'static str> {
        match self {
            Self::Address => Some("include_ip_addresses"),
            Self::Port => Some("include_ports"),
            Self::Public | Self::Mac | Self::Name | Self::Id => None,
        }
    }

    /// The keys of the configuration of which each replaces the text in columns of this class by pseudonyms.
    pub const fn replaced_by(self) -> &'static [&'static str] {
        match self {
            Self::Address => &["anonymize", "anonymize_ips"],
            Self::Mac | Self::Name | Self::Id => &["anonymize"],
            // 65,536 ports cannot be hidden, and no text is public.
            Self::Port | Self::Public => &[],
        }
    }

    /// Whether a configuration leaves out the columns of this class.
    pub fn is_left_out(self, config: &Config) -> bool {
        match self {
            Self::Address => !config.include_ip_addresses,
            Self::Port => !config.include_ports,
            Self::Public | Self::Mac | Self::Name | Self::Id => false,
        }
    }

    /// Whether a configuration replaces what is in columns of this class.
    pub fn is_replaced(self, config: &Config) -> bool {
        match self {
            Self::Address => config.anonymize || config.anonymize_ips,
            Self::Mac | Self::Name | Self::Id => config.anonymize,
            Self::Port | Self::Public => false,
        }
    }
}

/// Keyed pseudonyms: HMAC-SHA256, of which 64 bits are kept.
///
/// A plain hash of an address, salted or not, is undone by trying all addresses; a keyed one needs the key.
#[derive(Clone, Debug)]
pub struct Pseudonyms(Hmac<Sha256>);

impl Pseudonyms {
    /// Pseudonyms under a key.
    pub fn new(key: &str) -> Self {
        // Every key length is accepted (RFC 2104 section 2).
        Self(Hmac::new_from_slice(key.as_bytes()).unwrap_or_else(|_| Hmac::new(&Default::default())))
    }

    /// The pseudonym of a text: 64 bits, written as 16 hexadecimal digits.
    pub fn of(&self, text: &str) -> u64 {
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        let tag = mac.finalize().into_bytes();
        tag.iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_the_start_of_the_hmac_of_the_text() {
        // printf 10.0.0.1 | openssl dgst -sha256 -hmac secret
        assert_eq!(format!("{:016x}", Pseudonyms::new("secret").of("10.0.0.1")), "eb5a0e55d511c2fe");
    }

    #[test]
    fn the_table_says_what_the_options_do() {
        let json = |c: &Config| serde_json::to_value(c).unwrap();
        let with = |key: &str, value: bool| {
            let mut c = json(&Config::default());
            c[key] = value.into();
            serde_json::from_value::<Config>(c).unwrap()
        };
        for class in Privacy::ALL {
            assert!(!class.is_left_out(&Config::default()) && !class.is_replaced(&Config::default()));
            for key in ["include_ip_addresses", "include_ports"] {
                assert_eq!(class.is_left_out(&with(key, false)), class.left_out_by() == Some(key), "{class:?} {key}");
            }
            for key in ["anonymize", "anonymize_ips"] {
                assert_eq!(class.is_replaced(&with(key, true)), class.replaced_by().contains(&key), "{class:?} {key}");
            }
        }
    }
}
