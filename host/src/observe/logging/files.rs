//! Log files in a directory: a new file each day, and after each rotation.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::fmt::MakeWriter;

use crate::model::{ErrorName, OperatorError};

/// Number of kept log files.
const LOG_FILES_KEPT: usize = 30;

const PREFIX: &str = "tidegate";
const SUFFIX: &str = "log";

/// The files of a log. Clones write to the same file.
#[derive(Clone)]
pub(super) struct LogFiles(Arc<Directory>);

struct Directory {
    path: PathBuf,
    current: RwLock<RollingFileAppender>,
}

/// The current file, locked for a line.
pub(super) struct CurrentFile<'a>(RwLockReadGuard<'a, RollingFileAppender>);

impl LogFiles {
    pub(super) fn open(path: &Path) -> Result<Self, OperatorError> {
        let current = RwLock::new(appender(path)?);
        Ok(Self(Arc::new(Directory {
            path: path.to_owned(),
            current,
        })))
    }

    /// Renames the newest day's file to a name with the time, and begins a new file. Returns the name; `None` if
    /// another program has moved the file.
    pub(super) fn rotate(&self) -> Result<Option<PathBuf>, OperatorError> {
        let directory = &self.0.path;
        let mut current = self.0.current.write();
        let renamed = rename_newest(directory).map_err(|error| not_writable(directory, &error))?;
        *current = appender(directory)?;
        Ok(renamed)
    }
}

impl<'a> MakeWriter<'a> for LogFiles {
    type Writer = CurrentFile<'a>;

    fn make_writer(&'a self) -> CurrentFile<'a> {
        CurrentFile(self.0.current.read())
    }
}

impl io::Write for CurrentFile<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.make_writer().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.make_writer().flush()
    }
}

fn appender(path: &Path) -> Result<RollingFileAppender, OperatorError> {
    // The appender lists old files first, and would report a missing directory itself.
    fs::create_dir_all(path).map_err(|error| not_writable(path, &error))?;
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(PREFIX)
        .filename_suffix(SUFFIX)
        .max_log_files(LOG_FILES_KEPT)
        .build(path)
        .map_err(|error| not_writable(path, &error))
}

/// Renames `tidegate.2026-11-27.log` to `tidegate.2026-11-27T07-12-38.123Z.log`.
fn rename_newest(directory: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest: Option<String> = None;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if is_of_a_day(&name) {
            newest = newest.max(Some(name));
        }
    }
    let Some(newest) = newest else {
        return Ok(None);
    };
    let now = bson::DateTime::now().try_to_rfc3339_string();
    let now = now.map_err(io::Error::other)?.replace(':', "-");
    let to = free_name(directory, &now)?;
    fs::rename(directory.join(newest), &to)?;
    Ok(Some(to))
}

/// An unused name: two rotations may happen in the same millisecond.
fn free_name(directory: &Path, now: &str) -> io::Result<PathBuf> {
    let mut to = directory.join(format!("{PREFIX}.{now}.{SUFFIX}"));
    let mut more = 1;
    while to.try_exists()? {
        to = directory.join(format!("{PREFIX}.{now}-{more}.{SUFFIX}"));
        more += 1;
    }
    Ok(to)
}

/// True for `tidegate.2026-11-27.log`.
fn is_of_a_day(name: &str) -> bool {
    let day = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX))
        .and_then(|rest| rest.strip_prefix('.')?.strip_suffix('.'));
    day.is_some_and(|day| {
        day.len() == "2026-11-27".len() && day.bytes().all(|b| b.is_ascii_digit() || b == b'-')
    })
}

fn not_writable(path: &Path, error: &dyn std::error::Error) -> OperatorError {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let what = cause.to_string();
    let why = if what.contains("File exists") {
        "it is a file, or a file stands where a directory is needed".to_owned()
    } else {
        what
    };
    OperatorError::new(
        ErrorName::LogPathNotWritable,
        format!(
            "logPath '{}' cannot be written to: {why}. Give a directory that this user may write.",
            path.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_path_that_is_no_directory_is_refused_by_name() {
        let error = LogFiles::open(Path::new("/dev/null/logs"))
            .err()
            .expect("refused");
        assert_eq!(error.name, ErrorName::LogPathNotWritable);
        assert!(error.message.contains("/dev/null/logs"), "{error}");
    }

    #[test]
    fn f62_a_file_in_place_of_the_directory_is_told_in_words() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = LogFiles::open(file.path()).err().expect("refused");
        assert_eq!(error.name, ErrorName::LogPathNotWritable);
        assert!(error.message.contains("it is a file"), "{error}");
    }

    #[test]
    fn f52_a_rotation_begins_a_new_file_and_keeps_the_old_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = LogFiles::open(directory.path()).expect("opened");
        files.make_writer().write_all(b"before\n").expect("written");
        let renamed = files.rotate().expect("rotated").expect("a file");
        files.make_writer().write_all(b"after\n").expect("written");
        assert_eq!(fs::read_to_string(&renamed).expect("kept"), "before\n");
        let again = files.rotate().expect("rotated").expect("a file");
        assert_eq!(fs::read_to_string(&again).expect("kept"), "after\n");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 3);
    }

    /// logrotate moves the file before it sends the signal.
    #[test]
    fn f52_a_file_that_was_moved_away_is_begun_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = LogFiles::open(directory.path()).expect("opened");
        let entry = fs::read_dir(directory.path())
            .expect("listed")
            .next()
            .expect("a file");
        let day = entry.expect("an entry").path();
        fs::rename(&day, directory.path().join("moved")).expect("moved");
        assert_eq!(files.rotate().expect("rotated"), None);
        files.make_writer().write_all(b"after\n").expect("written");
        assert_eq!(fs::read_to_string(&day).expect("a new one"), "after\n");
    }
}
