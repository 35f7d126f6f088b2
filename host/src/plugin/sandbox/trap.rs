//! Traps: how a guest ended, for the operator and the plugin author.

use std::fmt;

use wasmtime::{Global, Instance, Memory, Store, Val, WasmBacktrace, WasmCoreDump};

use super::guest::Guest;

/// The core global with the address of a guest's last panic message: its length as a `u32`, followed by the text. Not
/// part of the contract: panics of a guest without it have no message.
const PANIC_GLOBAL: &str = "tidegate_panic";

/// Most bytes of a panic message that are passed on.
const MESSAGE_BYTES: usize = 400;

/// The kind of a trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrapKind {
    /// The call exceeded its deadline.
    Deadline,
    /// The guest requested more memory than its cap.
    Memory,
    /// The guest's stack overflowed.
    Stack,
    /// The guest executed `unreachable`, as panics of Rust do.
    Panic,
    /// The output exceeded its limit.
    Output,
    /// An access out of bounds, a division by zero, and similar.
    Other,
}

impl fmt::Display for TrapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "deadline exceeded",
            Self::Memory => "memory limit exceeded",
            Self::Stack => "stack overflow",
            Self::Panic => "panic",
            Self::Output => "output limit exceeded",
            Self::Other => "invalid operation",
        })
    }
}

/// The report of a trap.
#[derive(Clone, Debug)]
pub(in super::super) struct Trap {
    pub(in super::super) kind: TrapKind,
    /// The panic message, or the cause of an invalid operation.
    pub(in super::super) message: Option<String>,
    /// The engine's message and the stack of the guest. For the log.
    pub(in super::super) backtrace: String,
}

impl Trap {
    /// Reads the report from the store of the ended guest.
    pub(in super::super) fn read(error: &wasmtime::Error, store: &mut Store<Guest>) -> Self {
        let kind = kind_of(error, store.data());
        let message = match kind {
            TrapKind::Panic => last_panic(error, store),
            TrapKind::Other => Some(error.root_cause().to_string()),
            _ => None,
        };
        let frames = error.downcast_ref::<WasmBacktrace>();
        let frames = frames.map(ToString::to_string).unwrap_or_default();
        Self {
            kind,
            message,
            backtrace: format!("{}\n{frames}", error.root_cause()),
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{} ({message})", self.kind),
            None => write!(f, "{}", self.kind),
        }
    }
}

/// A failed allocation ends in a panic in Rust guests, so the memory cap is checked before the kind of the trap.
fn kind_of(error: &wasmtime::Error, guest: &Guest) -> TrapKind {
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::Interrupt) => TrapKind::Deadline,
        Some(wasmtime::Trap::StackOverflow) => TrapKind::Stack,
        _ if guest.wanted_more() => TrapKind::Memory,
        Some(wasmtime::Trap::UnreachableCodeReached) => TrapKind::Panic,
        None if is_output(error) => TrapKind::Output,
        _ => TrapKind::Other,
    }
}

/// The type of this error is private to wasmtime, so its text is matched.
fn is_output(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("hostcall")
}

/// The message of the panic that ended the guest, if the guest exports [`PANIC_GLOBAL`].
fn last_panic(error: &wasmtime::Error, store: &mut Store<Guest>) -> Option<String> {
    let dump = error.downcast_ref::<WasmCoreDump>()?;
    dump.instances()
        .iter()
        .find_map(|instance| panic_of(instance, store))
}

fn panic_of(instance: &Instance, store: &mut Store<Guest>) -> Option<String> {
    let global: Global = instance.get_global(&mut *store, PANIC_GLOBAL)?;
    let memory: Memory = instance.get_memory(&mut *store, "memory")?;
    let Val::I32(address) = global.get(&mut *store) else {
        return None;
    };
    let text = memory
        .data(&*store)
        .get(usize::try_from(address.cast_unsigned()).ok()?..)?;
    let (length, text) = text.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let text = text.get(..length.min(MESSAGE_BYTES))?;
    (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
}
