//! The source at each of its times, and the rules that are in force.

use super::{Event, Fault, KEYS, MISSING, Partitions, State};

impl Partitions {
    pub(super) fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The end of the first collection's keys.
    pub(super) fn first_keys(&self) -> usize {
        self.bounds.last().copied().unwrap_or(KEYS)
    }

    pub(super) fn collection(&self, key: usize) -> usize {
        usize::from(key >= self.first_keys())
    }

    /// The document after the first events of the log.
    pub(super) fn version(&self, key: usize, events: usize) -> u8 {
        let mut version = u8::from(self.documents.contains(&key));
        for (number, event) in (2..).zip(self.log.iter().take(events)) {
            match *event {
                Event::Insert(changed) | Event::Update(changed) if changed == key => {
                    version = number;
                }
                Event::Delete(deleted) if deleted == key => version = MISSING,
                Event::Drop if self.collection(key) == 0 => version = MISSING,
                _ => {}
            }
        }
        version
    }

    /// Whether the source ever has the document.
    pub(super) fn is_used(&self, key: usize) -> bool {
        (0..=self.log.len()).any(|events| self.version(key, events) != MISSING)
    }

    /// The time of the newest of the first `events`: events of one transaction have one time.
    pub(super) fn time(&self, events: usize) -> usize {
        match events {
            0 => 0,
            _ => events.max(self.together),
        }
    }

    pub(super) fn name_at(&self, events: usize) -> u8 {
        let events = self.log.iter().take(events);
        events.map(|event| u8::from(*event == Event::Rename)).sum()
    }

    /// Whether the destination is as the source at the end of the log.
    pub(super) fn is_equal(&self, state: &State) -> bool {
        let end = self.log.len();
        let [first, second] = state.exists;
        (0..KEYS).all(|key| state.documents[key] == self.version(key, end))
            && first != self.has(Event::Drop, end)
            && second == (self.has(Event::Create, end) || self.has(Event::Enter, end))
            && (!first || state.name == self.name_at(end))
    }

    pub(super) fn has(&self, event: Event, events: usize) -> bool {
        self.log.iter().take(events).any(|known| *known == event)
    }
}
