//! `jj schema`: the columns that a selection gives, before a run.

use arrow_schema::DataType;
use clap::{Args, ValueEnum};
use joyfuljay::Pipeline;
use joyfuljay_core::columns::Dtype;
use serde_json::{Value, json};

use crate::error::CliError;
use crate::options::{self, BaseArgs, FeatureArgs, FlowArgs, RunArgs};
use crate::out;

/// Show the columns of the rows that `jj extract` would write with the same options.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jj schema --features flow_meta,tcp\n  jj schema -c jj.toml -f json\n  jj schema -f names \
                        | wc -l"
)]
pub struct Schema {
    /// How to print them.
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    format: Form,
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    features: FeatureArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// Aligned columns.
    Table,
    /// One JSON object.
    Json,
    /// One name a line.
    Names,
}

impl Schema {
    pub fn run(self) -> Result<(), CliError> {
        let config = options::configuration(&self.base, &self.features, &FlowArgs::default(), &RunArgs::default())?;
        let schema = Pipeline::new(config)?.schema();
        match self.format {
            Form::Names => out::print(&schema.fields().iter().map(|f| format!("{}\n", f.name())).collect::<String>()),
            Form::Table => {
                let mut rows = vec![["COLUMN", "TYPE", "UNIT", "DESCRIPTION"].map(str::to_owned).to_vec()];
                for field in schema.fields() {
                    let meta = |key: &str| field.metadata().get(key).cloned().unwrap_or_default();
                    let dtype = type_name(field.data_type());
                    rows.push(vec![field.name().clone(), dtype, meta("unit"), meta("description")]);
                }
                out::print(&out::table(&rows))
            }
            Form::Json => {
                let columns: Vec<Value> = schema
                    .fields()
                    .iter()
                    .map(|f| {
                        json!({
                            "name": f.name(),
                            "type": type_name(f.data_type()),
                            "nullable": f.is_nullable(),
                            "metadata": f.metadata().iter().map(|(k, v)| (k.clone(), Value::from(v.as_str())))
                                .collect::<serde_json::Map<_, _>>(),
                        })
                    })
                    .collect();
                out::print_json(&json!({ "columns": columns }))
            }
        }
    }
}

/// The name that `jj features` has for the type too.
fn type_name(arrow: &DataType) -> String {
    Dtype::of(arrow).map_or_else(|| arrow.to_string(), |dtype| dtype.name().to_owned())
}
