//! The statements of update and delete commands.

use super::coalesce::{Base, Slot};
use crate::{
    model::raw::{Writer, kind},
    mongo::write::{WriteCommand, write_query},
};

/// Which statement of an update command belongs to which slot.
pub(super) struct Statement {
    pub(super) slot: usize,
    pub(super) is_delta: bool,
}

pub(super) fn push_updates(
    command: &mut WriteCommand,
    statements: &mut Vec<Statement>,
    slot: &Slot<'_>,
    at: usize,
) {
    if let Base::Put(document) = &slot.base {
        command.push_replacement(slot.id_kind, slot.id, document);
        statements.push(Statement {
            slot: at,
            is_delta: false,
        });
    }
    for delta in &slot.deltas {
        command.push_with(|writer| {
            write_query(writer, slot.id_kind, slot.id);
            delta.write(writer);
        });
        statements.push(Statement {
            slot: at,
            is_delta: true,
        });
    }
}

pub(super) fn write_delete(writer: &mut Writer, id_kind: u8, id: &[u8]) {
    write_query(writer, id_kind, id);
    writer.value(kind::INT32, b"limit", &1_i32.to_le_bytes());
}
