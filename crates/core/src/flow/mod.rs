//! Flows: their identity and life, and the table that holds them.

mod base;
mod due;
mod index;
mod store;
mod table;

pub use base::FlowBase;
pub use store::{FlowRef, FlowStore};
pub use table::{FlowSettings, FlowTable};
