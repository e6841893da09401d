//! `jj status`: what this `jj` is, and what the machine gives it. A report: what is missing is told, and is no failure.

use clap::Args;
use joyfuljay::{Pipeline, available_memory};
use joyfuljay_capture::filter;
use joyfuljay_capture::live::{self, Link, LiveOptions};
use joyfuljay_core::Config;
use joyfuljay_core::features::{GROUPS, JA4PLUS};
use serde_json::{Value, json};

use crate::error::CliError;
use crate::{human, out, say};

/// Show what this jj is and what the machine gives it: filters, live capture, interfaces, processors, memory.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  jj status\n  jj status --json | jq -r '.interfaces[].name'\n\n\
                        The exit code is 0 also where live capture is not allowed: `jj live IFACE --check` is the test of \
                        an interface, with exit code 1 where something is missing.")]
pub struct Status {
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

impl Status {
    pub fn run(self) -> Result<(), CliError> {
        let found = Found::look()?;
        if self.json { out::print_json(&found.json()) } else { out::print(&found.text(width())) }
    }
}

/// 80 columns, also in a file; a narrower terminal's own.
fn width() -> usize {
    const WIDTH: usize = 80;
    out::terminal_width().map_or(WIDTH, |columns| columns.min(WIDTH))
}

/// What is reported.
#[derive(Debug)]
struct Found {
    system: String,
    parts: Vec<(&'static str, bool)>,
    /// Name and version of the library that compiles filters; else what was tried.
    filters: Result<(String, String), String>,
    /// Else why it is not, and the way out.
    capture: Result<(), String>,
    /// Else why they are not known.
    interfaces: Result<Vec<Link>, String>,
    workers: usize,
    memory: Option<u64>,
    max_memory: u64,
}

impl Found {
    fn look() -> Result<Self, CliError> {
        let pipeline = Pipeline::new(Config::default())?;
        let checks = live::check::<&str>(&[], &LiveOptions::default());
        let refused = checks.into_iter().find_map(|check| check.found.err());
        Ok(Self {
            system: system(),
            parts: vec![
                ("sqlite", cfg!(feature = "sqlite")),
                ("postgres", cfg!(feature = "postgres")),
                ("kafka", cfg!(feature = "kafka")),
                ("ja4plus", GROUPS.iter().any(|group| group.id() == JA4PLUS.0)),
            ],
            filters: filter::compiler(),
            capture: refused.map_or(Ok(()), |why| Err(say::without_codes(&why))),
            interfaces: live::interfaces().map_err(|e| e.to_string()),
            workers: pipeline.workers(),
            memory: available_memory(),
            max_memory: pipeline.max_memory(),
        })
    }

    /// Names of the optional parts that are there, or that are not.
    fn parts(&self, there: bool) -> Vec<&'static str> {
        self.parts.iter().filter(|part| part.1 == there).map(|part| part.0).collect()
    }

    fn text(&self, width: usize) -> String {
        let mut rows: Vec<(String, String)> = Vec::new();
        let mut row = |name: &str, text: String| rows.push((format!("  {name}:"), say::printable(&text)));
        row("System", self.system.clone());
        row("Built with", listed(&self.parts(true)));
        row("Built without", listed(&self.parts(false)));
        row(
            "Filters",
            match &self.filters {
                Ok((name, version)) => format!("compiled by {version} ({name})"),
                Err(tried) => format!(
                    "none can be compiled: there is no libpcap ({tried}). Install it, or say in {} where it is",
                    filter::VARIABLE
                ),
            },
        );
        row(
            "Live capture",
            match &self.capture {
                Ok(()) => "allowed".into(),
                Err(why) => format!("not allowed: {why}"),
            },
        );
        row("Workers", format!("{}, unless --workers says otherwise: one for each processor", self.workers));
        let all = self.memory.map_or_else(|| "not known how much there is".into(), human::bytes);
        let most = human::bytes(self.max_memory);
        row("Memory", format!("{all}; the flows of a run take at most {most}, unless max_memory says otherwise"));
        if let Err(why) = &self.interfaces {
            row("Interfaces", format!("not known: {why}"));
        }
        let mut text = format!("jj {}\n{}", env!("CARGO_PKG_VERSION"), out::pairs(&rows, width));
        if let Ok(links) = &self.interfaces {
            let mut table = vec![["  INTERFACE", "STATE", "MTU", "TYPE"].map(str::to_owned).to_vec()];
            table.extend(links.iter().map(interface_row));
            text.push_str(&format!("\n{}", out::table(&table)));
        }
        text
    }

    fn json(&self) -> Value {
        let features: serde_json::Map<_, _> = self.parts.iter().map(|(n, there)| ((*n).into(), json!(there))).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "system": self.system,
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
            "features": features,
            "filters": match &self.filters {
                Ok((library, version)) => json!({"available": true, "library": library, "version": version}),
                Err(tried) => json!({"available": false, "problem": tried}),
            },
            "live_capture": json!({"allowed": self.capture.is_ok(), "problem": self.capture.as_ref().err()}),
            "interfaces": self.interfaces.as_ref().ok().map(|links| links.iter().map(interface_json).collect::<Vec<_>>()),
            "workers": self.workers,
            "memory_bytes": self.memory,
            "max_memory_bytes": self.max_memory,
        })
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "nothing that is optional".into() } else { names.join(", ") }
}

fn interface_row(link: &Link) -> Vec<String> {
    let state = match (link.up, link.running) {
        (false, _) => "down",
        (true, false) => "up, no carrier",
        (true, true) => "up",
    };
    let unread = if link.is_readable() { "" } else { ", cannot be captured" };
    let hardware = format!("{}{unread}", link.hardware_name());
    vec![format!("  {}", say::printable(&link.name)), state.into(), link.mtu.to_string(), hardware]
}

fn interface_json(link: &Link) -> Value {
    json!({
        "name": link.name,
        "index": link.index,
        "up": link.up,
        "carrier": link.running,
        "mtu": link.mtu,
        "type": link.hardware_name(),
        "readable": link.is_readable(),
    })
}

/// System, its release and the processor's architecture.
fn system() -> String {
    let arch = std::env::consts::ARCH;
    #[cfg(unix)]
    {
        let name = rustix::system::uname();
        format!("{} {} on {arch}", name.sysname().to_string_lossy(), name.release().to_string_lossy())
    }
    #[cfg(not(unix))]
    {
        format!("{} on {arch}", std::env::consts::OS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        let lo =
            Link { index: 1, name: "lo".into(), hardware: 772, up: true, running: true, mtu: 65536, ..Link::default() };
        let can = Link { index: 2, name: "can0".into(), hardware: 280, up: true, mtu: 16, ..Link::default() };
        Found {
            system: "Linux 6.1.0 on x86_64".into(),
            parts: vec![("sqlite", true), ("kafka", false)],
            filters: Ok(("libpcap.so.1".into(), "libpcap version 1.10.4".into())),
            capture: Err("capturing needs the capability CAP_NET_RAW: run it as root".into()),
            interfaces: Ok(vec![lo, can]),
            workers: 4,
            memory: Some(8_000_000_000),
            max_memory: 4_000_000_000,
        }
    }

    #[test]
    fn what_is_there_is_told_and_what_is_not_too() {
        let text = found().text(80);
        for part in [
            "Built with:     sqlite\n",
            "Built without:  kafka\n",
            "compiled by libpcap version 1.10.4 (libpcap.so.1)",
            "not allowed: capturing needs the capability CAP_NET_RAW",
            "8.0 GB; the flows of a run take at most 4.0 GB",
            "  lo         up              65536  loopback\n",
            "  can0       up, no carrier  16     CAN bus, cannot be captured\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let json = found().json();
        assert_eq!(
            (json["live_capture"]["allowed"].as_bool(), json["interfaces"][1]["carrier"].as_bool()),
            (Some(false), Some(false))
        );
    }

    #[test]
    fn nothing_to_compile_filters_and_no_interfaces_are_told() {
        let found =
            Found { filters: Err("no file".into()), interfaces: Err("refused".into()), memory: None, ..found() };
        let text = found.text(80);
        assert!(
            text.contains("none can be compiled")
                && text.contains(filter::VARIABLE)
                && text.contains("not known: refused"),
            "{text}"
        );
        assert!(found.json()["interfaces"].is_null());
    }
}
