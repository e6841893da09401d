//! Whether packets, and captures one after the other, come in the order of time. They are read as they are; that they do not is said
//! once, with the first place where it shows.

use joyfuljay_core::frame::{FrameBatch, TimeNs};

use super::{SourceWarning, Trouble};

/// A packet may be this much older than one before it and nothing is said: the queues of an adapter, each of which has a processor of its
/// own, are emptied one after the other, some milliseconds apart.
const USUAL: TimeNs = 10_000_000;

/// Sees all packets of a sequence of captures.
#[derive(Debug, Default)]
pub(super) struct TimeOrder {
    /// The capture that is read, whether what is said of its beginning is for this run to say, and how many packets it gave.
    name: String,
    tells: bool,
    packets: u64,
    latest: Option<TimeNs>,
    /// The capture with the latest time of those before, and that time.
    before: Option<(String, TimeNs)>,
    overlaps: Finding,
    late: Finding,
}

/// What was found, how often, and the first of them.
#[derive(Debug, Default)]
struct Finding {
    count: u64,
    path: String,
    first: String,
}

impl Finding {
    #[cold]
    fn add(&mut self, path: &str, first: impl FnOnce() -> String) {
        if self.count == 0 {
            (self.path, self.first) = (path.to_owned(), first());
        }
        self.count += 1;
    }

    fn take(&mut self, advice: &str) -> Option<SourceWarning> {
        let Self { count, path, first } = std::mem::take(self);
        let more = match count {
            0 => return None,
            1 => String::new(),
            _ => format!(" ({} more)", count - 1),
        };
        let message = format!("{path}: {first}{more}; {advice}");
        Some(SourceWarning { path, offset: 0, trouble: Trouble::PassedOver, message })
    }
}

impl TimeOrder {
    /// The next packets are those of another capture. Where several runs share a sequence, one of them tells that it begins too early.
    pub(super) fn begin(&mut self, name: &str, tells: bool) {
        let ended = (std::mem::take(&mut self.name), self.latest.take());
        if let (name, Some(latest)) = ended
            && self.before.as_ref().is_none_or(|(_, before)| latest >= *before)
        {
            self.before = Some((name, latest));
        }
        (self.name, self.tells, self.packets) = (name.to_owned(), tells, 0);
    }

    /// Sees the next packets of the capture.
    pub(super) fn see(&mut self, batch: &FrameBatch) {
        let Some(first) = batch.frames.first() else { return };
        if let (0, true, Some((before, ended))) = (self.packets, self.tells, &self.before)
            && first.ts < ended.saturating_sub(USUAL)
        {
            let by = seconds(ended.saturating_sub(first.ts));
            self.overlaps.add(&self.name, || format!("begins {by} s before {before} ends"));
        }
        let mut latest = self.latest.unwrap_or(first.ts);
        for (i, frame) in batch.frames.iter().enumerate() {
            if frame.ts < latest.saturating_sub(USUAL) {
                let by = seconds(latest.saturating_sub(frame.ts));
                let number = self.packets + i as u64 + 1;
                self.late.add(&self.name, || format!("packet {number} is {by} s older than one before it"));
            }
            latest = latest.max(frame.ts);
        }
        self.latest = Some(latest);
        self.packets += batch.frames.len() as u64;
    }

    /// What is to be said of captures that overlap.
    pub(super) fn take_overlaps(&mut self) -> Option<SourceWarning> {
        self.overlaps.take(
            "captures are read one after the other, as those of one sensor: keep several sensors apart (--separate), or put the packets of one \
             into order (mergecap)",
        )
    }

    /// What is to be said of packets within captures.
    pub(super) fn take_late(&mut self) -> Option<SourceWarning> {
        self.late.take("packets are taken in the order of the capture (reordercap puts it right)")
    }
}

fn seconds(nanos: TimeNs) -> String {
    format!("{:.3}", nanos as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use joyfuljay_core::frame::LinkType;

    const SECOND: TimeNs = 1_000_000_000;

    fn read(captures: &[&[TimeNs]]) -> Vec<String> {
        let mut order = TimeOrder::default();
        for (i, times) in captures.iter().enumerate() {
            order.begin(&format!("c{i}"), true);
            // In batches of two: a step between two batches is one, too.
            for times in times.chunks(2) {
                let mut batch = FrameBatch::new();
                times.iter().for_each(|ts| batch.push(*ts, LinkType::ETHERNET, 1, b"x"));
                order.see(&batch);
            }
        }
        let said = [order.take_overlaps(), order.take_late()];
        assert!(order.take_overlaps().is_none() && order.take_late().is_none(), "it is said once");
        said.into_iter().flatten().map(|warning| warning.message).collect()
    }

    #[test]
    fn packets_in_order_and_a_little_out_of_it_are_not_spoken_of() {
        assert_eq!(
            read(&[&[0, SECOND, SECOND - USUAL, 2 * SECOND], &[2 * SECOND - USUAL, 3 * SECOND], &[], &[3 * SECOND]]),
            [""; 0]
        );
        assert_eq!(read(&[&[TimeNs::MIN, TimeNs::MAX - USUAL], &[TimeNs::MAX]]), [""; 0]);
    }

    #[test]
    fn the_first_packet_out_of_order_is_told_by_its_number() {
        let said = read(&[&[0, SECOND], &[SECOND, 2 * SECOND, SECOND * 3 / 2, 3 * SECOND, 4 * SECOND, 3 * SECOND]]);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("c1: packet 3 is 0.500 s older than one before it (1 more); "), "{said:?}");
    }

    #[test]
    fn captures_that_overlap_are_told_with_the_one_that_lasts_longest() {
        let said = read(&[&[0, 9 * SECOND], &[9 * SECOND, 10 * SECOND], &[5 * SECOND, 6 * SECOND], &[7 * SECOND]]);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("c2: begins 5.000 s before c1 ends (1 more); "), "{said:?}");
        let far = read(&[&[TimeNs::MAX], &[TimeNs::MIN]]);
        assert!(far[0].starts_with("c1: begins 9223372036.855 s before c0 ends; "), "{far:?}");
    }
}
