//! The table and the run, before the first row: in one transaction, under a lock that all runs of a database share, with patience that
//! ends. Afterwards the table is not changed any more.

use arrow_schema::{Schema, SchemaRef};
use postgres::{Client, Transaction};

use super::super::names::{self, quoted};
use super::super::report::{self, Earlier};
use super::super::types::{self, Element, Kind};
use super::super::{DatabaseOptions, IfExists, RUN_ID, RUNS};

/// Key of the advisory lock: "JoyfulJa".
const LOCK: i64 = 0x4a6f_7966_756c_4a61;

/// Columns of a table, those that were dropped included (MaxHeapAttributeNumber).
const MAX_COLUMNS: usize = 1_600;

/// Of a page: what its header and the place of its tuple take (MaxHeapTupleSize is 8,160 of 8,192).
const PAGE_OVERHEAD: usize = 32;

/// Why a run cannot begin.
pub(super) enum Refused {
    Said(String),
    Server(postgres::Error),
}

impl From<postgres::Error> for Refused {
    fn from(error: postgres::Error) -> Self {
        Self::Server(error)
    }
}

/// The name of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    schema: Option<String>,
    name: String,
}

impl Table {
    /// `table` or `schema.table`.
    pub(super) fn new(name: &str) -> Result<Self, String> {
        let (schema, name) = match name.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, name),
        };
        if let Some(schema) = schema {
            names::check_table(schema)?;
        }
        names::check_table(name)?;
        Ok(Self { schema: schema.map(str::to_owned), name: name.to_owned() })
    }

    /// As SQL writes it.
    pub(super) fn quoted(&self) -> String {
        self.beside(&self.name)
    }

    /// The table of runs in the same schema.
    pub(super) fn runs(&self) -> String {
        self.beside(RUNS)
    }

    fn beside(&self, name: &str) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(name)),
            None => quoted(name),
        }
    }
}

/// A run as the table of runs has it.
pub(super) struct RunRow {
    pub(super) id: i64,
    pub(super) batches: i64,
    pub(super) rows: u64,
}

/// What the table is to be, and the run that begins.
pub(super) struct Start<'a> {
    pub(super) table: &'a Table,
    pub(super) schema: &'a SchemaRef,
    pub(super) kinds: &'a [Kind],
    pub(super) options: &'a DatabaseOptions,
}

impl Start<'_> {
    pub(super) fn enter(&self, client: &mut Client) -> Result<(RunRow, Vec<String>), Refused> {
        let encoding: String = client.query_one("SELECT current_setting('server_encoding')", &[])?.try_get(0)?;
        if encoding != "UTF8" {
            return Err(Refused::Said(format!(
                "the database has the encoding {encoding}, which has no form for every text: make one with ENCODING 'UTF8'"
            )));
        }
        let mut tx = client.transaction()?;
        let patience = self.options.patience.as_millis().clamp(1, i32::MAX as u128);
        tx.batch_execute(&format!("SET LOCAL lock_timeout = {patience}"))?;
        tx.query("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
        let schema: Option<String> = match &self.table.schema {
            Some(schema) => tx
                .query_opt("SELECT nspname::text FROM pg_namespace WHERE nspname = $1", &[schema])?
                .map(|row| row.try_get(0))
                .transpose()?,
            None => tx.query_one("SELECT current_schema()::text", &[])?.try_get(0)?,
        };
        let Some(schema) = schema else {
            let name = self.table.schema.as_deref().unwrap_or("public");
            return Err(Refused::Said(format!("there is no schema '{name}': CREATE SCHEMA {}", quoted(name))));
        };
        if relation(&mut tx, &schema, RUNS)?.is_none() {
            tx.batch_execute(&format!(
                "CREATE TABLE {} (run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, table_name text NOT NULL, started timestamptz \
                 NOT NULL DEFAULT now(), finished timestamptz, batches bigint NOT NULL, row_count bigint NOT NULL, origin text)",
                self.table.runs()
            ))?;
        }
        match relation(&mut tx, &schema, &self.table.name)? {
            Some((_, kind)) if !matches!(kind.as_str(), "r" | "p") => {
                let kind = if matches!(kind.as_str(), "v" | "m") { "a view" } else { "no table" };
                return Err(Refused::Said(format!("'{}' is {kind}: name a table (--db-table)", self.table.name)));
            }
            Some(_) if self.options.if_exists == IfExists::Fail => {
                return Err(Refused::Said(format!(
                    "the table '{}' is there already: name another (--db-table), or add to it (--db-if-exists append)",
                    self.table.name
                )));
            }
            Some(_) if self.options.if_exists == IfExists::Replace => {
                tx.batch_execute(&format!("DROP TABLE {}", self.table.quoted()))?;
                tx.execute(&format!("DELETE FROM {} WHERE table_name = $1", self.table.runs()), &[&self.table.name])?;
                self.create(&mut tx)?;
            }
            Some((oid, _)) => self.complete(&mut tx, oid)?,
            None => self.create(&mut tx)?,
        }
        let entered = match self.options.resume {
            Some(id) => (self.take_up(&mut tx, id)?, Vec::new()),
            None => self.begin(&mut tx)?,
        };
        tx.commit()?;
        Ok(entered)
    }

    fn columns(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let own =
            self.schema.fields().iter().zip(self.kinds).map(|(field, kind)| (field.name().as_str(), sql_type(*kind)));
        std::iter::once((RUN_ID, "bigint")).chain(own)
    }

    fn create(&self, tx: &mut Transaction<'_>) -> Result<(), Refused> {
        let columns: Vec<_> = self.columns().map(|(name, of)| format!("{} {of}", quoted(name))).collect();
        self.check_width(tx, columns.len())?;
        Ok(tx.batch_execute(&format!("CREATE TABLE {} ({})", self.table.quoted(), columns.join(", ")))?)
    }

    /// Compares an existing table, and adds what it does not have.
    fn complete(&self, tx: &mut Transaction<'_>, oid: u32) -> Result<(), Refused> {
        let there = tx.query(
            "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull AND NOT atthasdef AND attidentity = '', \
             attgenerated <> '' OR attidentity = 'a' FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped",
            &[&oid],
        )?;
        let there: Result<Vec<(String, String, bool, bool)>, postgres::Error> =
            there.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))).collect();
        let there = there?;
        let (mut wrong, mut missing) = (Vec::new(), Vec::new());
        for (name, of) in self.columns() {
            match there.iter().find(|(there, ..)| there == name) {
                None => missing.push((name, of)),
                Some((.., true)) => wrong.push(format!("'{name}' is generated")),
                // Binary COPY does not convert: of the same width, a number would be read as one of another kind.
                Some((_, found, ..)) if found != of && !(of == "text" && found == "character varying") => {
                    wrong.push(format!("'{name}' is {found} and not {of}"));
                }
                Some(_) => {}
            }
        }
        for (name, _, needs_value, _) in &there {
            if *needs_value && !self.columns().any(|(own, _)| own == name) {
                wrong.push(format!("'{name}' must not be null, and rows have no such column"));
            }
        }
        let table = &self.table.name;
        if !wrong.is_empty() {
            let wrong = wrong.join(", ");
            return Err(Refused::Said(format!(
                "the table '{table}' is of other rows: {wrong}; name another (--db-table)"
            )));
        }
        if !missing.is_empty() && !self.options.alter {
            let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            return Err(Refused::Said(format!(
                "the table '{table}' has no {names}, and columns are not to be added (--no-alter)"
            )));
        }
        let last: i16 = tx
            .query_one("SELECT coalesce(max(attnum), 0)::int2 FROM pg_attribute WHERE attrelid = $1", &[&oid])?
            .try_get(0)?;
        self.check_width(tx, usize::try_from(last).unwrap_or(0) + missing.len())?;
        if !missing.is_empty() {
            let added: Vec<_> =
                missing.iter().map(|(name, of)| format!("ADD COLUMN IF NOT EXISTS {} {of}", quoted(name))).collect();
            tx.batch_execute(&format!("ALTER TABLE {} {}", self.table.quoted(), added.join(", ")))?;
        }
        Ok(())
    }

    /// Refuses what would fail at some row: a tuple has to fit a page, however long its texts are.
    fn check_width(&self, tx: &mut Transaction<'_>, columns: usize) -> Result<(), Refused> {
        let way_out = "select fewer features (--profile, --features), or begin another table (--db-table)";
        if columns > MAX_COLUMNS {
            return Err(Refused::Said(format!(
                "the table '{}' would have {columns} columns, those that were dropped included: PostgreSQL takes {MAX_COLUMNS}; {way_out}",
                self.table.name
            )));
        }
        let page: String = tx.query_one("SELECT current_setting('block_size')", &[])?.try_get(0)?;
        let room = page.parse::<usize>().unwrap_or(8_192).saturating_sub(PAGE_OVERHEAD);
        let worst = widest_row(self.kinds, columns);
        if worst > room {
            return Err(Refused::Said(format!(
                "a row may take {worst} bytes with long texts out of line, and a page of this server has room for {room}: {way_out}"
            )));
        }
        Ok(())
    }

    fn begin(&self, tx: &mut Transaction<'_>) -> Result<(RunRow, Vec<String>), Refused> {
        let runs = self.table.runs();
        let open = tx.query(
            &format!("SELECT run_id, row_count FROM {runs} WHERE table_name = $1 AND finished IS NULL ORDER BY run_id"),
            &[&self.table.name],
        )?;
        let open: Result<Vec<_>, postgres::Error> =
            open.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
        let notes = report::unfinished(&open?);
        let origin = self.options.origin.as_ref().map(|given| types::origin(self.schema, given));
        let row = tx.query_one(
            &format!(
                "INSERT INTO {runs} (table_name, batches, row_count, origin) VALUES ($1, 0, 0, $2) RETURNING run_id"
            ),
            &[&self.table.name, &origin],
        )?;
        Ok((RunRow { id: row.try_get(0)?, batches: 0, rows: 0 }, notes))
    }

    fn take_up(&self, tx: &mut Transaction<'_>, id: i64) -> Result<RunRow, Refused> {
        let runs = self.table.runs();
        let found = tx.query_opt(
            &format!(
                "SELECT table_name, finished IS NOT NULL, batches, row_count, origin FROM {runs} WHERE run_id = $1"
            ),
            &[&id],
        )?;
        let earlier = match found {
            Some(row) => Some(Earlier {
                table: row.try_get(0)?,
                finished: row.try_get(1)?,
                batches: row.try_get(2)?,
                rows: row.try_get(3)?,
                origin: row.try_get(4)?,
            }),
            None => None,
        };
        let now = self.options.origin.as_ref().map(|given| types::origin(self.schema, given));
        let may = report::may_go_on(id, &self.table.name, earlier, now.as_deref());
        let (batches, rows) = may.map_err(Refused::Said)?;
        Ok(RunRow { id, batches, rows })
    }
}

/// Number and kind of what is there under a name.
fn relation(tx: &mut Transaction<'_>, schema: &str, name: &str) -> Result<Option<(u32, String)>, postgres::Error> {
    let found = tx.query_opt(
        "SELECT c.oid, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2",
        &[&schema, &name],
    )?;
    found.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// The statement that takes a batch: columns are always listed.
pub(super) fn copy_statement(table: &Table, schema: &Schema) -> String {
    let fields = schema.fields().iter().map(|field| field.name().as_str());
    let columns = names::list(std::iter::once(RUN_ID).chain(fields));
    format!("COPY {} ({columns}) FROM STDIN WITH (FORMAT binary)", table.quoted())
}

fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Int16 => "smallint",
        Kind::Int32 => "integer",
        Kind::Int64 => "bigint",
        Kind::Uint64 => "numeric(20,0)",
        Kind::Float32 => "real",
        Kind::Float64 => "double precision",
        Kind::Bool => "boolean",
        Kind::Text => "text",
        Kind::Address => "inet",
        Kind::Time => "timestamp with time zone",
        Kind::List(Element::Int16) => "smallint[]",
        Kind::List(Element::Int32) => "integer[]",
        Kind::List(Element::Int64) => "bigint[]",
        Kind::List(Element::Uint64) => "numeric(20,0)[]",
        Kind::List(Element::Float32) => "real[]",
        Kind::List(Element::Float64) => "double precision[]",
        Kind::List(Element::Bool) => "boolean[]",
        Kind::List(Element::Text) => "text[]",
        Kind::List(Element::Time) => "timestamp with time zone[]",
    }
}

/// Bytes of a row in which no column is null: header and bitmap, and the columns in their order.
fn widest_row(kinds: &[Kind], columns: usize) -> usize {
    /// A value that is kept in the row has at most so many bytes: only longer ones can go out of line, where 18 are left of them.
    const IN_LINE: usize = 24;
    let up = |at: usize, align: usize| at.div_ceil(align) * align;
    let header = up(23 + columns.div_ceil(8), 8);
    // The run.
    let mut at = header + 8;
    for kind in kinds {
        let (align, size) = match kind {
            Kind::Int16 => (2, 2),
            Kind::Int32 | Kind::Float32 => (4, 4),
            Kind::Int64 | Kind::Float64 | Kind::Time => (8, 8),
            Kind::Bool => (1, 1),
            // A byte of length, 8 of header and digits.
            Kind::Uint64 => (1, 15),
            Kind::Address => (1, 19),
            Kind::Text | Kind::List(_) => (1, IN_LINE),
        };
        at = up(at, align) + size;
    }
    up(at, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_may_have_a_schema() {
        let table = Table::new("flows.x\"y").unwrap();
        assert_eq!(table.quoted(), "\"flows\".\"x\"\"y\"");
        assert_eq!(table.runs(), "\"flows\".\"joyfuljay_runs\"");
        assert_eq!(Table::new("user").unwrap().quoted(), "\"user\"");
        for bad in ["", ".x", "x.", "joyfuljay_runs"] {
            assert!(Table::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_widest_row_counts_alignment_and_bitmap() {
        // 23 + 1 of bitmap, the run, a byte, 7 to align, 8.
        assert_eq!(widest_row(&[Kind::Bool, Kind::Int64], 3), 24 + 8 + 8 + 8);
        // Columns that are there already lengthen the bitmap.
        assert_eq!(widest_row(&[], 1_600), 224 + 8);
        assert!(widest_row(&[Kind::Text; 400], 401) > 8_160);
    }
}
