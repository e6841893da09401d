//! The progress bar: on standard error, and only where a person looks at it.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use joyfuljay::Progress;
use joyfuljay_io::source::Clock;

use crate::{human, say};

/// A bar, or nothing.
#[derive(Clone, Debug)]
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// `wanted`: as the user said, else when standard error is a terminal.
    pub fn new(wanted: Option<bool>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        if !wanted.unwrap_or(terminal) {
            return Self(None);
        }
        let bar = ProgressBar::no_length();
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        Self(Some(bar))
    }

    /// Shows how far the run has come.
    pub fn update(&self, p: &Progress) {
        let Some(bar) = &self.0 else { return };
        if bar.length() != p.position.total || bar.position() == 0 {
            bar.set_style(style(p.position.total.is_some()));
            if let Some(total) = p.position.total {
                bar.set_length(total);
            }
        }
        bar.set_position(p.position.read);
        let rate = p.stats.frames as f64 / p.elapsed.as_secs_f64().max(1e-3);
        let files = match p.position.files_total {
            0 | 1 => String::new(),
            n => format!(", file {} of {n}", (p.position.files_done + 1).min(n)),
        };
        bar.set_message(format!(
            "{} packets ({}/s), {} flows{files}",
            human::count(p.stats.frames),
            human::scaled(rate),
            human::count(p.stats.flows_created),
        ));
    }

    /// Takes the bar off the screen while something else is said.
    pub fn suspend(&self, what: impl FnOnce()) {
        match &self.0 {
            Some(bar) => bar.suspend(what),
            None => what(),
        }
    }

    /// Takes the bar off the screen: the summary says it all.
    pub fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Says once what says the time of a run over a pipe or a device.
#[derive(Debug)]
pub struct ClockNote {
    wanted: bool,
}

impl ClockNote {
    /// `wanted`: whether to say it.
    pub fn new(wanted: bool) -> Self {
        Self { wanted }
    }

    /// Says it when it is known, above the bar.
    pub fn update(&mut self, p: &Progress, bar: &Bar) {
        let Some(clock) = p.clock.filter(|_| self.wanted) else { return };
        self.wanted = false;
        let what = match clock {
            Clock::Running => "frames arrive as they are captured: while none comes, quiet flows end by the clock",
            Clock::Packets => {
                "frames are older than a minute when they arrive: flows end by the times of packets, not by the clock"
            }
        };
        let source = p.position.current.as_deref().unwrap_or("the input");
        bar.suspend(|| say::line(format_args!("{source}: {what}")));
    }
}

fn style(total_known: bool) -> ProgressStyle {
    // One line: of the message, what a narrow terminal has no room for is left out. Bytes as the summary counts them.
    let template = if total_known {
        "{bar:12} {percent:>3}% of {decimal_total_bytes}, {eta} left, {wide_msg}"
    } else {
        "{spinner} {decimal_bytes} ({decimal_bytes_per_sec}), {wide_msg}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
