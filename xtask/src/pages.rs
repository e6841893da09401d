//! The reference pages: loops over the tables that the code itself runs on.

use std::fmt::Write;

use joyfuljay_core::Config;
use joyfuljay_core::columns::{Direction, Dtype};
use joyfuljay_core::config::KEYS;
use joyfuljay_core::features::{FeatureInfo, GROUPS, InRows, NEVER, NOTATION, Profile};
use joyfuljay_core::privacy::Privacy;
use joyfuljay_core::stats::EndReason;
use joyfuljay_monitoring::{DEFAULT_NAMESPACE, METRICS, reading};

const MADE: &str = "<!-- made by `cargo xtask generate`; edit the source, not this page -->\n";

/// docs/features.md.
pub fn features() -> String {
    let all: Vec<_> = GROUPS.iter().flat_map(|g| g.features()).collect();
    let mut page = format!(
        "# Features\n{MADE}\n{} features in {} groups. A value that is not known is null. Select groups with \
         `--features GROUP,…`, single features with `--feature NAME`, a profile with `--profile NAME`.\n\n| profile | \
         features |\n|---|---|\n",
        all.len(),
        GROUPS.len()
    );
    for profile in Profile::ALL {
        let n = all.iter().filter(|f| f.profile <= profile).count();
        put(&mut page, &format!("| {} | {n} |\n", profile.name()));
    }
    page.push_str(
        "\n`jj features NAME` tells the same of a feature or a group, `joyfuljay.describe(\"NAME\")` in Python. Parquet and Arrow \
         IPC files carry it in the metadata of each field: `group`, `unit`, `profile`, `privacy`, `direction`, `description`, \
         `formula`, `range`, `null`, `source`, `since`; what does not apply is left out \
         (`pyarrow.parquet.read_schema(FILE).field(NAME).metadata`).\n",
    );
    split(&all, &mut page);
    page.push_str("\n## Formulas\n\n| in formulas | means |\n|---|---|\n");
    for (word, means) in NOTATION {
        put(&mut page, &format!("| `{word}` | {means} |\n"));
    }
    for group in GROUPS {
        let note = if group.opt_in() { " Not part of `all`: name it, or use its own option." } else { "" };
        let [source, null, since] = group.defaults();
        put(
            &mut page,
            &format!(
                "\n## {}\n\n{}{note} Since {since}.\n\n- Source, where none is named: {source}.\n- Null, where nothing else is \
                 said: {null}.\n\n| name | type | range | meaning, `formula` | null | profile |\n|---|---|---|---|---|---|\n",
                group.id(),
                group.doc()
            ),
        );
        for f in group.features() {
            put(&mut page, &feature(&f, group.defaults()));
        }
    }
    page
}

/// What the columns are in rows of one direction.
fn split(all: &[FeatureInfo], page: &mut String) {
    let names = |wanted: &dyn Fn(&FeatureInfo) -> bool| {
        let names: Vec<_> = all.iter().filter(|f| wanted(f)).map(|f| format!("`{}`", f.name)).collect();
        names.join(", ")
    };
    let text = |f: &FeatureInfo| matches!(f.dtype, Dtype::Str | Dtype::Bool | Dtype::TimestampNs | Dtype::ListStr);
    let own = names(&|f| f.in_rows == InRows::Own);
    let same = names(&|f| f.in_rows == InRows::Both && !text(f));
    let only = |d: Direction| names(&move |f| f.in_rows == InRows::Only(d) && f.direction.is_none());
    put(
        page,
        &format!(
            "\n## Rows of one direction\n\nWith `bidirectional_split` (`--bidir-split`) a flow has two rows: `direction` is `fwd` \
             for what the initiator sent, `bwd` for what the responder sent, also where that is nothing (`total_packets` is then \
             0). A sum over rows is the sum over flows, because nothing is counted in both:\n\n| column | row `fwd` | row `bwd` \
             |\n|---|---|---|\n| names with `fwd` | as ever | null |\n| names with `bwd` | null | as ever |\n| {own} | the \
             direction's own: its sender is the source, its packets are counted | likewise |\n| texts, times and truth values, \
             {same} | the flow's | the flow's |\n| {} | as ever | null |\n| {} | null | as ever |\n| all other numbers | null | \
             null |\n",
            only(Direction::Fwd),
            only(Direction::Bwd),
        ),
    );
}

/// A row of the reference: what is that of its group is not said again.
fn feature(f: &FeatureInfo, [source, null, since]: [&str; 3]) -> String {
    let mut kind = [f.dtype.name(), f.unit.name()].join(" ").trim_end().to_owned();
    if f.privacy != Privacy::Public {
        put(&mut kind, &format!("<br>privacy: {}", f.privacy.name()));
    }
    let mut meaning = format!("{}<br>`{}`", cell(f.doc), cell(f.formula));
    if f.source != source {
        put(&mut meaning, &format!("<br>{}", cell(f.source)));
    }
    if f.since != since {
        put(&mut meaning, &format!("<br>since {}", f.since));
    }
    let null = if f.null == null && f.null != NEVER { "" } else { f.null };
    let (range, profile) = (f.range.to_string(), f.profile.name());
    format!("| `{}` | {kind} | {} | {meaning} | {} | {profile} |\n", f.name, cell(&range), cell(null))
}

/// docs/configuration.md.
pub fn configuration() -> Result<String, serde_json::Error> {
    let defaults = serde_json::to_value(Config::default())?;
    let command = joyfuljay_cli::command();
    let extract = command.find_subcommand("extract");
    let option = |key: &str| {
        let arg = extract?.get_arguments().find(|a| a.get_id() == key)?;
        let long = format!("--{}", arg.get_long()?);
        Some(arg.get_short().map(|s| format!("-{s}, {long}")).unwrap_or(long))
    };
    let mut page = format!(
        "# Configuration\n{MADE}\nOne set of keys for the command, a configuration file (TOML, YAML or JSON) and the \
         library. `jj extract -c FILE` reads a file; options override it; `--set KEY=VALUE` sets any key and overrides \
         both. Unknown keys and values out of range are refused.\n\n| key | type | default | option | meaning \
         |\n|---|---|---|---|---|\n"
    );
    for key in KEYS {
        let default = defaults.get(key.name).map(ToString::to_string).unwrap_or_default();
        let option = option(key.name).unwrap_or_else(|| format!("--set {}=…", key.name));
        let (kind, help) = (key.kind, cell(key.help));
        put(&mut page, &format!("| `{}` | {kind} | `{default}` | `{option}` | {help} |\n", key.name));
    }
    page.push_str(
        "\nThe same in each language:\n\n```toml\nflow_timeout = 120\nfeatures = [\"flow_meta\", \
         \"timing\"]\n```\n\n```yaml\nflow_timeout: 120\nfeatures: [flow_meta, timing]\n```\n\n```json\n{\"flow_timeout\": \
         120, \"features\": [\"flow_meta\", \"timing\"]}\n```\n",
    );
    Ok(page)
}

/// docs/metrics.md.
pub fn metrics() -> String {
    let mut page = format!(
        "# Metrics\n{MADE}\nServed by `jj extract … --prometheus-port PORT` at `/metrics` while it runs, and by the \
         library. A family without samples is not shown: one that no run of your kind feeds never appears. What to do is in \
         [runbooks](runbooks/README.md), for each alert.\n\n| family | type | labels | unit | meaning | fed by | normal | worrying \
         |\n|---|---|---|---|---|---|---|---|\n"
    );
    for m in METRICS {
        let labels: Vec<_> = m
            .labels
            .iter()
            .map(|l| {
                let values = if l.values.is_empty() { String::new() } else { format!(": {}", l.values.join(", ")) };
                format!("`{}`{values}", l.name)
            })
            .collect();
        let how = reading(m.id);
        put(
            &mut page,
            &format!(
                "| `{}` | {} | {} | {} | {} | {} | {} | {} |\n",
                m.full_name(DEFAULT_NAMESPACE),
                m.kind.name(),
                labels.join("; "),
                m.unit,
                cell(m.help),
                how.fed_by,
                how.normal,
                how.worrying
            ),
        );
    }
    page.push_str(
        "\n## Why flows end\n\nRows say it in `end_reason`, the summary of a run in words; the metric has the reasons of joyfuljay 0.1 \
         (its `kafka` is no reason of a flow: 0, unless code of yours counts it).\n\n| `end_reason` | summary | `reason` of `joyfuljay_flows_total` |\n|---|---|---|\n",
    );
    for reason in EndReason::ALL {
        let (name, label) = (reason.name(), reason.label());
        put(&mut page, &format!("| `{name}` | {} | `{label}` |\n", name.replace('_', " ")));
    }
    page.push_str(
        "\n## What the server answers\n\n| path | answer |\n|---|---|\n| `/metrics` | the families, as text or OpenMetrics; \
         `?name[]=FAMILY` asks for some |\n| `/` | the page for people |\n| `/history` | what its charts draw of the last hour, one \
         sample a second, as JSON; `X-Age` is how many seconds ago it was made |\n| `/healthz` | 200 while \
         the process lives |\n| `/readyz` | 503 while `jj live` cannot write its rows, or where the program says so (`set_ready`), else 200 |\n",
    );
    page
}

/// Pages of the manual: file and text of the command's and of each subcommand's.
pub fn manual() -> std::io::Result<Vec<(String, String)>> {
    let mut command = joyfuljay_cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    manual_of(&command, "jj", &mut pages)?;
    Ok(pages)
}

fn manual_of(command: &clap::Command, name: &str, pages: &mut Vec<(String, String)>) -> std::io::Result<()> {
    let mut text = Vec::new();
    // Subcommands have been named in full by `build`.
    clap_mangen::Man::new(command.clone()).title(name).render(&mut text)?;
    // Lines do not end in blanks, and the page does not depend on where it was made.
    let text = String::from_utf8_lossy(&text).lines().map(|l| format!("{}\n", l.trim_end())).collect();
    pages.push((format!("docs/man/{name}.1"), text));
    for sub in command.get_subcommands().filter(|s| !s.is_hide_set()) {
        manual_of(sub, &format!("{name}-{}", sub.get_name()), pages)?;
    }
    Ok(())
}

/// docs/cli.md.
pub fn cli() -> String {
    // A fixed width: the page must not depend on the terminal that it is made on.
    let mut command = joyfuljay_cli::command().term_width(100);
    command.build();
    let mut page = format!("# The command\n{MADE}");
    help(&mut page, &mut command, 2);
    page
}

fn help(page: &mut String, command: &mut clap::Command, level: usize) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let text = command.render_long_help().to_string();
    let text: String = text.lines().map(|l| format!("{}\n", l.trim_end())).collect();
    put(page, &format!("\n{} {name}\n\n```text\n{}\n```\n", "#".repeat(level), text.trim_end()));
    for sub in command.get_subcommands_mut().filter(|s| s.get_name() != "help" && !s.is_hide_set()) {
        help(page, sub, level + 1);
    }
}

fn put(page: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = page.write_str(text);
}

/// Text for a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
