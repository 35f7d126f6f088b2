//! How a guest ended, told apart and written down for its author.

use std::fmt;

use wasmtime::{Global, Instance, Memory, Store, Val, WasmBacktrace, WasmCoreDump};

use super::guest::Guest;

/// A core global by which a guest says where its last panic is written: its
/// length as a u32, then that many bytes of text. No part of the contract: a
/// guest without it has panics without a message.
const PANIC_GLOBAL: &str = "tidegate_panic";

/// The longest message that is passed on.
const MESSAGE_BYTES: usize = 400;

/// How a guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrapKind {
    /// The call took longer than it may.
    Deadline,
    /// It wanted more memory than it may have.
    Memory,
    /// Its calls went too deep.
    Stack,
    /// It ended itself; Rust's panics do.
    Panic,
    /// Its answer was larger than it may be.
    Output,
    /// An access out of bounds, a division by zero, and their like.
    Other,
}

impl fmt::Display for TrapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "a passed deadline",
            Self::Memory => "its memory cap reached",
            Self::Stack => "a stack overflow",
            Self::Panic => "a panic",
            Self::Output => "an answer that is too large",
            Self::Other => "an invalid operation",
        })
    }
}

/// The report of one trap.
#[derive(Clone, Debug)]
pub(in super::super) struct Trap {
    pub(in super::super) kind: TrapKind,
    /// What the guest said of it.
    pub(in super::super) message: Option<String>,
    /// What the engine says, and where the guest was. For the log.
    pub(in super::super) backtrace: String,
}

impl Trap {
    /// Reads the report out of what is left of the guest.
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

/// Rust guests end an allocation that fails with a panic, so the limiter is asked
/// before the trap.
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

/// wasmtime keeps this error's type to itself.
fn is_output(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("hostcall")
}

/// The text of the panic that ended the guest, if it is of the kind that says.
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
