//! Positions in a source cluster's history.
//!
//! A cluster time is comparable; a resume token is opaque and resumes a stream. Invariant: a [`Position`] holds
//! the token and the time of the same event.

use std::fmt;

use bson::{RawDocumentBuf, Timestamp};
use serde::{Deserialize, Serialize};

/// A logical time of a cluster: seconds, and an ordinal within the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterTime {
    /// Seconds since the Unix epoch, by the clock of the cluster.
    pub seconds: u32,
    /// Ordinal of the operation within the second (MongoDB manual, "BSON Types", "Timestamps").
    pub increment: u32,
}

impl ClusterTime {
    /// The time as a number with the same order: BSON's form of a timestamp.
    pub fn to_bits(self) -> u64 {
        u64::from(self.seconds) << 32 | u64::from(self.increment)
    }

    /// The time of a number from [`Self::to_bits`].
    #[expect(clippy::cast_possible_truncation, reason = "the halves of the number")]
    pub fn from_bits(bits: u64) -> Self {
        Self {
            seconds: (bits >> 32) as u32,
            increment: bits as u32,
        }
    }

    /// Seconds by which `newer` is ahead; 0 if it is not ahead.
    pub fn seconds_behind(self, newer: Self) -> u32 {
        newer.seconds.saturating_sub(self.seconds)
    }
}

impl From<Timestamp> for ClusterTime {
    fn from(t: Timestamp) -> Self {
        Self {
            seconds: t.time,
            increment: t.increment,
        }
    }
}

impl From<ClusterTime> for Timestamp {
    fn from(t: ClusterTime) -> Self {
        Self {
            time: t.seconds,
            increment: t.increment,
        }
    }
}

impl From<ClusterTime> for bson::Bson {
    fn from(t: ClusterTime) -> Self {
        Self::Timestamp(t.into())
    }
}

impl fmt::Display for ClusterTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seconds, self.increment)
    }
}

impl Serialize for ClusterTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Timestamp::from(*self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ClusterTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Timestamp::deserialize(deserializer).map(Self::from)
    }
}

/// A position in a change stream: a resume token, and the cluster time of its event. All events up to the
/// token's event precede the position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// Token for `resumeAfter`: the `_id` of an event, or the `postBatchResumeToken` of a batch.
    pub resume_token: RawDocumentBuf,
    /// Cluster time in the token.
    pub cluster_time: ClusterTime,
}

impl Position {
    /// Reads the cluster time of a resume token. Its `_data` is a KeyString in hex that begins with the type
    /// byte of a timestamp (`82`) and the timestamp (server: `ResumeToken`, `key_string.cpp`).
    pub fn from_token(resume_token: RawDocumentBuf) -> Option<Self> {
        let data = resume_token.get_str("_data").ok()?;
        let hex = data.strip_prefix("82")?;
        let seconds = u32::from_str_radix(hex.get(..8)?, 16).ok()?;
        let increment = u32::from_str_radix(hex.get(8..16)?, 16).ok()?;
        Some(Self {
            cluster_time: ClusterTime { seconds, increment },
            resume_token,
        })
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn a_tokens_cluster_time_is_read_from_its_data() {
        let token = rawdoc! { "_data": "826553F5A1000000032B0229296E04" };
        let position = Position::from_token(token).expect("a token");
        assert_eq!(
            position.cluster_time,
            ClusterTime {
                seconds: 0x6553_F5A1,
                increment: 3
            }
        );
        assert!(Position::from_token(rawdoc! { "_data": "00" }).is_none());
        assert!(Position::from_token(rawdoc! { "_data": "82zz53F5A100000003" }).is_none());
    }

    #[test]
    fn cluster_times_order_by_seconds_first() {
        let (a, b) = (
            ClusterTime {
                seconds: 1,
                increment: 9,
            },
            ClusterTime {
                seconds: 2,
                increment: 1,
            },
        );
        assert!(a < b);
        assert_eq!(a.seconds_behind(b), 1);
        assert_eq!(b.seconds_behind(a), 0);
    }
}
