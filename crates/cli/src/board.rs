//! What `jj tui` shows of a run: figures of now, rates and their course, made of one scrape after the other. Pure: a board and a size
//! give lines, so that tests need neither a run nor a terminal.

use std::collections::VecDeque;
use std::time::Duration;

use crate::human::{bytes, count, scaled, seconds};
use crate::say::printable;
use crate::scrape::Families;

/// Scrapes that are kept: one a second, and no terminal that is read is wider.
const KEEP: usize = 300;

/// Samples in "now": batches come in bursts. As on the live page.
const SMOOTH: usize = 5;

/// Counters whose rates are shown: what they are called, and their families.
const RATES: [(&str, &str); 4] = [
    ("Packets/s", "packets_total"),
    ("Bytes/s", "bytes_total"),
    ("Flows/s", "flows_total"),
    ("Rows/s", "output_records_total"),
];

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A figure.
    Plain,
    /// What is called so.
    Name,
    /// Of lesser weight.
    Faint,
    /// A course over time.
    Course,
    /// Goes well.
    Good,
    /// Worth a look.
    Bad,
}

/// A line: pieces of text.
pub type Line = Vec<(String, Tone)>;

/// The state of what is shown.
#[derive(Debug, Default)]
pub struct Board {
    url: String,
    now: Option<Families>,
    /// Unix seconds of the last answer.
    at: f64,
    before: Option<Before>,
    samples: VecDeque<Sample>,
    lost: Option<Lost>,
}

/// Counters of the scrape before, to take differences with.
#[derive(Debug)]
struct Before {
    at: Duration,
    counters: [f64; RATES.len()],
    cpu: Option<f64>,
    started: Option<f64>,
}

/// What went on between two scrapes.
#[derive(Clone, Copy, Debug)]
struct Sample {
    span: f64,
    rates: [f64; RATES.len()],
    cpu: Option<f64>,
}

#[derive(Debug)]
struct Lost {
    why: String,
    tries: u64,
}

impl Board {
    /// Nothing is known yet.
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), ..Self::default() }
    }

    /// An answer, at a time of a clock that never jumps and in Unix seconds.
    pub fn answered(&mut self, families: Families, at: Duration, unix: f64) {
        let counters = RATES.map(|(_, family)| families.sum(family));
        let cpu = families.process("cpu_seconds_total");
        let started = families.process("start_time_seconds");
        if let Some(before) = &self.before {
            // A counter that fell, or another start, is another process: no rate across the two.
            let same =
                before.started == started && counters.iter().zip(before.counters).all(|(now, then)| *now >= then);
            let span = at.saturating_sub(before.at).as_secs_f64();
            if !same {
                self.samples.clear();
            } else if span > 0.0 {
                let mut rates = counters;
                rates.iter_mut().zip(before.counters).for_each(|(rate, then)| *rate = (*rate - then) / span);
                let cpu = cpu.zip(before.cpu).map(|(now, then)| (now - then).max(0.0) / span);
                self.samples.push_back(Sample { span, rates, cpu });
                if self.samples.len() > KEEP {
                    self.samples.pop_front();
                }
            }
        }
        self.before = Some(Before { at, counters, cpu, started });
        self.now = Some(families);
        self.at = unix;
        self.lost = None;
    }

    /// No answer, and why.
    pub fn not_answered(&mut self, why: String) {
        self.before = None;
        let tries = self.lost.take().map_or(0, |lost| lost.tries) + 1;
        self.lost = Some(Lost { why, tries });
    }

    /// Whether a run goes on.
    fn is_running(&self) -> bool {
        self.now.as_ref().is_some_and(|now| now.sum("active_runs") > 0.0)
    }

    /// The mean over the last few samples up to one.
    fn smooth(&self, upto: usize, value: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        let from = (upto + 1).saturating_sub(SMOOTH);
        let (mut total, mut span) = (0.0, 0.0);
        for sample in self.samples.range(from.min(self.samples.len())..(upto + 1).min(self.samples.len())) {
            total += value(sample)? * sample.span;
            span += sample.span;
        }
        (span > 0.0).then(|| total / span)
    }

    /// The rate now, and 0 at once when no run goes on.
    fn rate(&self, of: usize) -> Option<f64> {
        let value = |sample: &Sample| sample.rates.get(of).copied();
        let last = self.samples.back()?;
        if !self.is_running() && value(last) == Some(0.0) {
            return Some(0.0);
        }
        self.smooth(self.samples.len() - 1, value)
    }

    /// The lines of a terminal of this size, `now` in Unix seconds; where there are more, the last says so.
    pub fn lines(&self, width: usize, height: usize, now: f64) -> Vec<Line> {
        let mut lines = self.head(width, now);
        if let Some(families) = &self.now {
            lines.push(Vec::new());
            lines.extend(self.rates(families, width));
            lines.push(Vec::new());
            lines.extend(self.figures(families, width, now));
        }
        if lines.len() > height {
            // What only separates goes first.
            lines.retain(|line| !line.is_empty());
        }
        if lines.len() > height {
            let shown = height.saturating_sub(1);
            let hidden = lines.len() - shown;
            lines.truncate(shown);
            lines.push(vec![(format!("… {hidden} more lines: make the terminal larger"), Tone::Faint)]);
            lines.truncate(height);
        }
        for line in &mut lines {
            cut(line, width);
        }
        lines
    }

    fn head(&self, width: usize, now: f64) -> Vec<Line> {
        const QUIT: &str = "q quits";
        let title = format!("JoyfulJay  {}", printable(&self.url));
        let used = title.chars().count();
        let mut first = vec![(title, Tone::Name)];
        if let Some(room) = width.checked_sub(used + QUIT.len() + 1) {
            first.push((" ".repeat(room + 1), Tone::Plain));
            first.push((QUIT.into(), Tone::Faint));
        }
        let mut lines = vec![first];
        let said = match (&self.lost, &self.now) {
            (Some(lost), shown) => {
                let tries = if lost.tries == 1 { "1 try".into() } else { format!("{} tries", count(lost.tries)) };
                let mut text = format!("Not reachable: {} ({tries}; tried again every second)", printable(&lost.why));
                if shown.is_some() {
                    text.push_str(&format!(
                        ". What is shown is {} old; the run may have ended",
                        seconds((now - self.at).max(1.0).floor())
                    ));
                }
                (text, Tone::Bad)
            }
            (None, Some(families)) => state(families, now),
            (None, None) => ("Connecting".into(), Tone::Faint),
        };
        lines.extend(wrapped(&said.0, width, said.1));
        lines
    }

    fn rates(&self, families: &Families, width: usize) -> Vec<Line> {
        // Name, rate, total; the course has what is left.
        const FIXED: usize = 12 + 10 + 22;
        let room = width.saturating_sub(FIXED + 1).min(KEEP);
        RATES
            .iter()
            .enumerate()
            .filter(|(_, (_, family))| families.has(family))
            .map(|(i, (name, family))| {
                let is_bytes = *family == "bytes_total";
                let rate = self.rate(i).map_or_else(|| "–".into(), |r| if is_bytes { size(r) } else { scaled(r) });
                let total = families.sum(family);
                let total = if is_bytes { size(total) } else { whole(total) };
                let mut line = vec![(format!("{name:<12}"), Tone::Name), (format!("{rate:>9} "), Tone::Plain)];
                // Narrower than this it shows nothing.
                if room >= 8 {
                    let from = self.samples.len().saturating_sub(room);
                    let course = (from..self.samples.len()).map(|at| self.smooth(at, |s| s.rates.get(i).copied()));
                    line.push((
                        format!("{:<room$} ", course_of(&course.map(Option::unwrap_or_default).collect::<Vec<_>>())),
                        Tone::Course,
                    ));
                }
                line.push((format!("{total} in all"), Tone::Faint));
                line
            })
            .collect()
    }

    fn figures(&self, v: &Families, width: usize, now: f64) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut put = |name: &str, text: String, bad: bool| {
            /// Names stand before this column; where there is no room for that, over the text.
            const NAMES: usize = 12;
            let tone = if bad { Tone::Bad } else { Tone::Plain };
            for (i, mut line) in wrapped(&text, width.saturating_sub(NAMES).max(1), tone).into_iter().enumerate() {
                let name = if i == 0 { name } else { "" };
                line.insert(0, (format!("{name:<NAMES$}"), Tone::Name));
                lines.push(line);
            }
        };
        let (active, room) = (v.sum("active_flows"), v.sum("flow_table_capacity_flows"));
        let mut flows = format!("{} active", whole(active));
        if room > 0.0 {
            flows.push_str(&format!(", {} of {}", percent(active / room), whole(room)));
        }
        if v.has("flow_table_bytes") {
            flows.push_str(&format!(", {} of memory", size(v.sum("flow_table_bytes"))));
        }
        let evicted = v.sum("flow_evictions_total");
        if evicted > 0.0 {
            flows.push_str(&format!(", {} pushed out for want of room", whole(evicted)));
        }
        put("Flows", flows, evicted > 0.0);
        if let Some(resident) = v.process("resident_memory_bytes") {
            let cpu = self.samples.len().checked_sub(1).and_then(|last| self.smooth(last, |s| s.cpu));
            let cpu = cpu.map(|cpu| format!(", processors {}", percent(cpu))).unwrap_or_default();
            put("Memory", format!("{}{cpu}", size(resident)), false);
        }
        let drops = v.sum("capture_drops_total") + v.sum("remote_drops_total");
        if v.has("capture_drops_total") || drops > 0.0 {
            let mut by = v.by("capture_drops_total", "where");
            by.extend(v.by("remote_drops_total", "reason"));
            put("Drops", some_of(&by), drops > 0.0);
        }
        put("Errors", some_of(&v.by("errors_total", "stage")), v.sum("errors_total") > 0.0);
        if v.sum("packets_skipped_total") > 0.0 {
            put("Skipped", some_of(&v.by("packets_skipped_total", "reason")), false);
        }
        for (sink, rows) in v.by("output_records_total", "sink") {
            let of = |name: &str| v.of(name, "sink", &sink);
            let (failed, lost) = (of("output_errors_total"), of("output_records_lost_total"));
            let mut text = format!("{}: {} rows", printable(&sink), whole(rows));
            if v.has("output_bytes_total") {
                text.push_str(&format!(", {}", size(of("output_bytes_total"))));
            }
            text.push_str(&format!(", {} failures", if failed > 0.0 { whole(failed) } else { "no".into() }));
            if lost > 0.0 {
                text.push_str(&format!(", {} rows lost", whole(lost)));
            }
            let last = of("output_last_success_timestamp_seconds");
            if last > 0.0 && self.is_running() {
                text.push_str(&format!(", last write {} ago", ago(now - last)));
            }
            put("Output", text, failed + lost > 0.0);
        }
        for (topic, rows) in v.by("kafka_rows_total", "topic") {
            let of = |name: &str| v.of(name, "topic", &topic);
            let failed = of("kafka_failures_total");
            let text = format!(
                "{}: {} rows acknowledged, {} waiting, {} sent again, {} failed",
                printable(&topic),
                whole(rows),
                whole(of("kafka_queue_depth")),
                whole(of("kafka_retries_total")),
                whole(failed)
            );
            put("Kafka", text, failed > 0.0);
        }
        for (name, packets) in v.by("capture_packets_total", "interface") {
            let dropped = v.of("capture_drops_total", "interface", &name);
            let up = !v.has("capture_up") || v.of("capture_up", "interface", &name) > 0.0;
            let state = if up { "" } else { ", down or gone" };
            let text = format!("{}: {} packets, {} dropped{state}", printable(&name), whole(packets), whole(dropped));
            put("Interface", text, dropped > 0.0 || !up);
        }
        for (source, lag) in v.by("lag_seconds", "source") {
            // Beyond what a sensor that keeps up has.
            const LATE: f64 = 10.0;
            put("Lag", format!("{}: {} behind the clock", printable(&source), seconds(lag.max(0.0))), lag > LATE);
        }
        let messages = v.by("remote_messages_total", "direction");
        if v.sum("remote_connections") > 0.0 || messages.iter().any(|(_, n)| *n > 0.0) {
            let way =
                messages.iter().filter(|(_, n)| *n > 0.0).map(|(way, n)| format!(", {} messages {way}", whole(*n)));
            let refused = v.sum("remote_auth_failures_total");
            let mut text = format!("{} connections{}", whole(v.sum("remote_connections")), way.collect::<String>());
            text.push_str(&format!(", {} reconnects", whole(v.sum("remote_reconnects_total"))));
            if refused > 0.0 {
                text.push_str(&format!(", {} turned away", whole(refused)));
            }
            put("Remote", text, refused > 0.0);
        }
        if v.has("watch_captures_total") || v.has("watch_captures_waiting") {
            let failed = v.of("watch_captures_total", "outcome", "failed");
            let text = format!(
                "{} captures read, {} failed, {} waiting",
                whole(v.of("watch_captures_total", "outcome", "read")),
                whole(failed),
                whole(v.sum("watch_captures_waiting"))
            );
            put("Watch", text, failed > 0.0);
        }
        lines
    }
}

/// What is said of the run.
fn state(v: &Families, now: f64) -> (String, Tone) {
    let runs: Vec<(String, f64)> = v.by("active_runs", "mode").into_iter().filter(|(_, n)| *n > 0.0).collect();
    let Some((mode, n)) = runs.first() else { return ended(v) };
    let mut text = match mode.as_str() {
        _ if runs.len() > 1 || *n > 1.0 => {
            let names: Vec<_> = runs.iter().map(|(mode, n)| format!("{} {}", whole(*n), printable(mode))).collect();
            format!("Running: {}", names.join(", "))
        }
        "pcap" if v.has("watch_captures_waiting") => "Watching a folder of captures".into(),
        "pcap" => "Reading captures".into(),
        "live" => "Capturing live traffic".into(),
        "remote" => "Receiving from remote sensors".into(),
        other => format!("Running: {}", printable(other)),
    };
    let began = v.of("last_run_start_timestamp_seconds", "mode", mode);
    if began > 0.0 {
        text.push_str(&format!(", for {}", ago(now - began)));
    }
    let (read, size_) = (v.sum("input_read_bytes"), v.sum("input_size_bytes"));
    if size_ > 0.0 && read <= size_ {
        text.push_str(&format!(": {} of {} read", percent(read / size_), size(size_)));
    } else if mode == "pcap" && v.has("input_read_bytes") {
        text.push_str(&format!(": {} read", size(read)));
    }
    (text, Tone::Good)
}

fn ended(v: &Families) -> (String, Tone) {
    let of = |result| v.of("runs_total", "result", result);
    let (well, failed, stopped) = (of("success"), of("failure"), of("cancelled"));
    if well + failed + stopped == 0.0 {
        return ("No run yet".into(), Tone::Faint);
    }
    let took = v.sum("processing_duration_seconds_sum");
    let parts = [(well, "ended well"), (failed, "failed"), (stopped, "stopped")];
    let parts: Vec<_> = parts.iter().filter(|p| p.0 > 0.0).map(|(n, what)| format!("{} {what}", whole(*n))).collect();
    let text = format!("No run goes on: {}, after {} in all", parts.join(", "), seconds(took));
    (text, if failed > 0.0 { Tone::Bad } else { Tone::Good })
}

/// Those that are not 0, and what they come to.
fn some_of(parts: &[(String, f64)]) -> String {
    let some: Vec<_> = parts.iter().filter(|(_, n)| *n > 0.0).collect();
    if some.is_empty() {
        return "none".into();
    }
    let each: Vec<_> = some.iter().map(|(name, n)| format!("{} {}", printable(name), whole(*n))).collect();
    each.join(", ")
}

/// Bars of eighths, the highest of which is the largest value.
fn course_of(values: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().fold(0.0, f64::max);
    let bar = |value: &f64| {
        let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
        BARS.get((share * (BARS.len() - 1) as f64).round() as usize).copied().unwrap_or(' ')
    };
    values.iter().map(bar).collect()
}

fn whole(n: f64) -> String {
    count(n.max(0.0) as u64)
}

fn size(n: f64) -> String {
    bytes(n.max(0.0) as u64)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share.max(0.0))
}

/// A time that has gone by, in whole seconds.
fn ago(s: f64) -> String {
    let s = s.max(0.0);
    if s < 60.0 { format!("{s:.0} s") } else { seconds(s) }
}

/// Text in lines that break between words.
fn wrapped(text: &str, width: usize, tone: Tone) -> Vec<Line> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter().map(|line| vec![(line, tone)]).collect()
}

/// Takes off what is beyond the width.
fn cut(line: &mut Line, width: usize) {
    let mut left = width;
    for (text, _) in line.iter_mut() {
        let length = text.chars().count();
        if length > left {
            *text = text.chars().take(left).collect();
        }
        left = left.saturating_sub(length);
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    const RUN: &str = "joyfuljay_active_flows 42\njoyfuljay_active_runs{mode=\"live\"} 1\njoyfuljay_flow_table_bytes 4000\n\
        joyfuljay_flow_table_capacity_flows 100\njoyfuljay_last_run_start_timestamp_seconds{mode=\"live\"} 1000\n\
        joyfuljay_errors_total{stage=\"parsing\"} 7\njoyfuljay_errors_total{stage=\"output\"} 0\n\
        joyfuljay_capture_packets_total{interface=\"eth0\"} 1234\njoyfuljay_capture_drops_total{interface=\"eth0\",where=\"kernel\"} 5\n\
        joyfuljay_capture_up{interface=\"eth0\"} 1\njoyfuljay_lag_seconds{source=\"eth0\"} 0.5\n\
        joyfuljay_output_records_total{sink=\"csv\"} 30\njoyfuljay_output_bytes_total{sink=\"csv\"} 3000\n\
        joyfuljay_output_errors_total{sink=\"csv\",kind=\"write\"} 2\njoyfuljay_output_records_lost_total{sink=\"csv\",reason=\"write\"} 3\n\
        joyfuljay_kafka_rows_total{topic=\"flows\"} 11\njoyfuljay_kafka_queue_depth{topic=\"flows\"} 4\n\
        joyfuljay_remote_connections 2\njoyfuljay_remote_messages_total{direction=\"sent\"} 9\n\
        joyfuljay_watch_captures_total{outcome=\"read\"} 6\njoyfuljay_watch_captures_waiting 1\n\
        process_resident_memory_bytes 1000000\nprocess_start_time_seconds 5\n";

    pub fn text(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| line.iter().map(|(text, _)| text.as_str()).collect()).collect()
    }

    fn scraped(packets: u32, cpu: f64) -> Families {
        let more = format!(
            "joyfuljay_packets_total {packets}\njoyfuljay_bytes_total {}\njoyfuljay_flows_total{{reason=\"fin\"}} {}\nprocess_cpu_seconds_total {cpu}\n",
            packets * 100,
            packets / 10
        );
        Families::read(&format!("{RUN}{more}")).unwrap()
    }

    pub fn board() -> Board {
        let mut board = Board::new("http://h:1/metrics");
        for i in 0..20 {
            board.answered(
                scraped(1000 * i, f64::from(i) / 2.0),
                Duration::from_secs(u64::from(i)),
                1000.0 + f64::from(i),
            );
        }
        board
    }

    #[test]
    fn every_figure_has_its_line() {
        let lines = text(&board().lines(80, 100, 1020.0));
        for want in [
            "JoyfulJay  http://h:1/metrics                                            q quits",
            "Capturing live traffic, for 20 s",
            "Packets/s       1.0 k ▄▄▄",
            "Bytes/s      100.0 kB",
            "Flows/s           100",
            "Flows       42 active, 42 % of 100, 4.0 kB of memory",
            "Memory      1.0 MB, processors 50 %",
            "Drops       kernel 5",
            "Errors      parsing 7",
            "Output      csv: 30 rows, 3.0 kB, 2 failures, 3 rows lost",
            "Kafka       flows: 11 rows acknowledged, 4 waiting",
            "Interface   eth0: 1,234 packets, 5 dropped",
            "Lag         eth0: 500 ms behind the clock",
            "Remote      2 connections, 9 messages sent",
            "Watch       6 captures read, 0 failed, 1 waiting",
        ] {
            let want = want.replace("▄▄▄", "███");
            assert!(lines.iter().any(|line| line.contains(&want)), "{want}: {lines:#?}");
        }
    }

    #[test]
    fn any_size_has_room() {
        for board in [board(), Board::new("http://h:1/metrics")] {
            for (width, height) in [(80, 24), (40, 12), (20, 5), (3, 2), (1, 1), (0, 0), (400, 100)] {
                let lines = text(&board.lines(width, height, 1020.0));
                assert!(lines.len() <= height, "{width}x{height}: {lines:#?}");
                assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}x{height}: {lines:#?}");
            }
        }
        let small = text(&board().lines(40, 12, 1020.0));
        assert!(small.last().unwrap().contains("more lines"), "{small:#?}");
    }

    #[test]
    fn a_run_that_is_gone_is_told_and_what_was_known_stays() {
        let mut board = board();
        board.not_answered("nothing answers there".into());
        board.not_answered("nothing answers there".into());
        let lines = text(&board.lines(80, 24, 1024.0)).join("\n");
        assert!(
            lines.contains("Not reachable: nothing answers there (2 tries") && lines.contains("42 active"),
            "{lines}"
        );
        board.answered(scraped(5, 0.0), Duration::from_secs(60), 1060.0);
        let lines = text(&board.lines(80, 24, 1060.0)).join("\n");
        assert!(lines.contains("Capturing") && !lines.contains("Not reachable"), "{lines}");
    }

    #[test]
    fn there_is_no_rate_across_two_processes() {
        let mut board = board();
        board.answered(scraped(5, 0.0), Duration::from_secs(20), 1020.0);
        assert_eq!(board.rate(0), None);
        board.answered(scraped(15, 0.0), Duration::from_secs(22), 1022.0);
        assert_eq!(board.rate(0), Some(5.0));
    }

    #[test]
    fn runs_that_ended_are_told() {
        let of = |text: &str| Families::read(&format!("packets_total 1\nactive_flows 0\n{text}")).unwrap();
        assert_eq!(state(&of(""), 0.0).0, "No run yet");
        let (said, tone) = state(
            &of(
                "runs_total{result=\"success\"} 2\nruns_total{result=\"failure\"} 1\nprocessing_duration_seconds_sum 61\n",
            ),
            0.0,
        );
        assert_eq!(
            (said.as_str(), tone),
            ("No run goes on: 2 ended well, 1 failed, after 1 min 1 s in all", Tone::Bad)
        );
        let reading = of("active_runs{mode=\"pcap\"} 1\ninput_read_bytes 50\ninput_size_bytes 200\n");
        assert_eq!(state(&reading, 0.0).0, "Reading captures: 25 % of 200 B read");
    }
}
