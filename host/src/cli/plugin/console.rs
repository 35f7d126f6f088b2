//! The output of commands, with colours on a terminal.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;

/// The use of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// Colours on a terminal only.
    #[default]
    Auto,
    Always,
    Never,
}

/// A colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Red,
    Green,
    Yellow,
    Faint,
}

/// Standard output, or the buffer of a test.
pub(super) struct Console {
    out: Box<dyn Write>,
    terminal: bool,
    colored: bool,
}

impl Console {
    pub(super) fn of_process() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self {
            out: Box::new(io::BufWriter::new(stdout)),
            terminal,
            colored: terminal,
        }
    }

    pub(super) fn set_color(&mut self, color: Color) {
        self.colored = match color {
            Color::Auto => self.terminal,
            Color::Always => true,
            Color::Never => false,
        };
    }

    pub(super) fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.out, "{}", text.as_ref())
    }

    /// Hands over what was printed, before a wait.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The text in a colour, if colours are used.
    pub(super) fn paint(&self, paint: Paint, text: &str) -> String {
        if !self.colored {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Red => 31,
            Paint::Green => 32,
            Paint::Yellow => 33,
            Paint::Faint => 2,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// A number of bytes with a unit.
pub(super) fn size(bytes: usize) -> String {
    let kib = bytes as f64 / 1024.0;
    if bytes < 1024 {
        format!("{bytes} B")
    } else if kib < 1024.0 {
        format!("{kib:.1} KiB")
    } else {
        format!("{:.1} MiB", kib / 1024.0)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Fails if the reader has closed the pipe, which then misses nothing.
        _ = self.out.flush();
    }
}
