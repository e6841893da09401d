//! `jj tui`: a run in a terminal. What the live page shows in a browser, for where there is none.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use joyfuljay_remote::Trust;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::Paragraph;

use crate::board::{Board, Tone};
use crate::error::CliError;
use crate::out;
use crate::scrape::{Families, Place};

/// Watch a run that serves metrics, in the terminal.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jj live eth0 -o flows.csv --prometheus-port 9184\n  jj tui                                  in another \
                        terminal, or later\n  jj tui http://sensor:9184 --once        how it stands now, as text\n\n\
                        The keys q, Esc and Ctrl-C quit. A run that is not reachable is tried again every second. Where \
                        standard output is no terminal, --once is meant. Colours are left out where NO_COLOR is set."
)]
pub struct Tui {
    /// Where the run serves its metrics: http or https, with NAME:PASSWORD@ before the host where it asks for them.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:9184")]
    url: String,
    /// Print how it stands now, and end: exit code 1 where the run is not reachable. It takes a second, for the rates.
    #[arg(long)]
    once: bool,
    /// Trust the certificate authorities of this file (PEM) instead of the system's.
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
}

/// How often the run is asked, as by the live page.
const EVERY: Duration = Duration::from_secs(1);

/// How soon a key, a new size and a signal are seen.
const SOON: Duration = Duration::from_millis(100);

impl Tui {
    pub fn run(self) -> Result<(), CliError> {
        let trust = Trust { ca: self.tls_ca.clone(), ..Trust::default() };
        let place =
            Place::new(&self.url, &trust).map_err(|e| CliError::Usage(format!("{}: {e}", without_login(&self.url))))?;
        if self.once || !std::io::stdout().is_terminal() { once(&place) } else { watch(place) }
    }
}

/// An address as it may be shown.
fn without_login(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let shown = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() { shown.to_owned() } else { format!("{scheme}://{shown}") }
}

/// Unix seconds.
fn unix() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Two scrapes, as one has no rates; where the run ends between them, the first.
fn once(place: &Place) -> Result<(), CliError> {
    /// The text of a screen that is wide enough for every line but long names.
    const WIDTH: usize = 100;
    let begun = Instant::now();
    let mut board = Board::new(&place.url);
    let first = place.ask().map_err(|e| {
        CliError::Failed(format!("{}: {e} (a run serves metrics with --prometheus-port 9184)", place.url))
    })?;
    board.answered(first, begun.elapsed(), unix());
    std::thread::sleep(EVERY);
    if let Ok(second) = place.ask() {
        board.answered(second, begun.elapsed(), unix());
    }
    let mut text = String::new();
    // How to quit is nothing to know here.
    for line in board.lines(WIDTH, usize::MAX, unix()) {
        let line: String = line.iter().map(|(text, _)| text.as_str()).collect();
        text.push_str(line.trim_end().trim_end_matches("q quits").trim_end());
        text.push('\n');
    }
    out::print(&text)
}

fn watch(place: Place) -> Result<(), CliError> {
    let ended = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&ended))
            .map_err(|e| CliError::Failed(format!("signals cannot be watched for: {e}")))?;
    }
    let mut board = Board::new(&place.url);
    let answers = ask(place);
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let terminal = |e: std::io::Error| CliError::Failed(format!("the terminal: {e}"));
    let mut screen = ratatui::try_init().map_err(terminal)?;
    let shown: std::io::Result<()> = (|| {
        while !ended.load(Ordering::Relaxed) {
            while let Ok((at, answer)) = answers.try_recv() {
                match answer {
                    Ok(families) => board.answered(families, at, unix()),
                    Err(why) => board.not_answered(why),
                }
            }
            screen.draw(|frame| draw(frame, &board, unix(), colours))?;
            if event::poll(SOON)? && is_quit(&event::read()?) {
                break;
            }
        }
        Ok(())
    })();
    // Whatever happened, the terminal is the user's again before anything is said.
    let restored = ratatui::try_restore();
    shown.and(restored).map_err(terminal)
}

/// An answer, or why there is none, and when it came since the beginning.
type Answer = (Duration, Result<Families, String>);

/// Asks again and again, apart from the screen, which an answer that is late must not hold up.
fn ask(place: Place) -> Receiver<Answer> {
    let (send, receive) = mpsc::channel();
    let begun = Instant::now();
    std::thread::spawn(move || {
        loop {
            let asked = Instant::now();
            let answer = place.ask();
            if send.send((begun.elapsed(), answer)).is_err() {
                return;
            }
            std::thread::sleep(EVERY.saturating_sub(asked.elapsed()));
        }
    });
    receive
}

fn is_quit(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind != KeyEventKind::Release && (is_interrupt || matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc))
}

fn draw(frame: &mut Frame<'_>, board: &Board, now: f64, colours: bool) {
    let area = frame.area();
    let lines = board.lines(usize::from(area.width), usize::from(area.height), now);
    let span = |(text, tone): (String, Tone)| Span::styled(text, style(tone, colours));
    let lines = lines.into_iter().map(|line| Line::from(line.into_iter().map(span).collect::<Vec<_>>()));
    frame.render_widget(Paragraph::new(Text::from(lines.collect::<Vec<_>>())), area);
}

/// Without colours what is bad is bold, and what is faint is dim: that is no colour.
fn style(tone: Tone, colours: bool) -> Style {
    let (colour, modifier) = match tone {
        Tone::Plain => return Style::new(),
        Tone::Name => (None, Modifier::BOLD),
        Tone::Faint => (None, Modifier::DIM),
        Tone::Course => (Some(Color::Cyan), Modifier::empty()),
        Tone::Good => (Some(Color::Green), Modifier::empty()),
        Tone::Bad => (Some(Color::Red), Modifier::BOLD),
    };
    let style = Style::new().add_modifier(modifier);
    colour.filter(|_| colours).map_or(style, |colour| style.fg(colour))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::tests::board;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::KeyEvent;

    fn screen(width: u16, height: u16, colours: bool) -> (Vec<String>, bool) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &board(), 1020.0, colours)).unwrap();
        let buffer = terminal.backend().buffer();
        let cells = buffer.content.chunks(usize::from(width));
        let lines = cells.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>()).collect();
        (lines, buffer.content.iter().any(|cell| cell.fg != Color::Reset))
    }

    #[test]
    fn a_screen_of_80_by_24_has_every_figure() {
        let (lines, coloured) = screen(80, 24, true);
        assert!(coloured);
        for want in
            ["q quits", "Capturing live traffic", "Packets/s", "█", "Interface   eth0", "Watch       6 captures"]
        {
            assert!(lines.iter().any(|line| line.contains(want)), "{want}: {lines:#?}");
        }
    }

    #[test]
    fn a_small_screen_has_the_most_important() {
        let (lines, _) = screen(40, 12, true);
        for want in ["Capturing live traffic", "Packets/s", "42 active", "more lines"] {
            assert!(lines.iter().any(|line| line.contains(want)), "{want}: {lines:#?}");
        }
        screen(1, 1, true);
    }

    #[test]
    fn no_color_has_none() {
        assert!(!screen(80, 24, false).1);
    }

    #[test]
    fn keys_quit() {
        let key = |code, modifiers| Event::Key(KeyEvent::new(code, modifiers));
        assert!(is_quit(&key(KeyCode::Char('q'), KeyModifiers::NONE)));
        assert!(is_quit(&key(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        assert!(!is_quit(&key(KeyCode::Char('c'), KeyModifiers::NONE)));
        assert!(!is_quit(&Event::Resize(1, 1)));
    }

    #[test]
    fn what_is_shown_of_an_address_has_no_password() {
        assert_eq!(without_login("ftp://me:secret@host/x"), "ftp://host/x");
        assert_eq!(without_login("host:1"), "host:1");
    }
}
