//! The source's log: events of a few documents.

/// Documents, by key.
pub const KEYS: usize = 2;

/// A document that is missing; otherwise its version: the event that wrote it, counted from 2, or 1.
pub const MISSING: u8 = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    Insert(usize),
    Update(usize),
    Delete(usize),
}

impl Event {
    pub(crate) fn key(self) -> usize {
        match self {
            Self::Insert(key) | Self::Update(key) | Self::Delete(key) => key,
        }
    }
}

/// The documents after the first events of a log. Initially there is only the document with key 0.
pub(crate) fn documents(log: &[Event], events: usize) -> [u8; KEYS] {
    let mut documents = [MISSING; KEYS];
    documents[0] = 1;
    for (version, event) in (2..).zip(log.iter().take(events)) {
        documents[event.key()] = match event {
            Event::Insert(_) | Event::Update(_) => version,
            Event::Delete(_) => MISSING,
        };
    }
    documents
}
