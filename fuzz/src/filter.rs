//! Laws of filter programs.

#[path = "../../crates/capture/src/filter/program.rs"]
#[allow(dead_code)]
mod program;

use program::{Insn, Program};

/// Input: number of instructions, instructions as `struct sock_filter` (little-endian), length on the wire, frame.
///
/// A program that is sound ends, with the same result behind the prologue for sockets.
pub fn laws(data: &[u8]) {
    let Some((&n, rest)) = data.split_first() else { return };
    let Some((code, rest)) = rest.split_at_checked(usize::from(n) * 8) else { return };
    let Some((wire_len, frame)) = rest.split_first_chunk() else { return };
    let wire_len = u32::from(u16::from_le_bytes(*wire_len));
    let (insns, _) = code.as_chunks::<8>();
    let insns = insns.iter().map(|&[c0, c1, jt, jf, k0, k1, k2, k3]| Insn {
        code: u16::from_le_bytes([c0, c1]),
        jt,
        jf,
        k: u32::from_le_bytes([k0, k1, k2, k3]),
    });
    let Ok(program) = Program::new(insns.collect()) else { return };
    let result = program.run(frame, wire_len, None);
    assert_eq!(program.matches(frame, wire_len), result != 0);
    if let Some(socket) = program.for_socket() {
        let socket = Program::new(socket).expect("what is sound stays so behind the prologue");
        assert_eq!(socket.run(frame, wire_len, None), result);
        assert_ne!(socket.run(frame, wire_len, Some(1)), 0);
    }
}
