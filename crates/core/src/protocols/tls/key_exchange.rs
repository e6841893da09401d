//! ServerKeyExchange up to TLS 1.2 (RFC 5246 section 7.4.3, RFC 8422 section 5.4): the group of the key exchange.

use sha2::{Digest, Sha256};

use crate::wire::Reader;

/// The key exchange that took place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyExchange {
    /// The group by its number in IANA's list; none for Diffie-Hellman with a prime of its own.
    pub group: Option<u16>,
    /// Bits of the prime of a Diffie-Hellman exchange.
    pub prime_bits: Option<u32>,
    /// Bytes of the server's public value.
    pub public_len: u16,
}

/// How a cipher suite up to TLS 1.2 agrees on its keys, as far as ServerKeyExchange shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Ecdhe,
    Dhe,
    /// The same behind the hint of a pre-shared key (RFC 4279 section 2, RFC 5489 section 2).
    EcdhePsk,
    DhePsk,
}

/// Reads the body of a ServerKeyExchange under this cipher suite.
pub fn server_key_exchange(cipher: u16, body: &[u8]) -> Option<KeyExchange> {
    let mut r = Reader::new(body);
    let method = method(cipher)?;
    if matches!(method, Method::EcdhePsk | Method::DhePsk) {
        r.vec16()?;
    }
    match method {
        Method::Ecdhe | Method::EcdhePsk => {
            // Explicit curves (types 1, 2) have no number.
            let named_curve = r.u8()? == 3;
            let group = named_curve.then(|| r.u16()).flatten()?;
            let public_len = r.vec8()?.len() as u16;
            Some(KeyExchange { group: Some(group), prime_bits: None, public_len })
        }
        Method::Dhe | Method::DhePsk => {
            let prime = r.vec16()?.rest();
            r.vec16()?; // generator
            let public_len = r.vec16()?.len() as u16;
            let zeros = prime.iter().take_while(|b| **b == 0).count();
            let prime = prime.get(zeros..).unwrap_or_default();
            let bits = 8 * prime.len() as u32 - prime.first().map_or(0, |b| b.leading_zeros());
            Some(KeyExchange { group: ffdhe(prime), prime_bits: Some(bits), public_len })
        }
    }
}

/// The groups of RFC 7919, known by the first bytes of the SHA-256 of their primes.
fn ffdhe(prime: &[u8]) -> Option<u16> {
    let (group, expected) = match prime.len() {
        256 => (256, 0x9cd3_b7f3_3687_2f46),
        384 => (257, 0x0eaf_67db_3a83_9156),
        512 => (258, 0x4648_4142_24ac_881b),
        768 => (259, 0x227a_c906_6b3d_dd9e),
        1024 => (260, 0x770b_14ef_af6f_0499),
        _ => return None,
    };
    let hash = Sha256::digest(prime);
    (hash.first_chunk::<8>().map(|h| u64::from_be_bytes(*h)) == Some(expected)).then_some(group)
}

/// IANA's TLS Cipher Suites, those that send the values of an ephemeral exchange (anonymous ones too).
fn method(cipher: u16) -> Option<Method> {
    Some(match cipher {
        // 0xcc13 to 0xcc15: ChaCha20 before RFC 7905. 0xc0ff: J-PAKE of Thread, whose message begins as that of ECDHE does.
        0xc006..=0xc00a
        | 0xc010..=0xc019
        | 0xc023
        | 0xc024
        | 0xc027
        | 0xc028
        | 0xc02b
        | 0xc02c
        | 0xc02f
        | 0xc030
        | 0xc048
        | 0xc049
        | 0xc04c
        | 0xc04d
        | 0xc05c
        | 0xc05d
        | 0xc060
        | 0xc061
        | 0xc072
        | 0xc073
        | 0xc076
        | 0xc077
        | 0xc086
        | 0xc087
        | 0xc08a
        | 0xc08b
        | 0xc0ac..=0xc0af
        | 0xc0ff
        | 0xcca8
        | 0xcca9
        | 0xcc13
        | 0xcc14 => Method::Ecdhe,
        0xc033..=0xc03b | 0xc070 | 0xc071 | 0xc09a | 0xc09b | 0xccac | 0xd001..=0xd005 => Method::EcdhePsk,
        0x0011..=0x001b
        | 0x0032..=0x0034
        | 0x0038..=0x003a
        | 0x0040
        | 0x0044..=0x0046
        | 0x0063
        | 0x0065..=0x0067
        | 0x006a..=0x006d
        | 0x0087..=0x0089
        | 0x0099..=0x009b
        | 0x009e
        | 0x009f
        | 0x00a2
        | 0x00a3
        | 0x00a6
        | 0x00a7
        | 0x00bd..=0x00bf
        | 0x00c3..=0x00c5
        | 0xc042..=0xc047
        | 0xc052
        | 0xc053
        | 0xc056
        | 0xc057
        | 0xc05a
        | 0xc05b
        | 0xc07c
        | 0xc07d
        | 0xc080
        | 0xc081
        | 0xc084
        | 0xc085
        | 0xc09e
        | 0xc09f
        | 0xc0a2
        | 0xc0a3
        | 0xccaa
        | 0xcc15 => Method::Dhe,
        0x002d
        | 0x008e..=0x0091
        | 0x00aa
        | 0x00ab
        | 0x00b2..=0x00b5
        | 0xc066
        | 0xc067
        | 0xc06c
        | 0xc06d
        | 0xc090
        | 0xc091
        | 0xc096
        | 0xc097
        | 0xc0a6
        | 0xc0a7
        | 0xc0aa
        | 0xc0ab
        | 0xccad => Method::DhePsk,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elliptic_curves_have_a_number() {
        let body = [&[3, 0, 29, 32][..], &[9; 32], &[4, 1, 0, 0]].concat();
        let x25519 = KeyExchange { group: Some(29), prime_bits: None, public_len: 32 };
        assert_eq!(server_key_exchange(0xc02f, &body), Some(x25519));
        assert_eq!(server_key_exchange(0xc035, &[&[0, 1, 7][..], &body].concat()), Some(x25519));
        assert_eq!(server_key_exchange(0x002f, &body), None);
        assert_eq!(server_key_exchange(0xc02f, &body[..20]), None);
    }

    #[test]
    fn a_prime_of_its_own_has_bits_only() {
        let dhe = |p: &[u8]| {
            let v = |b: &[u8]| [&(b.len() as u16).to_be_bytes()[..], b].concat();
            server_key_exchange(0x0039, &[v(p), v(&[2]), v(&[5; 128])].concat())
        };
        let p = [&[0, 0x40][..], &[1; 127]].concat();
        assert_eq!(dhe(&p), Some(KeyExchange { group: None, prime_bits: Some(1023), public_len: 128 }));
        assert_eq!(dhe(&[0, 0]).map(|k| k.prime_bits), Some(Some(0)));
    }

    #[test]
    fn the_groups_of_rfc_7919_are_known() {
        // ffdhe2048 (appendix A.1).
        let hex = "FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1D8B9C583CE2D3695A9E13641146433FBCC939DCE249B3EF9\
                   7D2FE363630C75D8F681B202AEC4617AD3DF1ED5D5FD65612433F51F5F066ED0856365553DED1AF3B557135E7F57C935\
                   984F0C70E0E68B77E2A689DAF3EFE8721DF158A136ADE73530ACCA4F483A797ABC0AB182B324FB61D108A94BB2C8E3FB\
                   B96ADAB760D7F4681D4F42A3DE394DF4AE56EDE76372BB190B07A7C8EE0A6D709E02FCE1CDF7E2ECC03404CD28342F61\
                   9172FE9CE98583FF8E4F1232EEF28183C3FE3B1B4C6FAD733BB5FCBC2EC22005C58EF1837D1683B2C6F34A26C1B2EFFA\
                   886B423861285C97FFFFFFFFFFFFFFFF";
        let prime: Vec<u8> =
            (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
        assert_eq!(ffdhe(&prime), Some(256));
        assert_eq!(ffdhe(&[7; 256]), None);
    }
}
