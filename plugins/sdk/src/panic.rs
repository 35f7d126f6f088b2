//! Leaves the location of the last panic in memory for the host, because a component cannot print.

use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

const TEXT_BYTES: usize = 400;

/// The memory that the host reads: a length, followed by the text.
#[repr(C)]
pub struct LastPanic {
    length: AtomicU32,
    text: [AtomicU8; TEXT_BYTES],
}

#[expect(unsafe_code, reason = "an exported name: the host looks for it")]
#[unsafe(export_name = "tidegate_panic")]
pub static LAST_PANIC: LastPanic = LastPanic {
    length: AtomicU32::new(0),
    text: [const { AtomicU8::new(0) }; TEXT_BYTES],
};

/// Installs the panic hook. It records the location, and the message only if that is a fixed text: a formatted
/// message may quote a document.
pub fn remember_panics() {
    std::panic::set_hook(Box::new(remember));
}

fn remember(panic: &PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let message = panic.payload().downcast_ref::<&str>().unwrap_or(&"");
    let text = format!("{place} {message}");
    let text = text.trim_end().bytes();
    let length = text
        .zip(&LAST_PANIC.text)
        .map(|(byte, place)| place.store(byte, Relaxed))
        .count();
    LAST_PANIC
        .length
        .store(u32::try_from(length).unwrap_or(0), Relaxed);
}
