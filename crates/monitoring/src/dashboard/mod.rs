//! Grafana dashboards: a builder that places panels, the overview dashboard made with it from the table of metrics, and the export.

mod builder;
mod export;
mod overview;
mod panel;

pub use builder::{DashboardBuilder, GRID_WIDTH};
pub(crate) use export::to_text;
pub use export::{export_dashboard, with_datasource};
pub use overview::overview_dashboard;
pub use panel::{PanelKind, PanelOptions};

use std::io;
use std::path::PathBuf;

/// Why a dashboard cannot be built or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DashboardError {
    /// Grafana's grid is 24 columns wide.
    #[error("panel {title:?}: width {width} does not fit a grid of 24 columns; give 1 to 24")]
    Width {
        /// The panel.
        title: String,
        /// The width asked for.
        width: u32,
    },
    /// Rows of the grid are 30 pixels each.
    #[error("panel {title:?}: height {height} is not 1 to 100 grid rows")]
    Height {
        /// The panel.
        title: String,
        /// The height asked for.
        height: u32,
    },
    /// A legend for every query, or one for all.
    #[error("panel {title:?}: {legends} legends for {queries} queries; give one for each, one for all, or none")]
    Legend {
        /// The panel.
        title: String,
        /// Legends given.
        legends: usize,
        /// Queries given.
        queries: usize,
    },
    /// A panel shows something.
    #[error("panel {title:?} has no query")]
    NoQuery {
        /// The panel.
        title: String,
    },
    /// The file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
