//! L2TP, versions 2 and 3.

use crate::decode::judge;
use crate::decode::walk::{Next, Step, Walk};
use crate::packet::Layer;
use crate::stats::SkipReason;

/// Data messages of version 2 (RFC 2661), and of version 3 (RFC 3931 section 4.1.2).
pub(super) fn over_udp(w: &mut Walk<'_>) -> Next {
    let [flags, version] = *w.take::<2>()?;
    if flags & 0x80 == 0 && version & 15 == 3 {
        w.at += 2;
        return v3(w);
    }
    if flags & 0x80 != 0 || version & 15 != 2 {
        return Err(SkipReason::NonIp);
    }
    if flags & 0x40 != 0 {
        let len = usize::from(u16::from_be_bytes(*w.take::<2>()?));
        w.limit(len.saturating_sub(4));
    }
    w.at += 4 + if flags & 0x08 != 0 { 4 } else { 0 };
    if flags & 0x02 != 0 {
        w.at += usize::from(u16::from_be_bytes(*w.take::<2>()?));
    }
    w.push(Layer::L2tp);
    Ok(Step::Ppp)
}

/// Version 3 from the session's identifier on (RFC 3931 section 4.1.1). How long the cookie is, whether there is a
/// sublayer behind it and what the session carries, the control connection agreed upon: whatever fits.
pub(super) fn v3(w: &mut Walk<'_>) -> Next {
    const CONTROL: u32 = 0;
    /// A cookie of 0, 4 or 8 bytes, a sublayer of 0 or 4.
    const PREFIXES: [usize; 4] = [0, 4, 8, 12];
    if u32::from_be_bytes(*w.take::<4>()?) == CONTROL {
        return Err(SkipReason::NonIp);
    }
    for len in PREFIXES {
        let step = judge::unnamed(w, len).or_else(|| judge::unnamed_in_hdlc(w, len));
        if let Some(step) = step {
            w.push(Layer::L2tp);
            w.at += len;
            return Ok(step);
        }
    }
    Err(SkipReason::NonIp)
}
