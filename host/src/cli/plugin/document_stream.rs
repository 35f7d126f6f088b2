//! The documents of `--in`, part by part: a collection of any size is compared in bounded memory. A file of JSON is read
//! as a whole.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::Result;
use bson::RawDocumentBuf;
use tokio::runtime::Runtime;

use crate::model::Namespace;
use crate::mongo::sample::Sample;

use super::documents;

/// Most documents of a part.
const PART: usize = 1_000;

/// Documents, and the namespace that the plugin is told.
pub(super) struct DocumentStream {
    pub(super) namespace: Namespace,
    /// Documents that are left of the limit.
    left: usize,
    source: Source,
}

enum Source {
    Json(std::vec::IntoIter<RawDocumentBuf>),
    Bson {
        path: PathBuf,
        reader: BufReader<File>,
        read: usize,
    },
    Collection {
        runtime: Runtime,
        sample: Box<Sample>,
    },
}

impl DocumentStream {
    /// Opens `--in`, for at most `limit` documents.
    pub(super) fn open(input: &str, limit: usize) -> Result<Self> {
        if documents::is_connection_string(input) {
            let (uri, namespace) = documents::collection(input)?;
            let runtime = documents::runtime()?;
            let sample = runtime.block_on(Sample::find(&uri, &namespace, limit))?;
            return Ok(Self {
                namespace,
                left: limit,
                source: Source::Collection {
                    runtime,
                    sample: Box::new(sample),
                },
            });
        }
        let path = Path::new(input);
        let reader = documents::open_file(path)?;
        let source = if documents::is_bson(path) {
            Source::Bson {
                path: path.to_owned(),
                reader,
                read: 0,
            }
        } else {
            let all = documents::from_json(reader, limit);
            let all = all.map_err(|error| documents::unreadable(path, &error))?;
            Source::Json(all.into_iter())
        };
        Ok(Self {
            namespace: documents::namespace_of_files(),
            left: limit,
            source,
        })
    }

    /// The next documents; none at the end.
    pub(super) fn next(&mut self) -> Result<Vec<RawDocumentBuf>> {
        let count = PART.min(self.left);
        let part = match &mut self.source {
            Source::Json(documents) => documents.take(count).collect(),
            Source::Bson { path, reader, read } => {
                let part = documents::from_bson(reader, *read, count);
                let part = part.map_err(|error| documents::unreadable(path, &error))?;
                *read += part.len();
                part
            }
            // A limit of zero would be none.
            Source::Collection { .. } if count == 0 => Vec::new(),
            Source::Collection { runtime, sample } => runtime.block_on(sample.next(count))?,
        };
        self.left -= part.len();
        Ok(part)
    }
}
