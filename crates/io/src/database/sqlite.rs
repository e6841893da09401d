//! Rows into a file of SQLite.
//!
//! A batch is one immediate transaction: it takes the lock for writing at its start, so it never has to turn a read lock into one,
//! which no patience helps with. On a local disk the file has a write-ahead log while the run goes on, so that readers see whole batches
//! and hold nobody up; on one of a network it keeps its journal, as the log needs memory that all users share. Neither setting can
//! spoil the file, however the run ends.

use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Statement, ToSql, TransactionBehavior};

use super::names::{list, quoted};
use super::types::{self, Kind};
use super::{DatabaseOptions, DatabaseRun, IfExists, RUN_ID, RUNS, names};
use crate::encode::{Cell, Column, Encoded};
use crate::sink::{RowSink, SinkError, Written};

/// Columns of a table that SQLite takes, unless it was built otherwise (SQLITE_MAX_COLUMN).
const MAX_COLUMNS: usize = 2_000;

/// A log of this size is one that a reader keeps from being written back.
const MAX_LOG_BYTES: u64 = 1 << 28;

const KIND: &str = "sqlite";

/// Opens the file and the table, and enters a run.
pub(super) fn open(
    path: &Path,
    schema: SchemaRef,
    options: &DatabaseOptions,
) -> Result<(Box<dyn RowSink>, DatabaseRun), SinkError> {
    let place = path.display().to_string();
    let refuse = |problem: String| SinkError::database(&place, &problem);
    let table = options.table.as_str();
    names::check_table(table).map_err(refuse)?;
    if table.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_")) {
        return Err(refuse(format!("'{table}': names that begin with sqlite_ are SQLite's own: name another table")));
    }
    let columns = schema.fields().len() + 1;
    if columns > MAX_COLUMNS {
        return Err(refuse(format!(
            "{columns} columns, that of the run included: a table of SQLite has {MAX_COLUMNS} at most; select fewer features"
        )));
    }
    // Addresses are the text that CSV has, so a table reads the same with and without them in clear.
    let kinds = Kind::all(&schema, false).map_err(refuse)?;
    check_path(path)?;

    let said = |e: rusqlite::Error| refuse(problem(&e));
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(said)?;
    connection.busy_timeout(options.patience).map_err(said)?;
    let was_logged = begin_log(&connection, path).map_err(said)?;
    let start = Start { table, schema: &schema, kinds: &kinds, options };
    let (run, notes) = start.enter(&mut connection).map_err(|e| match e {
        Refused::Said(problem) => refuse(problem),
        Refused::Sqlite(e) => said(e),
    })?;
    let fields = schema.fields().iter().map(|field| field.name().as_str());
    let insert = format!(
        "INSERT INTO {} ({}) VALUES (?{})",
        quoted(table),
        list(std::iter::once(RUN_ID).chain(fields)),
        ", ?".repeat(schema.fields().len())
    );
    let handle = DatabaseRun::new(run.id, notes);
    let sink = SqliteSink {
        connection: Some(connection),
        path: path.to_owned(),
        place: place.clone(),
        schema,
        kinds,
        insert,
        batch_rows: options.batch_rows,
        pass_over: run.rows,
        bytes: 0,
        run,
        was_logged,
        handle: handle.clone(),
        written: Written::default(),
        failed: false,
    };
    Ok((Box::new(sink), handle))
}

/// A run as the table of runs has it.
struct RunRow {
    id: i64,
    batches: i64,
    rows: u64,
}

/// What SQLite says, with the way out.
fn problem(error: &rusqlite::Error) -> String {
    let way_out = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            ": another program holds it; end that, or wait longer (--db-timeout)"
        }
        Some(ErrorCode::NotADatabase) => ": the file is something else; name another one",
        Some(ErrorCode::DiskFull) => ": free some space, or name a file on another disk",
        Some(ErrorCode::ReadOnly) => ": the file or its directory may not be written to; name another one",
        Some(ErrorCode::CannotOpen) => ": it must be a file in a directory that may be written to",
        Some(ErrorCode::DatabaseCorrupt) => ": the file is damaged; name another one",
        _ => "",
    };
    format!("{error}{way_out}")
}

fn check_path(path: &Path) -> Result<(), SinkError> {
    let target = path.display().to_string();
    if path.as_os_str().is_empty() {
        return Err(SinkError::NoName);
    }
    if path.is_dir() {
        return Err(SinkError::IsDirectory { target });
    }
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !directory.is_dir() {
        return Err(SinkError::NoDirectory { target, directory: directory.display().to_string() });
    }
    Ok(())
}

/// Begins the write-ahead log, where the disk is local. Whether the file had one before.
fn begin_log(connection: &Connection, path: &Path) -> rusqlite::Result<bool> {
    let mode = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0));
    let had = mode("PRAGMA journal_mode")? == "wal";
    if had || !is_remote(path) {
        // A file that is in use stays as it is.
        match mode("PRAGMA journal_mode=WAL") {
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
            other => drop(other?),
        }
        // With the log, a batch that was committed may be lost with the power, and the file is whole all the same.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
    }
    Ok(had)
}

/// Whether the file is on the disk of another machine.
#[cfg(target_os = "linux")]
fn is_remote(path: &Path) -> bool {
    /// `f_type` of statfs(2): NFS, SMB, CIFS, SMB2, AFS, Coda, 9p, Ceph, FUSE.
    const REMOTE: [u64; 9] =
        [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x5346_414f, 0x7375_7245, 0x0102_1997, 0x00c3_6400, 0x6573_5546];
    rustix::fs::statfs(path).is_ok_and(|fs| REMOTE.contains(&((fs.f_type as u64) & 0xffff_ffff)))
}

/// Not known on this system.
#[cfg(not(target_os = "linux"))]
fn is_remote(_path: &Path) -> bool {
    false
}

/// Why a run cannot begin.
enum Refused {
    Said(String),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What the table is to be, and the run that begins.
struct Start<'a> {
    table: &'a str,
    schema: &'a SchemaRef,
    kinds: &'a [Kind],
    options: &'a DatabaseOptions,
}

impl Start<'_> {
    /// In one transaction: table, columns, and the run.
    fn enter(&self, connection: &mut Connection) -> Result<(RunRow, Vec<String>), Refused> {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {RUNS} (run_id INTEGER PRIMARY KEY AUTOINCREMENT, table_name TEXT NOT NULL, started TEXT NOT \
             NULL, finished TEXT, batches INTEGER NOT NULL, row_count INTEGER NOT NULL, origin TEXT)"
        ))?;
        let kind = tx.query_row(
            "SELECT type FROM sqlite_master WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')",
            [self.table],
            |row| row.get::<_, String>(0),
        );
        let table = quoted(self.table);
        match kind.optional()?.as_deref() {
            Some("view") => {
                return Err(Refused::Said(format!("'{}' is a view: name a table", self.table)));
            }
            Some(_) if self.options.if_exists == IfExists::Fail => {
                return Err(Refused::Said(format!(
                    "the table '{}' is there already: name another (--db-table), or add to it (--db-if-exists append)",
                    self.table
                )));
            }
            Some(_) if self.options.if_exists == IfExists::Replace => {
                tx.execute_batch(&format!("DROP TABLE {table}"))?;
                tx.execute(&format!("DELETE FROM {RUNS} WHERE table_name = ?1 COLLATE NOCASE"), [self.table])?;
                self.create(&tx)?;
            }
            Some(_) => self.complete(&tx)?,
            None => self.create(&tx)?,
        }
        let entered = match self.options.resume {
            Some(id) => (self.take_up(&tx, id)?, Vec::new()),
            None => self.begin(&tx)?,
        };
        tx.commit()?;
        Ok(entered)
    }

    fn columns(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let own =
            self.schema.fields().iter().zip(self.kinds).map(|(field, kind)| (field.name().as_str(), sql_type(*kind)));
        std::iter::once((RUN_ID, "INTEGER")).chain(own)
    }

    fn create(&self, tx: &Connection) -> Result<(), Refused> {
        let columns: Vec<_> = self.columns().map(|(name, of)| format!("{} {of}", quoted(name))).collect();
        Ok(tx.execute_batch(&format!("CREATE TABLE {} ({})", quoted(self.table), columns.join(", ")))?)
    }

    /// Compares an existing table, and adds what it does not have.
    fn complete(&self, tx: &Connection) -> Result<(), Refused> {
        let mut statement = tx.prepare(&format!("PRAGMA table_xinfo({})", quoted(self.table)))?;
        let there = statement
            .query_map([], |row| {
                Ok(Existing {
                    name: row.get::<_, String>(1)?,
                    data_type: row.get::<_, String>(2)?,
                    needs_value: row.get::<_, bool>(3)? && row.get::<_, Option<String>>(4)?.is_none(),
                    is_key: row.get::<_, i64>(5)? > 0,
                    is_hidden: row.get::<_, i64>(6)? > 0,
                })
            })?
            .collect::<Result<Vec<_>, _>>()?;
        let (mut wrong, mut missing) = (Vec::new(), Vec::new());
        for (name, of) in self.columns() {
            match there.iter().find(|column| column.name.eq_ignore_ascii_case(name)) {
                None => missing.push((name, of)),
                Some(column) if column.is_hidden => wrong.push(format!("'{name}' is generated")),
                Some(column) if !column.data_type.eq_ignore_ascii_case(of) => {
                    wrong.push(format!("'{name}' is {} and not {of}", column.data_type));
                }
                Some(_) => {}
            }
        }
        for column in there.iter().filter(|column| column.needs_value && !column.is_key) {
            if !self.columns().any(|(name, _)| column.name.eq_ignore_ascii_case(name)) {
                wrong.push(format!("'{}' must not be null, and rows have no such column", column.name));
            }
        }
        if !wrong.is_empty() {
            let problem =
                format!("the table '{}' is of other rows: {}; name another (--db-table)", self.table, wrong.join(", "));
            return Err(Refused::Said(problem));
        }
        if !missing.is_empty() && !self.options.alter {
            let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
            return Err(Refused::Said(format!(
                "the table '{}' has no {}, and columns are not to be added (--no-alter)",
                self.table,
                names.join(", ")
            )));
        }
        if there.len() + missing.len() > MAX_COLUMNS {
            return Err(Refused::Said(format!(
                "the table '{}' would have {} columns: SQLite takes {MAX_COLUMNS}; name another (--db-table)",
                self.table,
                there.len() + missing.len()
            )));
        }
        for (name, of) in missing {
            tx.execute_batch(&format!("ALTER TABLE {} ADD COLUMN {} {of}", quoted(self.table), quoted(name)))?;
        }
        Ok(())
    }

    fn begin(&self, tx: &Connection) -> Result<(RunRow, Vec<String>), Refused> {
        let mut statement = tx.prepare(&format!(
            "SELECT run_id, row_count FROM {RUNS} WHERE table_name = ?1 COLLATE NOCASE AND finished IS NULL ORDER BY run_id"
        ))?;
        let open = statement.query_map([self.table], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        let notes = super::report::unfinished(&open.collect::<Result<Vec<_>, _>>()?);
        tx.execute(
            &format!(
                "INSERT INTO {RUNS} (table_name, started, batches, row_count, origin) \
                 VALUES (?1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 0, 0, ?2)"
            ),
            (self.table, self.options.origin.as_ref().map(|given| types::origin(self.schema, given))),
        )?;
        Ok((RunRow { id: tx.last_insert_rowid(), batches: 0, rows: 0 }, notes))
    }

    fn take_up(&self, tx: &Connection, id: i64) -> Result<RunRow, Refused> {
        let found = tx.query_row(
            &format!(
                "SELECT table_name, finished IS NOT NULL, batches, row_count, origin FROM {RUNS} WHERE run_id = ?1"
            ),
            [id],
            |row| {
                Ok(super::report::Earlier {
                    table: row.get(0)?,
                    finished: row.get(1)?,
                    batches: row.get(2)?,
                    rows: row.get(3)?,
                    origin: row.get(4)?,
                })
            },
        );
        let earlier = found.optional()?;
        let now = self.options.origin.as_ref().map(|given| types::origin(self.schema, given));
        let (batches, rows) =
            super::report::may_go_on(id, self.table, earlier, now.as_deref()).map_err(Refused::Said)?;
        Ok(RunRow { id, batches, rows })
    }
}

struct Existing {
    name: String,
    data_type: String,
    needs_value: bool,
    is_key: bool,
    is_hidden: bool,
}

fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::Uint64 => "INTEGER",
        Kind::Float32 | Kind::Float64 => "REAL",
        Kind::Bool => "BOOLEAN",
        // A time as CSV has it, a list as JSON.
        Kind::Text | Kind::Address | Kind::Time | Kind::List(_) => "TEXT",
    }
}

struct SqliteSink {
    /// None after the end.
    connection: Option<Connection>,
    path: PathBuf,
    place: String,
    schema: SchemaRef,
    kinds: Vec<Kind>,
    insert: String,
    batch_rows: usize,
    run: RunRow,
    /// Rows that were in the table before.
    pass_over: u64,
    /// Bytes of values.
    bytes: u64,
    was_logged: bool,
    handle: DatabaseRun,
    written: Written,
    failed: bool,
}

impl SqliteSink {
    fn error(&self, problem: &str) -> SinkError {
        SinkError::database(
            &self.place,
            &format!("{problem}; {}", super::report::left(self.run.id, self.run.batches, self.run.rows)),
        )
    }

    fn batch(&mut self, rows: &RecordBatch) -> Result<(), SinkError> {
        let columns: Option<Vec<_>> = rows.columns().iter().map(|array| Column::of(array.as_ref())).collect();
        let columns = columns.filter(|columns| columns.len() == self.kinds.len());
        let Some(columns) = columns else { return Err(SinkError::Foreign { sink: KIND }) };
        let count = rows.num_rows() as i64;
        let Some(connection) = self.connection.as_mut() else { return Err(SinkError::Foreign { sink: KIND }) };
        let mut bound = Bound::default();
        let done = (|| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut statement = tx.prepare(&self.insert)?;
                statement.raw_bind_parameter(1, self.run.id)?;
                let mut scratch = Vec::new();
                for row in 0..rows.num_rows() {
                    for (index, column) in columns.iter().enumerate() {
                        bind(&mut statement, index + 2, column.cell(row), &mut scratch, &mut bound).map_err(|e| match e {
                            Unbound::Sqlite(e) => Refused::Sqlite(e),
                            Unbound::TooLarge(value) => Refused::Said(format!(
                                "column '{}' has {value}, which SQLite has no whole number for: 2^63 - 1 is the largest",
                                self.schema.field(index).name()
                            )),
                        })?;
                    }
                    statement.raw_execute()?;
                }
            }
            let counted = tx.execute(
                &format!("UPDATE {RUNS} SET batches = batches + 1, row_count = row_count + ?1 WHERE run_id = ?2 AND batches = ?3"),
                (count, self.run.id, self.run.batches),
            )?;
            if counted != 1 {
                let problem = "another program goes on with this run, or has taken it away: it was left to that";
                return Err(Refused::Said(problem.to_owned()));
            }
            tx.commit()?;
            Ok(())
        })();
        done.map_err(|e| match e {
            Refused::Said(problem) => self.error(&problem),
            Refused::Sqlite(e) => self.error(&problem(&e)),
        })?;
        self.run.batches += 1;
        self.run.rows += count as u64;
        self.handle.committed(count as u64);
        self.handle.replaced(bound.replaced);
        self.bytes += bound.bytes;
        Ok(())
    }

    /// A reader that never ends keeps the log from being written back, and it would grow for ever.
    fn bound_log(&self) -> Result<(), SinkError> {
        let mut name = self.path.clone().into_os_string();
        name.push("-wal");
        if fs::metadata(&name).map_or(0, |meta| meta.len()) < MAX_LOG_BYTES {
            return Ok(());
        }
        let Some(connection) = &self.connection else { return Ok(()) };
        let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        match busy {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.error(&format!(
                "a reader has held the database for so long that its log grew to {} MiB: end that reader",
                MAX_LOG_BYTES >> 20
            ))),
            Err(e) => Err(self.error(&problem(&e))),
        }
    }
}

impl RowSink for SqliteSink {
    fn name(&self) -> &'static str {
        KIND
    }

    fn chunk_rows(&self) -> usize {
        self.batch_rows
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let rows = chunk.into_batch(KIND)?;
        let all = rows.num_rows() as u64;
        let from = self.pass_over.min(all);
        self.pass_over -= from;
        self.handle.passed_over(from);
        let mut from = usize::try_from(from).unwrap_or(usize::MAX);
        // A chunk holds all rows that ended together, which may be more than a batch.
        while from < rows.num_rows() {
            let count = self.batch_rows.min(rows.num_rows() - from);
            let batch = rows.slice(from, count);
            self.batch(&batch).and_then(|()| self.bound_log()).inspect_err(|_| self.failed = true)?;
            self.written.rows += count as u64;
            self.written.bytes = self.bytes;
            from += count;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Written, SinkError> {
        if self.failed {
            return Err(SinkError::Incomplete { target: self.place });
        }
        if self.pass_over > 0 {
            let problem = "the input has fewer rows than the run has left in the table: it is another one";
            return Err(self.error(problem));
        }
        let Some(connection) = self.connection.take() else { return Err(SinkError::Foreign { sink: KIND }) };
        let done = (|| {
            connection.execute(
                &format!("UPDATE {RUNS} SET finished = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE run_id = ?1"),
                [self.run.id],
            )?;
            // One file is left where nobody else has it open; who has, leaves it so when he ends.
            connection.busy_timeout(std::time::Duration::ZERO)?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            if !self.was_logged {
                let _ = connection.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()));
            }
            connection.close().map_err(|(_, e)| e)
        })();
        done.map_err(|e: rusqlite::Error| self.error(&problem(&e)))?;
        Ok(self.written)
    }

    fn bytes_written(&self) -> u64 {
        self.written.bytes
    }
}

enum Unbound {
    Sqlite(rusqlite::Error),
    TooLarge(u64),
}

impl From<rusqlite::Error> for Unbound {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What was bound.
#[derive(Default)]
struct Bound {
    bytes: u64,
    /// Zero bytes that were replaced.
    replaced: u64,
}

/// Binds a value.
fn bind(
    statement: &mut Statement<'_>,
    at: usize,
    cell: Cell<'_, '_>,
    scratch: &mut Vec<u8>,
    bound: &mut Bound,
) -> Result<(), Unbound> {
    bound.bytes += 8;
    match cell {
        Cell::Null => {
            bound.bytes -= 8;
            statement.raw_bind_parameter(at, rusqlite::types::Null)?;
        }
        Cell::Int(v) => statement.raw_bind_parameter(at, v)?,
        Cell::Uint(v) => statement.raw_bind_parameter(at, i64::try_from(v).map_err(|_| Unbound::TooLarge(v))?)?,
        Cell::Double(v) => statement.raw_bind_parameter(at, v)?,
        Cell::Float(v) => statement.raw_bind_parameter(at, f64::from(v))?,
        Cell::Bool(v) => statement.raw_bind_parameter(at, v)?,
        Cell::Str(v) => {
            let (text, zeros) = types::clean(v);
            bound.replaced += zeros;
            bound.bytes += text.len() as u64;
            statement.raw_bind_parameter(at, Text(text.as_bytes()))?;
        }
        other @ (Cell::Time(_) | Cell::List(..)) => {
            scratch.clear();
            crate::encode::push_value(scratch, other);
            // A time is a string of JSON with its quotes; a list stays JSON.
            let text = scratch.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(scratch);
            bound.bytes += text.len() as u64;
            statement.raw_bind_parameter(at, Text(text))?;
        }
    }
    Ok(())
}

/// UTF-8 that is bound as text without a copy.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}
