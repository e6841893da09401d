//! One panel as Grafana's JSON, with every option that Grafana itself would save: a default that changes with a version of Grafana
//! does not change how the panel looks. `@grafana/schema` is what the options are checked against.

use serde_json::{Value, json};

/// How a panel draws its queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanelKind {
    /// One big number.
    Stat,
    /// Lines over time.
    Graph,
    /// A dial.
    Gauge,
    /// Horizontal bars, one per series.
    Bar,
    /// A pie, one slice per series.
    Pie,
    /// A table, one row per series.
    Table,
}

/// Size, unit and words of a panel; what is not given has a default that fits the kind.
#[derive(Clone, Debug, Default)]
pub struct PanelOptions {
    /// Columns, of 24.
    pub width: Option<u32>,
    /// Grid rows of 30 pixels.
    pub height: Option<u32>,
    /// Grafana's name of the unit: `short`, `pps`, `s`, `bytes`, `percentunit`…
    pub unit: Option<String>,
    /// What the panel shows, for the tooltip of its title.
    pub description: Option<String>,
    /// Legends, one per query or one for all: `{{reason}}`.
    pub legend: Vec<String>,
    /// Digits after the point.
    pub decimals: Option<u32>,
    /// Value from which on the panel is red.
    pub red_from: Option<f64>,
    /// End of the axis or dial.
    pub max: Option<f64>,
}

impl PanelKind {
    pub(super) fn default_size(self) -> (u32, u32) {
        match self {
            Self::Stat => (4, 4),
            Self::Gauge => (6, 6),
            Self::Graph | Self::Table => (12, 8),
            Self::Bar | Self::Pie => (8, 8),
        }
    }

    fn type_name(self) -> &'static str {
        match self {
            Self::Stat => "stat",
            Self::Graph => "timeseries",
            Self::Gauge => "gauge",
            Self::Bar => "bargauge",
            Self::Pie => "piechart",
            Self::Table => "table",
        }
    }

    /// Panels of the present only need one value per query; so does a number for the whole time shown, which as a line would be
    /// that time's sum anew at each of its points.
    fn is_instant(self, exprs: &[&str]) -> bool {
        match self {
            Self::Graph => false,
            Self::Stat => exprs.iter().any(|expr| expr.contains("[$__range]")),
            Self::Gauge | Self::Bar | Self::Pie | Self::Table => true,
        }
    }
}

/// The datasource that every panel and query names: the dashboard's variable.
pub(super) fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// `A` to `Z`, then `AA`…
pub(super) fn ref_id(mut n: usize) -> String {
    let mut id = vec![];
    loop {
        id.push(b'A' + (n % 26) as u8);
        if n < 26 {
            break;
        }
        n = n / 26 - 1;
    }
    id.iter().rev().map(|b| char::from(*b)).collect()
}

pub(super) fn panel(
    kind: PanelKind,
    id: u32,
    title: &str,
    exprs: &[&str],
    options: &PanelOptions,
    grid: Value,
) -> Value {
    let instant = kind.is_instant(exprs);
    let targets: Vec<_> = exprs
        .iter()
        .enumerate()
        .map(|(i, expr)| {
            let legend = options.legend.get(i).or_else(|| options.legend.first()).map_or("", String::as_str);
            json!({
                "datasource": datasource(), "expr": expr, "refId": ref_id(i), "legendFormat": legend,
                "editorMode": "code", "range": !instant, "instant": instant,
                "format": if kind == PanelKind::Table { "table" } else { "time_series" },
            })
        })
        .collect();
    json!({
        "id": id,
        "type": kind.type_name(),
        "title": title,
        "description": options.description.as_deref().unwrap_or(title),
        "datasource": datasource(),
        "gridPos": grid,
        "targets": targets,
        "fieldConfig": field_config(kind, options),
        "options": panel_options(kind, options, instant),
    })
}

fn field_config(kind: PanelKind, options: &PanelOptions) -> Value {
    let mut steps = vec![json!({ "color": "green", "value": null })];
    if let Some(red) = options.red_from {
        steps.push(json!({ "color": "red", "value": red }));
    }
    let colored = matches!(kind, PanelKind::Graph | PanelKind::Pie | PanelKind::Bar);
    let mut defaults = json!({
        "unit": options.unit.as_deref().unwrap_or("short"),
        "min": 0,
        "color": { "mode": if colored { "palette-classic" } else { "thresholds" } },
        "thresholds": { "mode": "absolute", "steps": steps },
        "mappings": [],
    });
    if let Some(map) = defaults.as_object_mut() {
        if let Some(n) = options.decimals {
            map.insert("decimals".to_owned(), n.into());
        }
        if let Some(max) = options.max {
            map.insert("max".to_owned(), max.into());
        }
        if kind == PanelKind::Graph {
            let custom = json!({
                "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 2, "fillOpacity": 12, "gradientMode": "opacity",
                "showPoints": "never", "spanNulls": false, "axisPlacement": "auto", "stacking": { "mode": "none", "group": "A" },
            });
            map.insert("custom".to_owned(), custom);
        }
    }
    json!({ "defaults": defaults, "overrides": [] })
}

fn panel_options(kind: PanelKind, options: &PanelOptions, instant: bool) -> Value {
    let reduce = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
    let legend = json!({ "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] });
    match kind {
        PanelKind::Stat => json!({
            "colorMode": if options.red_from.is_some() { "background" } else { "value" },
            "graphMode": if instant { "none" } else { "area" }, "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
            "wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard", "reduceOptions": reduce,
        }),
        PanelKind::Graph => json!({ "legend": legend, "tooltip": { "mode": "multi", "sort": "desc" } }),
        PanelKind::Gauge => json!({
            "orientation": "auto", "shape": "gauge", "barShape": "flat", "barWidthFactor": 0.5, "segmentCount": 1,
            "segmentSpacing": 0.3, "effects": {}, "minVizHeight": 75, "minVizWidth": 75, "sizing": "auto", "sparkline": false,
            "showThresholdLabels": false, "showThresholdMarkers": true, "reduceOptions": reduce,
        }),
        PanelKind::Bar => json!({
            "displayMode": "basic", "orientation": "horizontal", "showUnfilled": true, "valueMode": "color",
            "namePlacement": "auto", "minVizHeight": 16, "maxVizHeight": 300, "minVizWidth": 8, "sizing": "auto",
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": [] },
            "reduceOptions": reduce,
        }),
        PanelKind::Pie => json!({
            "pieType": "donut", "sort": "desc", "orientation": "auto", "displayLabels": ["percent"], "reduceOptions": reduce,
            "legend": { "displayMode": "table", "placement": "right", "showLegend": true, "calcs": [], "values": ["value"] },
            "tooltip": { "mode": "single", "sort": "none" },
        }),
        PanelKind::Table => {
            json!({ "frameIndex": 0, "showHeader": true, "showTypeIcons": false, "cellHeight": "sm", "sortBy": [] })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ref_ids_go_on_past_z() {
        let ids: Vec<_> = [0, 25, 26, 27, 51, 52, 701, 702].into_iter().map(ref_id).collect();
        assert_eq!(ids, ["A", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA"]);
    }
}
