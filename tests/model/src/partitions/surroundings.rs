//! Steps of the source and of the network.

use super::{Action, Fault, KEYS, MISSING, Message, Partitions, State, Worker};

impl Partitions {
    pub(super) fn surroundings(&self, state: &State, to: &mut Vec<(Action, State)>) {
        if state.source < self.log.len() {
            let mut next = state.clone();
            next.source = self.time(state.source + 1);
            to.push((Action::Happens(next.source), next));
        }
        if state.rollovers > 0 && state.lost < state.source {
            let mut next = state.clone();
            next.rollovers -= 1;
            next.lost = state.source;
            to.push((Action::RollsOver, next));
        }
        if state.regains && state.lost > 0 {
            let mut next = state.clone();
            next.regains = false;
            next.lost = 0;
            to.push((Action::Regains, next));
        }
        for at in 0..state.network.len() {
            self.deliver(state, at, to);
        }
    }

    fn deliver(&self, state: &State, at: usize, to: &mut Vec<(Action, State)>) {
        let mut next = state.clone();
        let message = next.network.remove(at);
        let Message { host, key, .. } = message;
        let (mut document, mut finds) = (key, false);
        let is_first = self.collection(key) == 0;
        if self.is(Fault::InsertByName) {
            // The second collection's first document has the same `_id` and the name.
            if is_first && !state.exists[0] && state.exists[1] {
                document = self.first_keys() + key;
            }
            finds = document < KEYS && state.exists[self.collection(document)];
        } else if state.exists[self.collection(key)] {
            finds = !is_first || message.name == state.name;
        }
        if finds && (next.documents[document] == MISSING || message.replaces) {
            next.documents[document] = message.version;
        }
        if message.live
            && let Worker::Waits(job) = next.hosts[host].worker
        {
            let partition = &mut next.hosts[host].places[job.place];
            // A collection that is gone ends its partitions.
            partition.next = if finds {
                self.after(key, partition.upper)
            } else {
                partition.upper
            };
            next.hosts[host].worker = Worker::Reads(job);
        }
        to.push((
            Action::Deliver(host, key, message.version, message.live),
            next,
        ));
    }

    /// The next key that the source ever has.
    pub(super) fn after(&self, key: usize, upper: usize) -> usize {
        (key + 1..upper)
            .find(|key| self.is_used(*key))
            .unwrap_or(upper)
    }
}
