//! The options of a TCP header (RFC 9293 section 3.2), each with its kind and its value.

/// Kinds of options.
pub mod tcp_option {
    #![allow(missing_docs)]
    pub const END: u8 = 0;
    pub const NOP: u8 = 1;
    pub const MSS: u8 = 2;
    pub const WINDOW_SCALE: u8 = 3;
    pub const SACK_PERMITTED: u8 = 4;
    pub const SACK: u8 = 5;
    pub const TIMESTAMPS: u8 = 8;
    pub const MPTCP: u8 = 30;
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOption<'a> {
    /// Its kind.
    pub kind: u8,
    /// What follows kind and length; nothing for kinds 0 and 1.
    pub value: &'a [u8],
}

/// The options in the order of the header, up to and including the first End of Option List. A length below 2 or beyond
/// the end ends the list.
#[derive(Clone, Copy, Debug)]
pub struct TcpOptionList<'a> {
    rest: &'a [u8],
}

impl<'a> TcpOptionList<'a> {
    /// Those of a TCP header, as far as it was captured.
    pub fn of(header: &'a [u8]) -> Self {
        Self { rest: header.get(20..).unwrap_or_default() }
    }
}

impl<'a> Iterator for TcpOptionList<'a> {
    type Item = TcpOption<'a>;

    #[inline]
    fn next(&mut self) -> Option<TcpOption<'a>> {
        let (&kind, after) = self.rest.split_first()?;
        if kind == tcp_option::END || kind == tcp_option::NOP {
            self.rest = if kind == tcp_option::END { &[] } else { after };
            return Some(TcpOption { kind, value: &[] });
        }
        let whole = after.first().and_then(|&len| self.rest.split_at_checked(len.into()));
        let Some((option, rest)) = whole.filter(|(option, _)| option.len() >= 2) else {
            self.rest = &[];
            return None;
        };
        self.rest = rest;
        Some(TcpOption { kind, value: option.get(2..).unwrap_or_default() })
    }
}

impl TcpOption<'_> {
    /// TSval and TSecr, if it is a timestamps option of the right length (RFC 7323 section 3.2).
    #[inline]
    pub fn timestamps(&self) -> Option<(u32, u32)> {
        let number = |at: usize| self.value.get(at..).and_then(|b| b.first_chunk()).map(|b| u32::from_be_bytes(*b));
        (self.kind == tcp_option::TIMESTAMPS && self.value.len() == 8).then(|| number(0).zip(number(4)))?
    }

    /// The subtype, if it is an option of Multipath TCP (RFC 8684 section 3).
    #[inline]
    pub fn mptcp_subtype(&self) -> Option<u8> {
        (self.kind == tcp_option::MPTCP).then(|| self.value.first().map(|b| b >> 4))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(options: &[u8]) -> Vec<(u8, usize)> {
        let header = [&[0; 20][..], options].concat();
        TcpOptionList::of(&header).map(|o| (o.kind, o.value.len())).collect()
    }

    #[test]
    fn a_list_ends_at_its_end_or_where_a_length_is_wrong() {
        assert_eq!(kinds(&[2, 4, 5, 0xb4, 1, 3, 3, 7, 0, 8]), [(2, 2), (1, 0), (3, 1), (0, 0)]);
        assert_eq!(kinds(&[4, 2, 5, 1, 1, 1]), [(4, 0)]);
        assert_eq!(kinds(&[4, 2, 8, 10, 0, 0]), [(4, 0)]);
        assert_eq!(kinds(&[8]), []);
        assert_eq!(kinds(&[]), []);
        assert!(TcpOptionList::of(&[0; 19]).next().is_none());
    }

    #[test]
    fn values_need_the_length_of_their_kind() {
        let timestamps = |value: &[u8]| TcpOption { kind: 8, value }.timestamps();
        assert_eq!(timestamps(&[0, 0, 0, 1, 0, 0, 1, 0]), Some((1, 256)));
        assert_eq!(timestamps(&[0, 0, 0, 1, 0, 0, 1]), None);
        let mptcp = |value: &[u8]| TcpOption { kind: 30, value }.mptcp_subtype();
        assert_eq!((mptcp(&[0x12]), mptcp(&[])), (Some(1), None));
    }
}
