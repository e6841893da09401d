//! A Kafka topic as a place for rows. Every row ends as delivered (acknowledged by all in-sync replicas) or as failed, by reason; the
//! end of the output is reached when each has one of these fates, and is an error when one has failed.

mod config;
mod courier;
mod reason;
mod spool;
mod start;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Field, Schema, SchemaRef};
use joyfuljay_core::engine::CHUNK_ROWS;

use self::config::Properties;
use self::courier::Courier;
use super::{MessageForm, TopicOptions};
use crate::encode::{self, AsIs, Encoded, Format, RowEncoder};
use crate::sink::{RowSink, SinkError, TEXT_CHUNK_ROWS, Written};

/// Label of metrics.
const NAME: &str = "kafka";

/// Opens a topic for rows of a schema.
///
/// # Errors
/// When a property is not known, the login is refused, brokers or topic are not there (where they have to be), or the key is no column.
pub fn open(options: &TopicOptions, schema: SchemaRef) -> Result<Box<dyn RowSink>, SinkError> {
    let rows: Rows = match options.form {
        MessageForm::Json => {
            encode::check_schema(Format::Json, &schema)?;
            Rows::Each(encode::row_encoder(Format::Json, schema, options.key.as_deref())?)
        }
        MessageForm::Arrow => match &options.key {
            Some(_) => {
                return Err(SinkError::KafkaConfig {
                    message: "a message of arrow has rows of several keys: leave the key out".into(),
                });
            }
            None => Rows::Batches { schema: bare(&schema), size: options.batch_size.clamp(1, CHUNK_ROWS) },
        },
    };
    let mut properties = Properties::new(options)?;
    if let Some(bytes) = start::look(options, &properties)? {
        // A batch above the topic's limit would be refused with all its rows.
        properties.set_default("batch.size", bytes.to_string());
    }
    Ok(Box::new(KafkaSink { rows, courier: Courier::start(options, properties)?, written: Written::default() }))
}

/// How rows become messages.
enum Rows {
    /// Each is one.
    Each(Arc<dyn RowEncoder>),
    /// So many are one.
    Batches { schema: SchemaRef, size: usize },
}

struct KafkaSink {
    rows: Rows,
    courier: Courier,
    written: Written,
}

impl RowSink for KafkaSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn chunk_rows(&self) -> usize {
        match self.rows {
            Rows::Each(_) => TEXT_CHUNK_ROWS,
            // Whole messages.
            Rows::Batches { size, .. } => CHUNK_ROWS / size * size,
        }
    }

    fn encoder(&self) -> Arc<dyn RowEncoder> {
        match &self.rows {
            Rows::Each(encoder) => Arc::clone(encoder),
            Rows::Batches { .. } => Arc::new(AsIs::default()),
        }
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        match &self.rows {
            Rows::Each(_) => {
                let rows = chunk.into_rows(NAME)?;
                for message in rows.messages() {
                    self.courier.send(message.key, message.value, 1)?;
                }
                self.written.rows += rows.rows() as u64;
                self.written.bytes += rows.bytes().len() as u64;
            }
            Rows::Batches { schema, size } => {
                let batch = chunk.into_batch(NAME)?;
                for from in (0..batch.num_rows()).step_by(*size) {
                    let rows = batch.slice(from, (*size).min(batch.num_rows() - from));
                    let value = stream(schema, &rows)?;
                    self.courier.send(None, &value, rows.num_rows() as u64)?;
                    self.written.rows += rows.num_rows() as u64;
                    self.written.bytes += value.len() as u64;
                }
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written, SinkError> {
        self.courier.finish()?;
        Ok(self.written)
    }

    fn bytes_written(&self) -> u64 {
        self.written.bytes
    }
}

/// The schema without metadata, which is as large as many rows and would be in every message.
fn bare(schema: &Schema) -> SchemaRef {
    let field = |f: &Arc<Field>| f.as_ref().clone().with_metadata(arrow_schema::Metadata::default());
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// Rows as one stream of Arrow IPC.
fn stream(schema: &SchemaRef, rows: &RecordBatch) -> Result<Vec<u8>, SinkError> {
    let write = || {
        let rows = RecordBatch::try_new(Arc::clone(schema), rows.columns().to_vec())?;
        let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
        writer.write(&rows)?;
        writer.into_inner()
    };
    write().map_err(|e| SinkError::arrow(NAME, e))
}
