//! Options of rows that go into the table of a database.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use joyfuljay_io::database::{self, DatabaseOptions, DatabasePlace, IfExists};

use crate::error::CliError;
use crate::options::{number, whole};
use crate::say;

#[derive(Debug, Args)]
#[command(next_help_heading = "Database (-f sqlite, -f postgres)")]
pub struct DatabaseArgs {
    /// The address of a PostgreSQL server, in place of -o. Others on this machine see a password in it: give that by PGPASSWORD
    /// or in ~/.pgpass.
    #[arg(long, value_name = "URL", conflicts_with = "output")]
    db_url: Option<String>,
    /// The table; for PostgreSQL, schema.table names one in another schema.
    #[arg(long, value_name = "NAME", default_value = DatabaseOptions::TABLE)]
    db_table: String,
    /// What to do where the table is there already: append adds the columns that it does not have.
    #[arg(long, value_name = "WHAT", default_value = "append", value_parser =
        PossibleValuesParser::new(IfExists::NAMES).try_map(|name| name.parse::<IfExists>()))]
    db_if_exists: IfExists,
    /// Rows of a batch, each of which is one transaction.
    #[arg(long, value_name = "ROWS", default_value_t = DatabaseOptions::BATCH_ROWS, value_parser = whole(0, usize::MAX))]
    db_batch_size: usize,
    /// Take a run up again that was broken off, behind the rows that it has left: with the same captures and options.
    #[arg(long, value_name = "RUN", value_parser = whole(0, i64::MAX))]
    db_resume: Option<i64>,
    /// How long to wait for others who hold the table or the database, or for a server that was lost.
    #[arg(long, value_name = "SECONDS", default_value_t = DatabaseOptions::PATIENCE.as_secs_f64(), value_parser = number)]
    db_timeout: f64,
    /// Refuse a table that does not have all columns.
    #[arg(long)]
    no_alter: bool,
}

impl DatabaseArgs {
    /// Whether a server was named.
    pub fn is_named(&self) -> bool {
        self.db_url.is_some()
    }

    /// The server, by its option or as the output.
    pub fn server(&self, output: &Path) -> Result<DatabasePlace, CliError> {
        let url = self.db_url.as_deref().or_else(|| output.to_str().filter(|name| database::is_postgres_url(name)));
        let Some(url) = url else {
            return Err(CliError::Usage(
                "-f postgres needs the address of a server: -o postgresql://user@host/database (or --db-url)".into(),
            ));
        };
        let place = DatabasePlace::Postgres(url.to_owned());
        if place.shows_password() {
            say::warning(
                "other users of this machine can see the password among the arguments: give it by PGPASSWORD or in ~/.pgpass",
            );
        }
        Ok(place)
    }

    /// What the options say of the table.
    pub fn options(&self) -> Result<DatabaseOptions, CliError> {
        let mut options = DatabaseOptions::default();
        options.table.clone_from(&self.db_table);
        options.if_exists = self.db_if_exists;
        options.batch_rows = self.db_batch_size;
        if !(1..=DatabaseOptions::MAX_BATCH_ROWS).contains(&self.db_batch_size) {
            let most = DatabaseOptions::MAX_BATCH_ROWS;
            return Err(CliError::Usage(format!("--db-batch-size takes 1 to {most} rows")));
        }
        options.resume = self.db_resume;
        options.alter = !self.no_alter;
        /// A day: what is held for longer is not waited for.
        const LONGEST: f64 = 86_400.0;
        options.patience = Duration::try_from_secs_f64(self.db_timeout)
            .ok()
            .filter(|patience| patience.as_secs_f64() <= LONGEST)
            .ok_or_else(|| CliError::Usage(format!("--db-timeout takes 0 to {LONGEST} seconds")))?;
        Ok(options)
    }
}
