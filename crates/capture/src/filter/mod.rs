//! Packet filters in the language of tcpdump.
//!
//! The language is libpcap's, and so is its compiler: there is one for each machine that has tcpdump or Wireshark, and a
//! second one would differ from it somewhere. It is loaded when a filter is asked for. What it compiles, a program of the
//! classic Berkeley packet filter, is checked and run here, so that frames never meet C.
//!
//! A filter sees frames as tcpdump does when it reads a file: whole, from the link layer on, with VLAN tags in place and
//! fragments as they are. A live source puts tags back before it asks; what it gives the kernel is
//! [`Program::for_socket`], which lets pass at least as much. So one filter picks the same frames live and from a file.

mod libpcap;
mod program;

use joyfuljay_core::LinkType;
use joyfuljay_core::decode;
use joyfuljay_core::frame::FrameFilter;
use thiserror::Error;

pub use libpcap::{VARIABLE, compiler};
pub use program::{Insn, MAX_INSNS, Program, Unsound, op};

use libpcap::CompileError;

/// Why there is no filter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FilterError {
    /// There is no libpcap.
    #[error(
        "filter '{expression}': filters are compiled by libpcap, which is not on this machine ({tried}); install it (Debian \
         and Ubuntu: libpcap0.8 or libpcap0.8t64; Fedora, Arch and Alpine: libpcap; Windows: Npcap), or say in {VARIABLE} \
         where it is"
    )]
    NoCompiler {
        /// The filter.
        expression: String,
        /// What the system said of each name that was tried.
        tried: String,
    },
    /// The expression is not one, or not one for frames of this type.
    #[error("filter '{expression}': {reason} (for frames of type {link}; man 7 pcap-filter has the language)")]
    Expression {
        /// The filter.
        expression: String,
        /// The link type that it was compiled for.
        link: LinkType,
        /// What libpcap says.
        reason: String,
    },
}

/// A filter: an expression, and a program for each link type that has been met.
#[derive(Clone, Debug)]
pub struct Filter {
    expression: String,
    programs: Vec<(LinkType, Option<Program>)>,
    /// Where in `programs` the last frame's is.
    last: usize,
    warnings: Vec<String>,
    /// Whether frames without a name for their link type have been met.
    unnamed: bool,
    judged: bool,
    /// Why the first frame that could not be judged could not be.
    not_judged: Option<String>,
    swapped: Vec<u8>,
}

impl Filter {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Where there is no libpcap, and where the expression means nothing for any link type that is read. What some link
    /// types do not have (`ether host` on raw IP) is an error for these alone, see [`Filter::program`].
    pub fn new(expression: &str) -> Result<Self, FilterError> {
        let mut filter = Self {
            expression: expression.to_owned(),
            programs: Vec::new(),
            last: 0,
            warnings: Vec::new(),
            unnamed: false,
            judged: false,
            not_judged: None,
            swapped: Vec::new(),
        };
        let error = match filter.compile(LinkType::ETHERNET) {
            Ok(program) => {
                filter.programs.push((LinkType::ETHERNET, Some(program)));
                return Ok(filter);
            }
            Err(error @ FilterError::NoCompiler { .. }) => return Err(error),
            Err(error) => error,
        };
        // Such as `type mgt`, which is for 802.11.
        let mut read = LinkType::ALL.iter().filter(|link| decode::is_supported(**link));
        if read.any(|link| filter.compile(*link).is_ok()) { Ok(filter) } else { Err(error) }
    }

    /// The expression.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The program for frames of a link type, where a source has to know before the first frame that there is one.
    ///
    /// # Errors
    /// When the expression cannot be compiled for it.
    pub fn program(&self, link: LinkType) -> Result<Program, FilterError> {
        match self.programs.iter().find(|(of, _)| *of == link) {
            Some((_, Some(program))) => Ok(program.clone()),
            _ => self.compile(link),
        }
    }

    fn compile(&self, link: LinkType) -> Result<Program, FilterError> {
        let expression = || self.expression.clone();
        let refused = |reason| FilterError::Expression { expression: expression(), link, reason };
        let insns = libpcap::compile(&self.expression, link).map_err(|error| match error {
            CompileError::NoCompiler(tried) => FilterError::NoCompiler { expression: expression(), tried },
            CompileError::Refused(reason) => refused(reason),
        })?;
        Program::new(insns).map_err(|unsound| refused(format!("its program is not run: {unsound}")))
    }

    /// Where the program for a link type is; none for types without a name, of which a hostile file may have 65,000.
    fn place(&mut self, link: LinkType) -> Option<usize> {
        if self.programs.get(self.last).is_some_and(|(of, _)| *of == link) {
            return Some(self.last);
        }
        if let Some(at) = self.programs.iter().position(|(of, _)| *of == link) {
            self.last = at;
            return Some(at);
        }
        if link.name().is_none() {
            if !std::mem::replace(&mut self.unnamed, true) {
                self.cannot_judge(format!("filter '{}': {link} is not known to it", self.expression));
            }
            return None;
        }
        let program = self.compile(link);
        if let Err(error) = &program {
            self.cannot_judge(error.to_string());
        }
        self.programs.push((link, program.ok()));
        self.last = self.programs.len() - 1;
        Some(self.last)
    }

    fn cannot_judge(&mut self, reason: String) {
        self.warnings.push(format!("{reason}; frames of this type are left out"));
        self.not_judged.get_or_insert(reason);
    }
}

impl FrameFilter for Filter {
    fn matches(&mut self, link: LinkType, wire_len: u32, bytes: &[u8]) -> bool {
        let Some(at) = self.place(link) else { return false };
        let Some((_, Some(program))) = self.programs.get(at) else { return false };
        self.judged = true;
        match in_host_order(link, bytes, &mut self.swapped) {
            true => program.matches(&self.swapped, wire_len),
            false => program.matches(bytes, wire_len),
        }
    }

    fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    fn useless(&self) -> Option<String> {
        self.not_judged.clone().filter(|_| !self.judged)
    }
}

/// Some link layers of BSD begin with an address family in the byte order of the machine that captured, and programs are
/// made for the order of this one. Where the frame has the other, which shows, makes a copy in this one.
fn in_host_order(link: LinkType, bytes: &[u8], copy: &mut Vec<u8>) -> bool {
    if !matches!(link, LinkType::NULL | LinkType::ENC | LinkType::ENC_OPENBSD) {
        return false;
    }
    let Some((family, rest)) = bytes.split_first_chunk::<4>() else { return false };
    // Families are small numbers: read in the right order, the upper half is 0.
    let foreign = u32::from_ne_bytes(*family) > 0xffff && u32::from_ne_bytes(*family).swap_bytes() <= 0xffff;
    if foreign {
        copy.clear();
        copy.extend(family.iter().rev());
        copy.extend_from_slice(rest);
    }
    foreign
}

#[cfg(test)]
mod tests;
