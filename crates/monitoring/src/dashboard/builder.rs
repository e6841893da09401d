//! Panels are placed on shelves: from the left, on a new shelf when the present one is full, so that no sequence of calls makes two
//! panels overlap.

use super::DashboardError;
use super::panel::{PanelKind, PanelOptions, datasource, panel};
use serde_json::{Value, json};

/// Columns of Grafana's grid.
pub const GRID_WIDTH: u32 = 24;
/// Longest uid that Grafana takes.
const MAX_UID: usize = 40;

/// Builds a dashboard, row by row and panel by panel.
///
/// ```
/// use joyfuljay_monitoring::dashboard::{DashboardBuilder, PanelOptions};
///
/// let mut builder = DashboardBuilder::new("My Custom Dashboard");
/// builder.add_row("Throughput");
/// builder.add_stat_panel("Total Errors", "sum(joyfuljay_errors_total)", PanelOptions::default())?;
/// let unit = PanelOptions { unit: Some("pps".into()), ..PanelOptions::default() };
/// builder.add_graph_panel("Packet Rate", &["rate(joyfuljay_packets_total[1m])"], unit)?;
/// assert_eq!(builder.build()["uid"], "my-custom-dashboard");
/// # Ok::<(), joyfuljay_monitoring::dashboard::DashboardError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DashboardBuilder {
    title: String,
    uid: String,
    description: String,
    editable: bool,
    namespace: String,
    panels: Vec<Value>,
    /// Where the next panel goes, and where the shelf below begins.
    x: u32,
    y: u32,
    below: u32,
}

impl DashboardBuilder {
    /// An empty dashboard; its uid is made from the title.
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            uid: slug(title),
            description: String::new(),
            editable: true,
            namespace: crate::DEFAULT_NAMESPACE.to_owned(),
            panels: vec![],
            x: 0,
            y: 0,
            below: 0,
        }
    }

    /// Another uid; brought into the form that Grafana takes.
    pub fn uid(&mut self, uid: &str) -> &mut Self {
        self.uid = slug(uid);
        self
    }

    /// What the dashboard is for.
    pub fn description(&mut self, text: &str) -> &mut Self {
        text.clone_into(&mut self.description);
        self
    }

    /// Whether it may be changed in Grafana's browser page; true unless it is provisioned.
    pub fn editable(&mut self, editable: bool) -> &mut Self {
        self.editable = editable;
        self
    }

    /// The namespace whose jobs and instances the variables offer.
    pub fn namespace(&mut self, namespace: &str) -> &mut Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// A heading across the whole width; panels that follow are below it.
    pub fn add_row(&mut self, title: &str) -> &mut Self {
        self.close_shelf();
        let id = self.next_id();
        let grid = json!({ "x": 0, "y": self.y, "w": GRID_WIDTH, "h": 1 });
        self.panels.push(json!({
            "id": id, "type": "row", "title": title, "collapsed": false, "gridPos": grid, "panels": []
        }));
        self.y += 1;
        self.below = self.y;
        self
    }

    /// One big number.
    pub fn add_stat_panel(
        &mut self,
        title: &str,
        expr: &str,
        options: PanelOptions,
    ) -> Result<&mut Self, DashboardError> {
        self.add_panel(PanelKind::Stat, title, &[expr], options)
    }

    /// Lines over time, for one or several queries.
    pub fn add_graph_panel(
        &mut self,
        title: &str,
        exprs: &[&str],
        options: PanelOptions,
    ) -> Result<&mut Self, DashboardError> {
        self.add_panel(PanelKind::Graph, title, exprs, options)
    }

    /// A panel of any kind.
    pub fn add_panel(
        &mut self,
        kind: PanelKind,
        title: &str,
        exprs: &[&str],
        options: PanelOptions,
    ) -> Result<&mut Self, DashboardError> {
        let (width, height) = kind.default_size();
        let (width, height) = (options.width.unwrap_or(width), options.height.unwrap_or(height));
        let title_of = || title.to_owned();
        if !(1..=GRID_WIDTH).contains(&width) {
            return Err(DashboardError::Width { title: title_of(), width });
        }
        if !(1..=100).contains(&height) {
            return Err(DashboardError::Height { title: title_of(), height });
        }
        if exprs.is_empty() {
            return Err(DashboardError::NoQuery { title: title_of() });
        }
        if options.legend.len() > 1 && options.legend.len() != exprs.len() {
            let (legends, queries) = (options.legend.len(), exprs.len());
            return Err(DashboardError::Legend { title: title_of(), legends, queries });
        }
        if self.x + width > GRID_WIDTH {
            self.close_shelf();
        }
        let grid = json!({ "x": self.x, "y": self.y, "w": width, "h": height });
        let id = self.next_id();
        self.panels.push(panel(kind, id, title, exprs, &options, grid));
        self.x += width;
        self.below = self.below.max(self.y + height);
        Ok(self)
    }

    /// Rows and panels so far, in the order in which they were added.
    pub fn panels(&self) -> &[Value] {
        &self.panels
    }

    /// The dashboard as Grafana's JSON; the builder can go on.
    pub fn build(&self) -> Value {
        json!({
            "id": null,
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["joyfuljay", "prometheus"],
            "timezone": "browser",
            "editable": self.editable,
            "graphTooltip": 1,
            "schemaVersion": 39,
            "version": 1,
            "refresh": "10s",
            "time": { "from": "now-1h", "to": "now" },
            "timepicker": {},
            "fiscalYearStartMonth": 0,
            "liveNow": false,
            "links": [],
            "annotations": { "list": [] },
            "templating": { "list": self.variables() },
            "panels": self.panels,
        })
    }

    fn variables(&self) -> Value {
        let info = crate::Id::Packets.metric().full_name(&self.namespace);
        let variable = |name: &str, label: &str, description: &str, query: String| {
            json!({
                "name": name, "label": label, "type": "query", "description": description, "datasource": datasource(),
                "query": { "query": query, "refId": format!("Prometheus-{name}") },
                "refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".+", "regex": "", "hide": 0,
                "skipUrlSync": false, "options": [], "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
            })
        };
        json!([
            {
                "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0,
                "description": "Prometheus datasource to use", "refresh": 1, "regex": "", "multi": false, "includeAll": false,
                "skipUrlSync": false, "options": [],
            },
            variable("job", "Job", "Filter by Prometheus job name", format!("label_values({info}, job)")),
            variable("instance", "Instance", "Filter by instance", format!("label_values({info}{{job=~\"$job\"}}, instance)")),
        ])
    }

    fn next_id(&self) -> u32 {
        u32::try_from(self.panels.len() + 1).unwrap_or(u32::MAX)
    }

    fn close_shelf(&mut self) {
        self.y = self.below;
        self.x = 0;
    }
}

/// Lower-case letters, digits and dashes, at most 40; a longer one ends in a checksum so that it stays apart from its like.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    // What is told apart by letters that a uid cannot have must not replace one another in Grafana.
    let lossy = !text.is_ascii();
    if slug.is_empty() {
        slug.push_str("dashboard");
    }
    if slug.len() > MAX_UID || lossy {
        // FNV-1a, 32 bit.
        let sum = text.bytes().fold(0x811c_9dc5u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
        slug.truncate(MAX_UID - 9);
        slug = format!("{}-{sum:08x}", slug.trim_end_matches('-'));
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sized(width: u32, height: u32) -> PanelOptions {
        PanelOptions { width: Some(width), height: Some(height), ..PanelOptions::default() }
    }

    #[test]
    fn uids_are_short_and_apart() {
        assert_eq!(slug("My Custom Dashboard!"), "my-custom-dashboard");
        assert!(slug("größe").starts_with("gr-e-"));
        assert_eq!(slug("!"), "dashboard");
        assert_ne!(slug("日本"), slug("Обзор"));
        let (a, b) = (slug(&format!("{}a", "x".repeat(60))), slug(&format!("{}b", "x".repeat(60))));
        assert!(a.len() <= MAX_UID && b.len() <= MAX_UID && a != b);
    }

    #[test]
    fn wrong_sizes_and_legends_are_refused_and_leave_nothing_behind() {
        let mut b = DashboardBuilder::new("t");
        assert!(matches!(b.add_panel(PanelKind::Stat, "p", &["x"], sized(25, 1)), Err(DashboardError::Width { .. })));
        assert!(matches!(b.add_panel(PanelKind::Stat, "p", &["x"], sized(0, 1)), Err(DashboardError::Width { .. })));
        assert!(matches!(b.add_panel(PanelKind::Stat, "p", &["x"], sized(1, 0)), Err(DashboardError::Height { .. })));
        assert!(matches!(b.add_graph_panel("p", &[], PanelOptions::default()), Err(DashboardError::NoQuery { .. })));
        let legend = |n: usize| PanelOptions { legend: vec!["l".to_owned(); n], ..PanelOptions::default() };
        assert!(matches!(b.add_graph_panel("p", &["x"; 3], legend(2)), Err(DashboardError::Legend { .. })));
        assert_eq!(b.build()["panels"].as_array().unwrap().len(), 0);
        b.add_graph_panel("p", &["x"; 3], legend(1)).unwrap();
        assert_eq!(b.build()["panels"][0]["targets"][2]["legendFormat"], "l");
    }

    proptest! {
        #[test]
        fn no_sequence_of_calls_makes_panels_overlap(calls in prop::collection::vec((0u8..4, 1u32..=24, 1u32..=12), 1..60)) {
            let mut b = DashboardBuilder::new("t");
            for (kind, w, h) in calls {
                match kind {
                    0 => { b.add_row("r"); }
                    1 => { b.add_stat_panel("s", "x", PanelOptions::default()).unwrap(); }
                    _ => { b.add_panel(PanelKind::Graph, "g", &["x"], sized(w, h)).unwrap(); }
                }
            }
            let built = b.build();
            let mut taken = std::collections::HashSet::new();
            let mut ids = std::collections::HashSet::new();
            for panel in built["panels"].as_array().unwrap() {
                prop_assert!(ids.insert(panel["id"].as_u64().unwrap()));
                let at = |k: &str| panel["gridPos"][k].as_u64().unwrap();
                prop_assert!(at("x") + at("w") <= u64::from(GRID_WIDTH));
                for x in at("x")..at("x") + at("w") {
                    for y in at("y")..at("y") + at("h") {
                        prop_assert!(taken.insert((x, y)), "overlap at {x}, {y}");
                    }
                }
            }
        }
    }
}
