//! Messages of remote sensors: what can be read is what was said, and nothing read is beyond its bound.

use crate::memory::peak_of;
use joyfuljay_remote::wire::{
    Encoder, FromClient, FromServer, MAX_BODY, MAX_CLIENT_MESSAGE, MAX_DATA, MAX_FRAMES, MAX_INTERFACES, MAX_TEXT, MAX_WARNINGS,
};

/// A first byte that chooses who says it, then a message.
pub fn laws(data: &[u8]) {
    let Some((who, message)) = data.split_first() else { return };
    if who % 2 == 0 {
        if let Ok(heard) = FromClient::decode(message) {
            assert!(message.len() <= MAX_CLIENT_MESSAGE);
            assert_eq!(heard.encode(), message);
        }
        return;
    }
    let (heard, peak) = peak_of(|| FromServer::decode(message));
    // What is decompressed, what is made of it, and the decompressor.
    assert!(peak <= 2 * MAX_BODY + (1 << 20), "{peak}");
    let Ok(heard) = heard else { return };
    match &heard {
        FromServer::Hello(hello) => {
            assert!(hello.name.len() <= MAX_TEXT);
            assert_eq!(hello.encode(), message);
        }
        FromServer::End(end) => {
            assert_eq!(FromServer::numbers(message), Some((end.seq, end.frames)));
            assert_eq!(end.encode(), message);
        }
        FromServer::Pull(pull) => {
            let frames = &pull.batch.frames;
            assert!(frames.len() <= MAX_FRAMES && pull.batch.data.len() <= MAX_DATA);
            assert!(frames.capacity() <= MAX_FRAMES && pull.batch.data.capacity() <= MAX_DATA);
            assert!(pull.interfaces.len() <= MAX_INTERFACES && pull.warnings.len() <= MAX_WARNINGS);
            assert!(pull.warnings.iter().all(|w| w.path.len() <= MAX_TEXT && w.message.len() <= MAX_TEXT));
            assert!(frames.iter().all(|frame| pull.batch.bytes(frame).len() == frame.cap_len as usize));
            let next = pull.frame.saturating_add(frames.len() as u64);
            assert_eq!(FromServer::numbers(message), Some((pull.seq, next)));
            for compress in [false, true] {
                let said = Encoder::new(compress).and_then(|mut encoder| encoder.pull(pull)).expect("what was read can be said");
                assert_eq!(FromServer::decode(&said).expect("what was said can be read"), heard);
            }
        }
    }
}
