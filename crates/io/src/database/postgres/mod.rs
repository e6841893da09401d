//! Rows into a table of PostgreSQL.
//!
//! A batch is a COPY in binary form and the count of it, in one transaction. Where the connection is lost before the server has said
//! that it committed, nobody knows whether it did: the next connection reads the count, and sends the batch again only where it is not
//! in it. No transaction is open between two batches, so a quiet wire neither holds locks nor meets the server's limit on idle
//! transactions.

mod connect;
mod copy;
mod table;
mod tls;

use std::io::Write as _;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow_schema::SchemaRef;
use postgres::Client;

use self::connect::Server;
use self::copy::CopyEncoder;
use self::table::{Refused, RunRow, Start, Table};
use super::types::Kind;
use super::{DatabaseOptions, DatabasePlace, DatabaseRun, report};
use crate::encode::{Encoded, RowEncoder};
use crate::sink::{RowSink, SinkError, Written};

const KIND: &str = "postgres";

/// Between two attempts to connect again, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Connects, makes or completes the table, and enters a run.
pub(super) fn open(
    url: &str,
    schema: SchemaRef,
    options: &DatabaseOptions,
) -> Result<(Box<dyn RowSink>, DatabaseRun), SinkError> {
    let place = DatabasePlace::Postgres(url.to_owned()).shown();
    let refuse = |problem: String| SinkError::database(&place, &problem);
    let asked = |problem: String| SinkError::Asked { place: place.clone(), problem };
    let table = Table::new(&options.table).map_err(asked)?;
    let kinds = Kind::all(&schema, options.addresses).map_err(asked)?;
    let (server, mut notes) = connect::server(url).map_err(asked)?;
    let said = |e: postgres::Error| refuse(connect::problem(&e));
    let mut client = server.connect().map_err(said)?;
    let start = Start { table: &table, schema: &schema, kinds: &kinds, options };
    let (run, more) = start.enter(&mut client).map_err(|e| match e {
        Refused::Said(problem) => refuse(problem),
        Refused::Server(e) => said(e),
    })?;
    notes.extend(more);
    let handle = DatabaseRun::new(run.id, notes);
    let copy = table::copy_statement(&table, &schema);
    let encoder = CopyEncoder { place: place.clone(), schema, kinds, run: run.id, handle: handle.clone() };
    let sink = PostgresSink {
        client: Some(client),
        server,
        place,
        runs: table.runs(),
        copy,
        encoder: Arc::new(encoder),
        batch_rows: options.batch_rows,
        patience: options.patience,
        pass_over: run.rows,
        run,
        handle: handle.clone(),
        written: Written::default(),
        failed: false,
    };
    Ok((Box::new(sink), handle))
}

struct PostgresSink {
    /// None where the connection is lost.
    client: Option<Client>,
    server: Server,
    place: String,
    runs: String,
    copy: String,
    encoder: Arc<CopyEncoder>,
    batch_rows: usize,
    patience: Duration,
    run: RunRow,
    /// Rows that were in the table before.
    pass_over: u64,
    handle: DatabaseRun,
    written: Written,
    failed: bool,
}

/// Why a batch is not in the table, as far as is known.
enum Failed {
    /// The connection is gone, or the server asks to try again: it may be in the table or not.
    Unknown(postgres::Error),
    /// It is not, and will not be.
    Refused(String),
}

impl From<postgres::Error> for Failed {
    fn from(error: postgres::Error) -> Self {
        if connect::is_passing(&error) { Self::Unknown(error) } else { Self::Refused(connect::problem(&error)) }
    }
}

const TAKEN: &str = "another program goes on with this run, or has taken it away: it was left to that";

impl PostgresSink {
    fn error(&self, problem: &str) -> SinkError {
        let left = report::left(self.run.id, self.run.batches, self.run.rows);
        SinkError::database(&self.place, &format!("{problem}; {left}"))
    }

    /// Sends a batch until it is there, once.
    fn batch(&mut self, bytes: &[u8], rows: u64) -> Result<(), SinkError> {
        let mut lost = None;
        loop {
            match self.attempt(bytes, rows) {
                Ok(()) => break,
                Err(Failed::Refused(problem)) => return Err(self.error(&problem)),
                Err(Failed::Unknown(error)) => {
                    self.client = None;
                    let (since, pause) = lost.get_or_insert((Instant::now(), Duration::from_millis(100)));
                    if since.elapsed() >= self.patience {
                        return Err(self.error(&connect::problem(&error)));
                    }
                    thread::sleep(*pause);
                    *pause = (*pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        if lost.is_some() {
            self.handle.reconnected();
        }
        self.run.batches += 1;
        self.run.rows += rows;
        self.handle.committed(rows);
        Ok(())
    }

    fn attempt(&mut self, bytes: &[u8], rows: u64) -> Result<(), Failed> {
        let client = match &mut self.client {
            Some(client) => client,
            lost => {
                let mut client = self.server.connect()?;
                let sql = format!("SELECT batches FROM {} WHERE run_id = $1", self.runs);
                let there = client.query_opt(&sql, &[&self.run.id])?;
                let there: Option<i64> = there.map(|row| row.try_get(0)).transpose()?;
                let client = lost.insert(client);
                match there {
                    Some(there) if there == self.run.batches => client,
                    // It was committed before the connection was lost.
                    Some(there) if there == self.run.batches + 1 => return Ok(()),
                    _ => return Err(Failed::Refused(TAKEN.to_owned())),
                }
            }
        };
        let mut tx = client.transaction()?;
        let mut copy = tx.copy_in(&self.copy)?;
        // What the server says of the rows comes with `finish`; before it, only the connection can fail.
        let sent = copy
            .write_all(copy::HEADER)
            .and_then(|()| copy.write_all(bytes))
            .and_then(|()| copy.write_all(copy::TRAILER));
        if let Err(error) = sent {
            drop(copy);
            drop(tx);
            return Err(match error.into_inner().map(|inner| inner.downcast::<postgres::Error>()) {
                Some(Ok(error)) => Failed::Unknown(*error),
                Some(Err(other)) => Failed::Refused(other.to_string()),
                None => Failed::Refused("the connection was lost".to_owned()),
            });
        }
        copy.finish()?;
        let counted = tx.execute(
            &format!(
                "UPDATE {} SET batches = batches + 1, row_count = row_count + $1 WHERE run_id = $2 AND batches = $3",
                self.runs
            ),
            &[&i64::try_from(rows).unwrap_or(i64::MAX), &self.run.id, &self.run.batches],
        )?;
        if counted != 1 {
            return Err(Failed::Refused(TAKEN.to_owned()));
        }
        Ok(tx.commit()?)
    }
}

impl RowSink for PostgresSink {
    fn name(&self) -> &'static str {
        KIND
    }

    fn chunk_rows(&self) -> usize {
        self.batch_rows
    }

    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as Arc<dyn RowEncoder>
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let Encoded::Packed(packed) = chunk else { return Err(SinkError::Foreign { sink: KIND }) };
        let all = packed.rows() as u64;
        let from = self.pass_over.min(all);
        self.pass_over -= from;
        self.handle.passed_over(from);
        if from < all {
            let bytes = packed.into_bytes();
            let foreign = SinkError::Foreign { sink: KIND };
            let Some(mut left) = copy::behind(&bytes, from) else { return Err(foreign) };
            let mut rows = all - from;
            // A chunk holds all rows that ended together, which may be more than a batch.
            while rows > 0 {
                let count = rows.min(self.batch_rows as u64);
                let Some(rest) = copy::behind(left, count) else { return Err(foreign) };
                let (batch, rest) = left.split_at(left.len() - rest.len());
                self.batch(batch, count).inspect_err(|_| self.failed = true)?;
                self.written.rows += count;
                self.written.bytes += batch.len() as u64;
                (left, rows) = (rest, rows - count);
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Written, SinkError> {
        if self.failed {
            return Err(SinkError::Incomplete { target: self.place });
        }
        if self.pass_over > 0 {
            return Err(self.error("the input has fewer rows than the run has left in the table: it is another one"));
        }
        let sql = format!("UPDATE {} SET finished = now() WHERE run_id = $1", self.runs);
        // To say so twice does no harm, so a lost connection is simply made again.
        let mut ended = Err(None);
        for _ in 0..2 {
            if self.client.is_none() {
                self.client = self.server.connect().ok();
            }
            let Some(client) = &mut self.client else { continue };
            match client.execute(&sql, &[&self.run.id]) {
                Ok(_) => {
                    ended = Ok(());
                    break;
                }
                Err(error) => {
                    ended = Err(Some(connect::problem(&error)));
                    self.client = None;
                }
            }
        }
        match ended {
            Ok(()) => Ok(self.written),
            Err(problem) => {
                let problem = problem.unwrap_or_else(|| "the connection was lost".to_owned());
                Err(self.error(&format!("the end of the run could not be entered: {problem}")))
            }
        }
    }

    fn bytes_written(&self) -> u64 {
        self.written.bytes
    }
}
