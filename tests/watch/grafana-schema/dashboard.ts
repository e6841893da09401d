/**
 * The dashboard model of @grafana/schema, as JSON has it: every panel by its own type, nothing that Grafana does not know.
 *
 * What is in a file is text, so an enum is the union of its values. A panel's options are complete, as Grafana itself saves
 * them: another version's default for an option left out cannot change how the panel looks.
 */
import type { Dashboard, DataQuery, FieldConfig, Panel, RowPanel } from "@grafana/schema";
import type * as bargauge from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen";
import type * as gauge from "@grafana/schema/dist/esm/raw/composable/gauge/panelcfg/x/GaugePanelCfg_types.gen";
import type * as piechart from "@grafana/schema/dist/esm/raw/composable/piechart/panelcfg/x/PieChartPanelCfg_types.gen";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

type Json<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends object
      ? { [K in keyof T]: Json<T[K]> }
      : T;

/** A query as Grafana's Prometheus datasource reads it; that plugin's types are no part of @grafana/schema. */
interface PrometheusQuery extends Omit<DataQuery, "datasource"> {
  datasource: { type: "prometheus"; uid: string };
  expr: string;
  legendFormat: string;
  editorMode: "code" | "builder";
  format: "time_series" | "table" | "heatmap";
  range: boolean;
  instant: boolean;
}

type Overrides = NonNullable<Panel["fieldConfig"]>["overrides"];

interface Chart<Type, Options, Custom> extends Omit<Panel, "type" | "options" | "fieldConfig" | "targets" | "title"> {
  type: Type;
  title: string;
  options: Options;
  fieldConfig: { defaults: Omit<FieldConfig, "custom"> & { custom?: Custom }; overrides: Overrides };
  targets: PrometheusQuery[];
}

export interface Panels {
  row: Json<RowPanel>;
  stat: Json<Chart<"stat", stat.Options, never>>;
  gauge: Json<Chart<"gauge", gauge.Options, never>>;
  bargauge: Json<Chart<"bargauge", bargauge.Options, never>>;
  timeseries: Json<Chart<"timeseries", timeseries.Options, timeseries.FieldConfig>>;
  piechart: Json<Chart<"piechart", piechart.Options, piechart.FieldConfig>>;
  table: Json<Chart<"table", table.Options, table.FieldConfig>>;
}

export type Frame = Json<Omit<Dashboard, "panels">>;
export type Whole = Json<Dashboard>;
