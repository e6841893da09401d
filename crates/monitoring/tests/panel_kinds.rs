//! A dashboard with a panel of every kind, plain and with every option: what `tests/watch` checks against Grafana's own types.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use joyfuljay_monitoring::dashboard::{DashboardBuilder, PanelKind, PanelOptions};
use std::path::PathBuf;

const KINDS: [PanelKind; 6] =
    [PanelKind::Stat, PanelKind::Graph, PanelKind::Gauge, PanelKind::Bar, PanelKind::Pie, PanelKind::Table];

fn every_option() -> PanelOptions {
    PanelOptions {
        width: Some(24),
        height: Some(3),
        unit: Some("percentunit".to_owned()),
        description: Some("Everything set.".to_owned()),
        legend: vec!["first".to_owned(), "second".to_owned()],
        decimals: Some(2),
        red_from: Some(0.5),
        max: Some(1.0),
    }
}

/// `JJ_UPDATE=1 cargo test -p joyfuljay-monitoring --test panel_kinds` writes it anew.
#[test]
fn the_file_is_current() {
    let mut b = DashboardBuilder::new("Every Kind of Panel");
    b.description("One of each.").add_row("Plain");
    for kind in KINDS {
        b.add_panel(kind, &format!("{kind:?}"), &["up"], PanelOptions::default()).unwrap();
    }
    b.add_row("Every Option");
    for kind in KINDS {
        b.add_panel(kind, &format!("{kind:?}"), &["up", "sum(increase(x_total[$__range]))"], every_option()).unwrap();
    }
    let made = format!("{:#}\n", b.build());

    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/watch/panel-kinds.json");
    if std::env::var_os("JJ_UPDATE").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).unwrap_or_default() == made,
        "{} is not what the code makes; run this test with JJ_UPDATE=1",
        file.display()
    );
}
