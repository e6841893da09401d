//! Flows: their identity and life, and the table that holds them.

mod base;
mod due;
mod index;
mod store;
mod table;
mod tcp;

pub use base::{FlowBase, InitiatorBy};
pub use store::{FlowRef, FlowStore, Spare};
pub use table::{FlowSettings, FlowTable};
pub use tcp::LATE_SYN;
