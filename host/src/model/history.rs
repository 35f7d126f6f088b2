//! The course of a sync over time: samples of its figures, and the moments at which its step changed.
//!
//! Times are seconds since the Unix epoch by the clock of the source, so a host whose clock jumps changes nothing.

use serde::{Deserialize, Serialize};

/// Samples of a series. A full series joins pairs, or forgets its oldest sample.
const MAX_SAMPLES: usize = 360;

/// Changes of the step that are kept; the oldest are forgotten.
const MAX_MILESTONES: usize = 500;

/// The course of a sync.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The last hour, a sample every 10 seconds.
    pub hour: Vec<Sample>,
    /// The whole sync, a sample every `run_interval` seconds.
    pub run: Vec<Sample>,
    /// Seconds between two samples of `run`; doubled whenever `run` is full.
    #[serde(rename = "runInterval")]
    pub run_interval: u32,
    /// Changes of the state or of the step, oldest first.
    pub milestones: Vec<Milestone>,
}

/// Figures of a sync at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// Newest cluster time of the source, in seconds.
    pub at: u32,
    /// Lag in seconds; `None` while it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u32>,
    /// Change events applied a second, since the previous sample.
    pub events: f64,
    /// Bytes copied a second, since the previous sample.
    pub bytes: f64,
    /// Writes of clients on the source a second, since the previous sample; `None` while they are unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes: Option<f64>,
    /// Seconds until the source's oplog rolls past the safe position; `None` while they are unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oplog: Option<u64>,
}

/// A change of the state or of the step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Milestone {
    /// Newest cluster time of the source, in seconds.
    pub at: u32,
    /// The state from then on.
    pub state: String,
    /// The step from then on, as in `info` of `/progress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
}

impl History {
    /// Seconds between two samples of the last hour.
    pub const INTERVAL: u32 = 10;

    /// Adds a sample to both series.
    pub fn push(&mut self, sample: Sample) {
        self.hour.push(sample);
        if self.hour.len() > MAX_SAMPLES {
            self.hour.remove(0);
        }
        self.run_interval = self.run_interval.max(Self::INTERVAL);
        match self.run.last_mut() {
            // Half an interval of tolerance: samples come with the beat of the source's clock.
            Some(last) if sample.at < last.at + self.run_interval - Self::INTERVAL / 2 => {
                *last = Sample {
                    at: last.at,
                    ..joined(last, &sample)
                };
            }
            _ => self.run.push(sample),
        }
        if self.run.len() > MAX_SAMPLES {
            self.run_interval *= 2;
            let pairs = self.run.chunks(2);
            self.run = pairs
                .filter_map(|pair| match pair {
                    [one, other] => Some(joined(one, other)),
                    [one] => Some(*one),
                    _ => None,
                })
                .collect();
        }
    }

    /// Notes the state and the step, and tells whether they are others than before.
    pub fn note(&mut self, milestone: Milestone) -> bool {
        let is_new = self
            .milestones
            .last()
            .is_none_or(|last| (&last.state, &last.info) != (&milestone.state, &milestone.info));
        if is_new {
            self.milestones.push(milestone);
            if self.milestones.len() > MAX_MILESTONES {
                self.milestones.remove(0);
            }
        }
        is_new
    }
}

/// A sample in place of two: the worse lag and oplog, the means of the rates.
fn joined(one: &Sample, other: &Sample) -> Sample {
    Sample {
        at: one.at,
        lag: one.lag.max(other.lag),
        events: f64::midpoint(one.events, other.events),
        bytes: f64::midpoint(one.bytes, other.bytes),
        writes: match (one.writes, other.writes) {
            (Some(one), Some(other)) => Some(f64::midpoint(one, other)),
            (one, other) => one.or(other),
        },
        oplog: match (one.oplog, other.oplog) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u32) -> Sample {
        Sample {
            at,
            lag: Some(at % 7),
            events: 10.0,
            ..Sample::default()
        }
    }

    #[test]
    fn a_long_sync_is_kept_whole_in_bounded_memory() {
        let mut history = History::default();
        // A week.
        for tick in 0..60_480 {
            history.push(sample(tick * History::INTERVAL));
        }
        assert_eq!(history.hour.len(), MAX_SAMPLES);
        assert!((MAX_SAMPLES / 2..=MAX_SAMPLES).contains(&history.run.len()));
        assert_eq!(history.run.first().map(|first| first.at), Some(0));
        let last = history.run.last().map_or(0, |last| last.at);
        assert!(last >= 604_790 - 2 * history.run_interval, "{last}");
        assert!(history.run.iter().all(|sample| sample.events == 10.0));
        // The worst lag is never averaged away.
        assert!(history.run.iter().all(|sample| sample.lag == Some(6)));
    }

    #[test]
    fn an_unchanged_step_is_noted_once() {
        let mut history = History::default();
        let milestone = |at, info: &str| Milestone {
            at,
            state: "RUNNING".to_owned(),
            info: Some(info.to_owned()),
        };
        assert!(history.note(milestone(1, "collection copy")));
        assert!(!history.note(milestone(2, "collection copy")));
        assert!(history.note(milestone(3, "change event application")));
        assert_eq!(history.milestones.len(), 2);
    }
}
