//! The subcommands, one file each; the exports share one. `output` and `running` have what those that make rows share.

mod completions;
mod connect;
mod discover;
mod export;
mod extract;
mod features;
mod info;
mod live;
mod output;
mod profiles;
mod running;
mod schema;
mod serve;
mod status;
mod tui;
mod validate;
mod watch;

use crate::error::CliError;
use crate::out;

pub use profiles::profile_json;

/// A subcommand with its arguments.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    Extract(Box<extract::Extract>),
    Live(Box<live::Live>),
    Serve(Box<serve::Serve>),
    Connect(Box<connect::Connect>),
    Discover(discover::Discover),
    Watch(Box<watch::Watch>),
    Info(info::Info),
    Features(features::Features),
    Schema(schema::Schema),
    Profiles(profiles::Profiles),
    Status(status::Status),
    Validate(Box<validate::Validate>),
    Tui(tui::Tui),
    ExportDashboard(export::Dashboard),
    ExportAlerts(export::Alerts),
    ExportPrometheusConfig(export::PrometheusConfig),
    Completions(completions::Completions),
    /// Print the version, as --version does.
    #[command(hide = true)]
    Version,
}

impl Subcommand {
    /// Does it.
    pub fn run(self) -> Result<(), CliError> {
        match self {
            Self::Extract(c) => c.run(),
            Self::Live(c) => c.run(),
            Self::Serve(c) => c.run(),
            Self::Connect(c) => c.run(),
            Self::Discover(c) => c.run(),
            Self::Watch(c) => c.run(),
            Self::Info(c) => c.run(),
            Self::Features(c) => c.run(),
            Self::Schema(c) => c.run(),
            Self::Profiles(c) => c.run(),
            Self::Status(c) => c.run(),
            Self::Validate(c) => c.run(),
            Self::Tui(c) => c.run(),
            Self::ExportDashboard(c) => c.run(),
            Self::ExportAlerts(c) => c.run(),
            Self::ExportPrometheusConfig(c) => c.run(),
            Self::Completions(c) => c.run(),
            Self::Version => out::print(&crate::command().render_version()),
        }
    }
}
