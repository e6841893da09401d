//! Rows into the tables of databases.
//!
//! A batch is a chunk of rows, and a transaction: its rows and the count of them in the table [`RUNS`] are there together or not at
//! all. Each row carries the number of its run. So of a run that was killed it can be told what it left, that can be taken away, and
//! as rows have one order, the run can be taken up again behind the rows that are there. Between two batches no transaction is open.

mod names;
#[cfg(feature = "postgres")]
mod postgres;
mod report;
#[cfg(feature = "sqlite")]
mod sqlite;
mod types;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use arrow_schema::SchemaRef;

pub use self::report::DatabaseRun;
use crate::sink::{RowSink, SinkError};

/// The table of runs, beside the tables of rows.
pub const RUNS: &str = "joyfuljay_runs";

/// The column that says of which run a row is.
pub const RUN_ID: &str = "run_id";

/// Where a table is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabasePlace {
    /// A file of SQLite.
    Sqlite(PathBuf),
    /// A PostgreSQL server, as `postgresql://user@host:port/database`.
    Postgres(String),
}

impl DatabasePlace {
    /// The name of the kind, which is also that of the sink: a label of metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// A place as older versions took it: `postgresql://…`, `sqlite:///file` (four strokes for a path from the root), or the path
    /// of a file.
    ///
    /// # Errors
    /// For addresses of anything else.
    pub fn from_dsn(dsn: &str) -> Result<Self, SinkError> {
        if is_postgres_url(dsn) {
            return Ok(Self::Postgres(dsn.to_owned()));
        }
        if let Some(path) = dsn.strip_prefix("sqlite://") {
            let path = path.strip_prefix('/').unwrap_or(path);
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        match dsn.split_once("://") {
            Some((scheme, _)) => Err(SinkError::database(
                &format!("{scheme}://"),
                "no database is known by this address: write postgresql://user@host/database, or the path of a file for SQLite",
            )),
            None => Ok(Self::Sqlite(PathBuf::from(dsn))),
        }
    }

    /// Whether the address has a password in it, which other users of the machine can see among the arguments of a command.
    pub fn shows_password(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(url) => {
                let user = url.split_once("://").and_then(|(_, rest)| rest.split('?').next());
                let user = user.and_then(|rest| rest.rsplit_once('@')).map_or("", |(user, _)| user);
                user.contains(':') || url.contains("password=")
            }
        }
    }

    /// How messages name it: without the password.
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(url) => without_password(url),
        }
    }
}

/// Whether a text is the address of a PostgreSQL server.
pub fn is_postgres_url(text: &str) -> bool {
    text.starts_with("postgresql://") || text.starts_with("postgres://")
}

/// Whether the extension of a path is that of a file of SQLite.
pub fn is_sqlite_path(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["sqlite", "sqlite3", "db"].iter().any(|known| known.eq_ignore_ascii_case(extension))
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "postgresql".to_owned() };
    // Parameters may hold the password as well.
    let rest = rest.split('?').next().unwrap_or_default();
    match rest.rsplit_once('@') {
        // A password may hold anything, unescaped by mistake: nothing from the first colon to the last @ is shown.
        Some((user, host)) => format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default()),
        None => format!("{scheme}://{rest}"),
    }
}

/// What to do where the table is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IfExists {
    /// Add rows to it; columns that it does not have are added.
    #[default]
    Append,
    /// Drop it and its runs first.
    Replace,
    /// Refuse.
    Fail,
}

impl IfExists {
    /// The names, as they are written on the command line.
    pub const NAMES: &'static [&'static str] = &["append", "replace", "fail"];
}

impl FromStr for IfExists {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "append" => Ok(Self::Append),
            "replace" => Ok(Self::Replace),
            "fail" => Ok(Self::Fail),
            _ => Err(format!("{name}: use {}", Self::NAMES.join(", "))),
        }
    }
}

/// Settings of a table and of the run that fills it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DatabaseOptions {
    /// The table; for PostgreSQL, `schema.table` names one in another schema.
    pub table: String,
    /// What to do where it is there already.
    pub if_exists: IfExists,
    /// Rows of a batch, at most [`DatabaseOptions::MAX_BATCH_ROWS`].
    pub batch_rows: usize,
    /// Whether columns that an existing table does not have are added to it.
    pub alter: bool,
    /// How long to wait for others who hold the table or the database.
    pub patience: Duration,
    /// The run to take up again.
    pub resume: Option<i64>,
    /// Whether columns of addresses hold addresses, and not pseudonyms of them.
    pub addresses: bool,
    /// What the rows depend on (input, configuration), by name: text that is compared when a run is taken up again. None where they
    /// do not come again in the same order.
    pub origin: Option<Vec<(&'static str, String)>>,
}

impl DatabaseOptions {
    /// The table of older versions.
    pub const TABLE: &'static str = "joyfuljay_features";
    /// At 450 columns some tens of MB, and a transaction of a fraction of a second.
    pub const BATCH_ROWS: usize = 10_000;
    /// A batch is in memory as a whole, a few times over: at 450 columns this is half a GB.
    pub const MAX_BATCH_ROWS: usize = 65_536;
    /// Long enough for somebody's query, too short to be taken for work.
    pub const PATIENCE: Duration = Duration::from_secs(30);
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            table: Self::TABLE.to_owned(),
            if_exists: IfExists::default(),
            batch_rows: Self::BATCH_ROWS,
            alter: true,
            patience: Self::PATIENCE,
            resume: None,
            addresses: true,
            origin: None,
        }
    }
}

/// Opens the table, makes or completes it, and enters a run. The handle outlives the sink and says what became of the run.
///
/// # Errors
/// Before the first row: when the place cannot be reached, names cannot be used, or the table has other types.
pub fn open(
    place: &DatabasePlace,
    schema: SchemaRef,
    options: &DatabaseOptions,
) -> Result<(Box<dyn RowSink>, DatabaseRun), SinkError> {
    let refuse = |problem: String| SinkError::database(&place.shown(), &problem);
    if !(1..=DatabaseOptions::MAX_BATCH_ROWS).contains(&options.batch_rows) {
        return Err(refuse(format!("a batch takes 1 to {} rows", DatabaseOptions::MAX_BATCH_ROWS)));
    }
    if options.resume.is_some() && options.origin.is_none() {
        let problem =
            "only a run over files can be taken up again: rows of a stream do not come twice in the same order";
        return Err(refuse(problem.into()));
    }
    if options.resume.is_some() && options.if_exists != IfExists::Append {
        return Err(refuse("a run is taken up again in its table as it is: leave --db-if-exists at append".into()));
    }
    names::check_columns(&schema).map_err(refuse)?;
    match place {
        #[cfg(feature = "sqlite")]
        DatabasePlace::Sqlite(path) => sqlite::open(path, schema, options),
        #[cfg(not(feature = "sqlite"))]
        DatabasePlace::Sqlite(_) => Err(refuse(
            "this program was built without SQLite: build it with the cargo feature sqlite, which is among the default ones".into(),
        )),
        #[cfg(feature = "postgres")]
        DatabasePlace::Postgres(url) => postgres::open(url, schema, options),
        #[cfg(not(feature = "postgres"))]
        DatabasePlace::Postgres(_) => Err(refuse(
            "this program was built without PostgreSQL: build it with the cargo feature postgres, which is among the default ones"
                .into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("postgresql://me:secret@db:5433/flows", "postgresql://me@db:5433/flows"),
            ("postgres://db/flows", "postgres://db/flows"),
            ("postgresql://me@/flows?host=/run&password=secret", "postgresql://me@/flows"),
            ("postgresql://me:sec/ret@db/flows", "postgresql://me@db/flows"),
            ("postgresql://me:p@ss:secret@db", "postgresql://me@db"),
            ("postgresql://db?password=secret", "postgresql://db"),
        ] {
            let place = DatabasePlace::Postgres(url.to_owned());
            assert_eq!(place.shown(), shown);
            assert_eq!(place.shows_password(), url.contains("secret") || url.contains("sec/"), "{url}");
        }
    }

    #[test]
    fn addresses_of_older_versions_are_understood() {
        let sqlite = |path: &str| DatabasePlace::Sqlite(path.into());
        assert_eq!(DatabasePlace::from_dsn("flows.db").unwrap(), sqlite("flows.db"));
        assert_eq!(DatabasePlace::from_dsn("sqlite:///flows.db").unwrap(), sqlite("flows.db"));
        assert_eq!(DatabasePlace::from_dsn("sqlite:////tmp/flows.db").unwrap(), sqlite("/tmp/flows.db"));
        assert!(matches!(DatabasePlace::from_dsn("postgres://x/y").unwrap(), DatabasePlace::Postgres(_)));
        let error = DatabasePlace::from_dsn("mysql://me:secret@db/flows").unwrap_err().to_string();
        assert!(error.contains("mysql") && !error.contains("secret"), "{error}");
    }
}
