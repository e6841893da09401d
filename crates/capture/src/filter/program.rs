//! Programs of the classic Berkeley packet filter: checked once, then run over frames.
//!
//! The instruction set is that of McCanne and Jacobson (1993), with `mod` and `xor` and the loads of VLAN tags that Linux
//! has added. A program that was checked ends after as many steps as it has instructions, whatever the frame: jumps lead
//! forward only, so nothing here needs a limit of steps.

use std::fmt;

/// One instruction, laid out as `struct sock_filter` of Linux and `struct bpf_insn` of libpcap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Insn {
    /// What it does.
    pub code: u16,
    /// Instructions to step over where a condition holds.
    pub jt: u8,
    /// Instructions to step over where it does not.
    pub jf: u8,
    /// A constant, an offset, or an index.
    pub k: u32,
}

impl Insn {
    /// An instruction that does not jump.
    pub const fn new(code: u16, k: u32) -> Self {
        Self { code, jt: 0, jf: 0, k }
    }

    /// An instruction that jumps by a condition.
    pub const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Self {
        Self { code, jt, jf, k }
    }
}

/// A program that was found sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    insns: Vec<Insn>,
}

/// Most instructions of a program: the kernel's limit, `BPF_MAXINSNS`.
pub const MAX_INSNS: usize = 4096;

/// Words of scratch memory, `BPF_MEMWORDS`.
const MEMORY: usize = 16;

/// Where the offsets begin that stand for what Linux knows of a frame beside its bytes (`SKF_AD_OFF`).
const ANCILLARY: u32 = 0xffff_f000;
const ANCILLARY_VLAN_TAG: u32 = ANCILLARY + 44;
const ANCILLARY_VLAN_TAG_PRESENT: u32 = ANCILLARY + 48;

/// Operation codes, by their names in assembler of BPF.
pub mod op {
    #![allow(missing_docs, reason = "the names are those of the assembler")]
    pub const LD_W_ABS: u16 = 0x20;
    pub const LD_H_ABS: u16 = 0x28;
    pub const LD_B_ABS: u16 = 0x30;
    pub const LD_W_IND: u16 = 0x40;
    pub const LD_H_IND: u16 = 0x48;
    pub const LD_B_IND: u16 = 0x50;
    pub const LD_W_LEN: u16 = 0x80;
    pub const LD_IMM: u16 = 0x00;
    pub const LD_MEM: u16 = 0x60;
    pub const LDX_IMM: u16 = 0x01;
    pub const LDX_MEM: u16 = 0x61;
    pub const LDX_W_LEN: u16 = 0x81;
    pub const LDX_B_MSH: u16 = 0xb1;
    pub const ST: u16 = 0x02;
    pub const STX: u16 = 0x03;
    pub const ADD_K: u16 = 0x04;
    pub const ADD_X: u16 = 0x0c;
    pub const SUB_K: u16 = 0x14;
    pub const SUB_X: u16 = 0x1c;
    pub const MUL_K: u16 = 0x24;
    pub const MUL_X: u16 = 0x2c;
    pub const DIV_K: u16 = 0x34;
    pub const DIV_X: u16 = 0x3c;
    pub const OR_K: u16 = 0x44;
    pub const OR_X: u16 = 0x4c;
    pub const AND_K: u16 = 0x54;
    pub const AND_X: u16 = 0x5c;
    pub const LSH_K: u16 = 0x64;
    pub const LSH_X: u16 = 0x6c;
    pub const RSH_K: u16 = 0x74;
    pub const RSH_X: u16 = 0x7c;
    pub const NEG: u16 = 0x84;
    pub const MOD_K: u16 = 0x94;
    pub const MOD_X: u16 = 0x9c;
    pub const XOR_K: u16 = 0xa4;
    pub const XOR_X: u16 = 0xac;
    pub const JA: u16 = 0x05;
    pub const JEQ_K: u16 = 0x15;
    pub const JEQ_X: u16 = 0x1d;
    pub const JGT_K: u16 = 0x25;
    pub const JGT_X: u16 = 0x2d;
    pub const JGE_K: u16 = 0x35;
    pub const JGE_X: u16 = 0x3d;
    pub const JSET_K: u16 = 0x45;
    pub const JSET_X: u16 = 0x4d;
    pub const RET_K: u16 = 0x06;
    pub const RET_A: u16 = 0x16;
    pub const TAX: u16 = 0x07;
    pub const TXA: u16 = 0x87;
}

/// Why a program is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsound {
    /// The instruction, from 0 on.
    pub at: usize,
    what: &'static str,
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}: {}", self.at, self.what)
    }
}

impl std::error::Error for Unsound {}

impl Program {
    /// Checks a program by the kernel's rules: known instructions, jumps that end within it, memory that is there, no
    /// division by a constant 0, `ret` at the end.
    ///
    /// # Errors
    /// For the first instruction that is not sound.
    pub fn new(insns: Vec<Insn>) -> Result<Self, Unsound> {
        if insns.len() > MAX_INSNS {
            return Err(Unsound { at: MAX_INSNS, what: "a program has 4,096 at most" });
        }
        match insns.last() {
            Some(Insn { code: op::RET_K | op::RET_A, .. }) => {}
            _ => return Err(Unsound { at: insns.len().saturating_sub(1), what: "the last one must be a ret" }),
        }
        for (at, insn) in insns.iter().enumerate() {
            check(insn, insns.len() - 1 - at).map_err(|what| Unsound { at, what })?;
        }
        Ok(Self { insns })
    }

    /// The instructions.
    pub fn insns(&self) -> &[Insn] {
        &self.insns
    }

    /// The program for a socket of Linux (`SO_ATTACH_FILTER`), which may let pass more than this one, never less: the rest is
    /// for [`Program::matches`], once the frame is whole.
    ///
    /// The kernel takes VLAN tags off before it filters, so there a program made for whole frames would see other bytes. This
    /// one lets every frame pass that had a tag taken off. `None` where the kernel would not take the program.
    pub fn for_socket(&self) -> Option<Vec<Insn>> {
        const PROLOGUE: [Insn; 3] = [
            Insn::new(op::LD_W_ABS, ANCILLARY_VLAN_TAG_PRESENT),
            Insn::jump(op::JEQ_K, 0, 1, 0),
            Insn::new(op::RET_K, u32::MAX),
        ];
        // The accumulator begins as 0, also behind the prologue. What it let through has no tag: A holds 0 there.
        let shifts = |i: &Insn| matches!(i.code, op::LSH_K | op::RSH_K) && i.k > 31;
        let fits = self.insns.len() + PROLOGUE.len() <= MAX_INSNS && !self.insns.iter().any(shifts);
        fits.then(|| PROLOGUE.iter().chain(&self.insns).copied().collect())
    }

    /// Whether the program lets a frame pass that had so many bytes on the wire.
    #[inline]
    pub fn matches(&self, bytes: &[u8], wire_len: u32) -> bool {
        self.run(bytes, wire_len, None) != 0
    }

    /// What the program returns: how many bytes are to be kept, 0 for none. `tag` is a VLAN tag that was taken off. As everywhere,
    /// a load beyond the captured bytes and a division by 0 end the program with 0.
    pub fn run(&self, bytes: &[u8], wire_len: u32, tag: Option<u16>) -> u32 {
        self.steps(bytes, wire_len, tag).unwrap_or(0)
    }

    #[inline]
    fn steps(&self, bytes: &[u8], wire_len: u32, tag: Option<u16>) -> Option<u32> {
        let (mut a, mut x) = (0u32, 0u32);
        let mut memory = [0u32; MEMORY];
        let mut at = 0usize;
        loop {
            let insn = self.insns.get(at)?;
            at += 1;
            let k = insn.k;
            match insn.code {
                op::LD_W_ABS if k >= ANCILLARY => a = ancillary(k, tag)?,
                op::LD_H_ABS | op::LD_B_ABS if k >= ANCILLARY => a = ancillary(k, tag)?,
                op::LD_W_ABS => a = word(bytes, k)?,
                op::LD_H_ABS => a = half(bytes, k)?,
                op::LD_B_ABS => a = byte(bytes, k)?,
                op::LD_W_IND => a = word(bytes, x.checked_add(k)?)?,
                op::LD_H_IND => a = half(bytes, x.checked_add(k)?)?,
                op::LD_B_IND => a = byte(bytes, x.checked_add(k)?)?,
                op::LD_W_LEN => a = wire_len,
                op::LD_IMM => a = k,
                op::LD_MEM => a = *memory.get(k as usize)?,
                op::LDX_IMM => x = k,
                op::LDX_MEM => x = *memory.get(k as usize)?,
                op::LDX_W_LEN => x = wire_len,
                op::LDX_B_MSH => x = (byte(bytes, k)? & 0xf) << 2,
                op::ST => *memory.get_mut(k as usize)? = a,
                op::STX => *memory.get_mut(k as usize)? = x,
                op::ADD_K => a = a.wrapping_add(k),
                op::ADD_X => a = a.wrapping_add(x),
                op::SUB_K => a = a.wrapping_sub(k),
                op::SUB_X => a = a.wrapping_sub(x),
                op::MUL_K => a = a.wrapping_mul(k),
                op::MUL_X => a = a.wrapping_mul(x),
                op::DIV_K => a = a.checked_div(k)?,
                op::DIV_X => a = a.checked_div(x)?,
                op::MOD_K => a = a.checked_rem(k)?,
                op::MOD_X => a = a.checked_rem(x)?,
                op::OR_K => a |= k,
                op::OR_X => a |= x,
                op::AND_K => a &= k,
                op::AND_X => a &= x,
                op::XOR_K => a ^= k,
                op::XOR_X => a ^= x,
                // By 32 and more, all bits are gone.
                op::LSH_K => a = a.checked_shl(k).unwrap_or(0),
                op::LSH_X => a = a.checked_shl(x).unwrap_or(0),
                op::RSH_K => a = a.checked_shr(k).unwrap_or(0),
                op::RSH_X => a = a.checked_shr(x).unwrap_or(0),
                op::NEG => a = a.wrapping_neg(),
                op::JA => at = at.checked_add(k as usize)?,
                op::JEQ_K => at += insn.step(a == k),
                op::JEQ_X => at += insn.step(a == x),
                op::JGT_K => at += insn.step(a > k),
                op::JGT_X => at += insn.step(a > x),
                op::JGE_K => at += insn.step(a >= k),
                op::JGE_X => at += insn.step(a >= x),
                op::JSET_K => at += insn.step(a & k != 0),
                op::JSET_X => at += insn.step(a & x != 0),
                op::RET_K => return Some(k),
                op::RET_A => return Some(a),
                op::TAX => x = a,
                op::TXA => a = x,
                _ => return None,
            }
        }
    }
}

impl Insn {
    #[inline]
    fn step(&self, holds: bool) -> usize {
        usize::from(if holds { self.jt } else { self.jf })
    }
}

/// Whether an instruction with so many behind it is sound.
fn check(insn: &Insn, behind: usize) -> Result<(), &'static str> {
    let lands = |over: usize| if over < behind { Ok(()) } else { Err("jumps beyond the end") };
    match insn.code {
        op::LD_MEM | op::LDX_MEM | op::ST | op::STX if insn.k as usize >= MEMORY => Err("there are 16 words of memory"),
        op::DIV_K | op::MOD_K if insn.k == 0 => Err("divides by 0"),
        // What `protochain` is compiled to; no kernel takes it either.
        op::JA if insn.k > i32::MAX as u32 => Err("jumps back, and a frame could keep such a loop busy"),
        op::JA => lands(insn.k as usize),
        op::JEQ_K | op::JEQ_X | op::JGT_K | op::JGT_X | op::JGE_K | op::JGE_X | op::JSET_K | op::JSET_X => {
            lands(usize::from(insn.jt.max(insn.jf)))
        }
        op::LD_W_ABS
        | op::LD_H_ABS
        | op::LD_B_ABS
        | op::LD_W_IND
        | op::LD_H_IND
        | op::LD_B_IND
        | op::LD_W_LEN
        | op::LD_IMM
        | op::LD_MEM
        | op::LDX_IMM
        | op::LDX_MEM
        | op::LDX_W_LEN
        | op::LDX_B_MSH
        | op::ST
        | op::STX
        | op::ADD_K
        | op::ADD_X
        | op::SUB_K
        | op::SUB_X
        | op::MUL_K
        | op::MUL_X
        | op::DIV_K
        | op::DIV_X
        | op::OR_K
        | op::OR_X
        | op::AND_K
        | op::AND_X
        | op::LSH_K
        | op::LSH_X
        | op::RSH_K
        | op::RSH_X
        | op::NEG
        | op::MOD_K
        | op::MOD_X
        | op::XOR_K
        | op::XOR_X
        | op::RET_K
        | op::RET_A
        | op::TAX
        | op::TXA => Ok(()),
        _ => Err("is not known"),
    }
}

fn ancillary(k: u32, tag: Option<u16>) -> Option<u32> {
    match k {
        ANCILLARY_VLAN_TAG => Some(tag.unwrap_or(0).into()),
        ANCILLARY_VLAN_TAG_PRESENT => Some(tag.is_some().into()),
        _ => None,
    }
}

#[inline]
fn word(bytes: &[u8], at: u32) -> Option<u32> {
    bytes.get(at as usize..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

#[inline]
fn half(bytes: &[u8], at: u32) -> Option<u32> {
    bytes.get(at as usize..)?.first_chunk().map(|b| u16::from_be_bytes(*b).into())
}

#[inline]
fn byte(bytes: &[u8], at: u32) -> Option<u32> {
    bytes.get(at as usize).map(|b| u32::from(*b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a program over no more than these instructions returns for a frame of the bytes 0, 1, 2 …
    fn result(insns: &[Insn]) -> u32 {
        let frame: Vec<u8> = (0..64).collect();
        Program::new(insns.to_vec()).unwrap().run(&frame, 1500, None)
    }

    fn with(mut insns: Vec<Insn>) -> u32 {
        insns.push(Insn::new(op::RET_A, 0));
        result(&insns)
    }

    fn k(code: u16, k: u32) -> Insn {
        Insn::new(code, k)
    }

    #[test]
    fn loads_are_big_endian_and_end_at_the_captured_bytes() {
        assert_eq!(with(vec![k(op::LD_W_ABS, 1)]), 0x0102_0304);
        assert_eq!(with(vec![k(op::LD_H_ABS, 62)]), 0x3e3f);
        assert_eq!(with(vec![k(op::LD_B_ABS, 63)]), 63);
        assert_eq!(with(vec![k(op::LDX_IMM, 2), k(op::LD_W_IND, 1)]), 0x0304_0506);
        assert_eq!(with(vec![k(op::LDX_IMM, 2), k(op::LD_H_IND, 1)]), 0x0304);
        assert_eq!(with(vec![k(op::LDX_IMM, 2), k(op::LD_B_IND, 1)]), 3);
        assert_eq!(with(vec![k(op::LDX_B_MSH, 0x2f), k(op::TXA, 0)]), 60);
        assert_eq!(with(vec![k(op::LD_W_LEN, 0)]), 1500);
        assert_eq!(with(vec![k(op::LDX_W_LEN, 0), k(op::TXA, 0)]), 1500);
        // Whatever comes behind a load beyond the end is not reached.
        for beyond in [k(op::LD_W_ABS, 61), k(op::LD_H_ABS, 63), k(op::LD_B_ABS, 64), k(op::LDX_B_MSH, 64)] {
            assert_eq!(result(&[beyond, k(op::RET_K, 7)]), 0, "{beyond:?}");
        }
        for (x, at) in [(u32::MAX, 1), (60, 1), (u32::MAX, u32::MAX)] {
            assert_eq!(result(&[k(op::LDX_IMM, x), k(op::LD_W_IND, at), k(op::RET_K, 7)]), 0);
        }
        // Ancillary loads without an answer: no offset into the frame.
        assert_eq!(result(&[k(op::LD_W_ABS, ANCILLARY + 4), k(op::RET_K, 7)]), 0);
    }

    #[test]
    fn arithmetic_wraps_and_a_division_by_nothing_rejects() {
        let both = |code_k: u16, code_x: u16, a: u32, b: u32| {
            let by_k = with(vec![k(op::LD_IMM, a), k(code_k, b)]);
            let by_x = with(vec![k(op::LD_IMM, a), k(op::LDX_IMM, b), k(code_x, 0)]);
            assert_eq!(by_k, by_x);
            by_k
        };
        assert_eq!(both(op::ADD_K, op::ADD_X, u32::MAX, 2), 1);
        assert_eq!(both(op::SUB_K, op::SUB_X, 1, 2), u32::MAX);
        assert_eq!(both(op::MUL_K, op::MUL_X, 0x8000_0001, 2), 2);
        assert_eq!(both(op::DIV_K, op::DIV_X, 17, 5), 3);
        assert_eq!(both(op::MOD_K, op::MOD_X, 17, 5), 2);
        assert_eq!(both(op::OR_K, op::OR_X, 0b1100, 0b1010), 0b1110);
        assert_eq!(both(op::AND_K, op::AND_X, 0b1100, 0b1010), 0b1000);
        assert_eq!(both(op::XOR_K, op::XOR_X, 0b1100, 0b1010), 0b0110);
        assert_eq!(both(op::LSH_K, op::LSH_X, 1, 31), 1 << 31);
        assert_eq!(both(op::RSH_K, op::RSH_X, 1 << 31, 31), 1);
        assert_eq!(both(op::LSH_K, op::LSH_X, 1, 32), 0);
        assert_eq!(both(op::RSH_K, op::RSH_X, u32::MAX, 40), 0);
        assert_eq!(with(vec![k(op::LD_IMM, 1), k(op::NEG, 0)]), u32::MAX);
        for code in [op::DIV_X, op::MOD_X] {
            assert_eq!(result(&[k(op::LD_IMM, 9), k(code, 0), k(op::RET_K, 7)]), 0);
        }
    }

    #[test]
    fn memory_registers_and_jumps() {
        let through_memory = [k(op::LD_IMM, 5), k(op::ST, 15), k(op::LDX_MEM, 15), k(op::LD_IMM, 0), k(op::TXA, 0)];
        assert_eq!(with(through_memory.to_vec()), 5);
        assert_eq!(with(vec![k(op::LD_IMM, 6), k(op::TAX, 0), k(op::STX, 0), k(op::LD_MEM, 0)]), 6);
        assert_eq!(with(vec![k(op::LD_MEM, 3)]), 0);
        assert_eq!(result(&[k(op::JA, 1), k(op::RET_K, 1), k(op::RET_K, 2)]), 2);
        let taken = |code: u16, a: u32, b: u32| {
            let tail = [k(op::RET_K, 0), k(op::RET_K, 1)];
            let head = [k(op::LD_IMM, a), k(op::LDX_IMM, b)];
            result(&[&head[..], &[Insn::jump(code, b, 1, 0)], &tail].concat()) == 1
        };
        for (by_k, by_x, equal, greater, common) in [
            (op::JEQ_K, op::JEQ_X, true, false, false),
            (op::JGT_K, op::JGT_X, false, true, true),
            (op::JGE_K, op::JGE_X, true, true, true),
        ] {
            for code in [by_k, by_x] {
                assert_eq!((taken(code, 4, 4), taken(code, 5, 4), taken(code, 6, 4)), (equal, greater, common));
                assert!(!taken(code, 3, 4));
            }
        }
        for code in [op::JSET_K, op::JSET_X] {
            assert!(taken(code, 6, 4) && !taken(code, 3, 4));
        }
    }

    #[test]
    fn what_is_not_sound_is_refused() {
        let ret = k(op::RET_K, 0);
        let refused = |insns: &[Insn]| Program::new(insns.to_vec()).unwrap_err().to_string();
        assert!(refused(&[]).contains("must be a ret"));
        assert!(refused(&[k(op::LD_IMM, 0)]).contains("must be a ret"));
        assert!(refused(&vec![ret; MAX_INSNS + 1]).contains("4,096"));
        assert!(refused(&[k(0xffff, 0), ret]).contains("instruction 0: is not known"));
        for code in [op::LD_MEM, op::LDX_MEM, op::ST, op::STX] {
            assert!(refused(&[k(code, 16), ret]).contains("memory"));
        }
        for code in [op::DIV_K, op::MOD_K] {
            assert!(refused(&[k(code, 0), ret]).contains("divides by 0"));
        }
        assert!(refused(&[k(op::JA, 1), ret]).contains("beyond"));
        assert!(refused(&[k(op::JA, u32::MAX), ret]).contains("back"));
        assert!(refused(&[Insn::jump(op::JEQ_K, 0, 0, 1), ret]).contains("beyond"));
        assert!(refused(&[Insn::jump(op::JSET_X, 0, 1, 0), ret]).contains("beyond"));
        assert!(Program::new(vec![ret; MAX_INSNS]).is_ok());
    }

    #[test]
    fn a_socket_passes_on_every_frame_whose_tag_was_taken_off() {
        // ether proto ip
        let ip = [k(op::LD_H_ABS, 12), Insn::jump(op::JEQ_K, 0x0800, 0, 1), k(op::RET_K, 9), k(op::RET_K, 0)];
        let socket = Program::new(Program::new(ip.to_vec()).unwrap().for_socket().unwrap()).unwrap();
        let mut frame = [0u8; 20];
        assert_eq!(socket.run(&frame, 20, None), 0);
        assert_eq!(socket.run(&frame, 20, Some(0)), u32::MAX);
        frame[12] = 8;
        assert_eq!(socket.run(&frame, 20, None), 9);
        let wide = Program::new(vec![k(op::RSH_K, 32), k(op::RET_K, 1)]).unwrap();
        assert_eq!((wide.run(&[], 0, None), wide.for_socket()), (1, None));
    }

    fn insn() -> impl Strategy<Value = Insn> {
        let k = prop_oneof![0u32..20, Just(u32::MAX), ANCILLARY..ANCILLARY + 64, any::<u32>()];
        (prop_oneof![0u16..0xb8, any::<u16>()], 0u8..6, 0u8..6, k).prop_map(|(code, jt, jf, k)| Insn {
            code,
            jt,
            jf,
            k,
        })
    }

    proptest! {
        /// No program and no frame stop the interpreter, and a sound one can be checked again behind the prologue.
        #[test]
        fn any_program_over_any_frame(
            insns in proptest::collection::vec(insn(), 1..24), frame in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            // What is sound of them, and a ret.
            let mut sound: Vec<Insn> = Vec::new();
            for insn in insns {
                let mut next = sound.clone();
                next.push(insn);
                next.extend([Insn::new(op::RET_A, 0); 8]);
                if Program::new(next).is_ok() {
                    sound.push(insn);
                }
            }
            sound.extend([Insn::new(op::RET_A, 0); 8]);
            let program = Program::new(sound).unwrap();
            let result = program.run(&frame, 1500, None);
            prop_assert_eq!(result != 0, program.matches(&frame, 1500));
            if let Some(socket) = program.for_socket() {
                prop_assert_eq!(Program::new(socket).unwrap().run(&frame, 1500, None), result);
            }
        }
    }
}
