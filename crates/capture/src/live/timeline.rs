//! The time of live packets, over steps of the host's clock.
//!
//! Packets bear the host's clock. When somebody sets it, flows must neither end nor last for ever: so time goes on as before the
//! step, which is seen by comparing with a clock that nobody sets (`CLOCK_BOOTTIME`, which counts suspended time too). Small
//! corrections are followed, as they are what keeps a clock right; and a step by more than a day was from a clock that had no
//! time at all (a machine that has just booted), where only the new time is of use.

use joyfuljay_core::frame::TimeNs;

const SECOND: i64 = 1_000_000_000;

/// What a step is: `ntpd` and `chronyd` slew what is smaller.
const SMALLEST_STEP: i64 = SECOND / 2;
/// Beyond it, the old time was none.
const LARGEST_STEP: i64 = 24 * 3600 * SECOND;

/// From the host's clock to the time of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeline {
    /// Host's clock less the clock that nobody sets, at the last look.
    measured: i64,
    /// To be added to the host's clock.
    shift: i64,
    /// As it was before the last step, for frames that were captured then and read later.
    shift_before: i64,
    /// Time of rows at the last look.
    now: TimeNs,
}

impl Timeline {
    /// Both clocks at the start.
    pub(crate) fn new(real: TimeNs, boot: TimeNs) -> Self {
        Self { measured: real.saturating_sub(boot), shift: 0, shift_before: 0, now: real }
    }

    /// Looks at both clocks. A step that is not followed is given, in nanoseconds.
    pub(crate) fn look(&mut self, real: TimeNs, boot: TimeNs) -> Option<i64> {
        let measured = real.saturating_sub(boot);
        let step = measured.saturating_sub(self.measured);
        self.measured = measured;
        let stepped = (SMALLEST_STEP..=LARGEST_STEP).contains(&step.saturating_abs());
        if stepped {
            self.shift_before = self.shift;
            self.shift -= step;
        }
        self.now = real.saturating_add(self.shift);
        stepped.then_some(step)
    }

    /// The time by now.
    pub(crate) fn now(&self) -> TimeNs {
        self.now
    }

    /// The time of a frame with this stamp. Of two answers it is the one that is nearer to now: a frame that was captured before a
    /// step waited less long than the step is wide, or else nobody can tell.
    pub(crate) fn stamp(&self, ts: TimeNs) -> TimeNs {
        let [after, before] = [self.shift, self.shift_before].map(|shift| ts.saturating_add(shift));
        if self.shift == self.shift_before || after.abs_diff(self.now) <= before.abs_diff(self.now) {
            after
        } else {
            before
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_700_000_000 * SECOND;
    const HOUR: i64 = 3600 * SECOND;

    #[test]
    fn a_clock_that_is_set_moves_no_packet() {
        for step in [HOUR, -HOUR, 2 * SECOND] {
            let mut t = Timeline::new(T, 0);
            assert_eq!(t.look(T + SECOND, SECOND), None);
            assert_eq!(t.look(T + 2 * SECOND + step, 2 * SECOND), Some(step));
            assert_eq!(t.now(), T + 2 * SECOND);
            assert_eq!(t.stamp(T + 2 * SECOND + step), T + 2 * SECOND, "captured after the step");
            assert_eq!(t.stamp(T + SECOND), T + SECOND, "captured before it");
            assert_eq!(t.look(T + 3 * SECOND, 3 * SECOND), Some(-step), "and back");
            assert_eq!(t.stamp(T + 3 * SECOND), T + 3 * SECOND);
        }
    }

    #[test]
    fn corrections_are_followed_and_so_is_a_clock_that_had_no_time() {
        let mut t = Timeline::new(T, 0);
        assert_eq!(t.look(T + SECOND + 1000, SECOND), None);
        assert_eq!(t.stamp(T + SECOND + 1000), T + SECOND + 1000);
        let mut t = Timeline::new(0, 0);
        assert_eq!(t.look(T, SECOND), None);
        assert_eq!((t.now(), t.stamp(T)), (T, T));
    }

    #[test]
    fn a_pause_is_no_step() {
        let mut t = Timeline::new(T, 0);
        assert_eq!(t.look(T + 9 * HOUR, 9 * HOUR), None);
        assert_eq!(t.now(), T + 9 * HOUR);
    }
}
