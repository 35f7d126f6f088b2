//! The query of a paged list.

use serde::Deserialize;

/// Entries on a page, unless the query says otherwise.
const DEFAULT_LIMIT: u32 = 100;

/// The query of a list with at most `MAX` entries on a page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery<const MAX: u32> {
    /// The `next` of the previous page.
    pub(super) after: Option<String>,
    limit: Option<Limit<MAX>>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Limit<const MAX: u32>(u32);

impl<const MAX: u32> TryFrom<String> for Limit<MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.parse() {
            Ok(limit) if (1..=MAX).contains(&limit) => Ok(Self(limit)),
            _ => Err(format!(
                "expected a whole number from 1 to {MAX}, found '{text}'"
            )),
        }
    }
}

impl<const MAX: u32> ListQuery<MAX> {
    /// Entries to read: one more than the page shows, because its presence means that another page follows.
    pub(super) fn read_limit(&self) -> u32 {
        self.limit() + 1
    }

    /// Cuts `read` to the page. Returns the `after` of the next page, the id of the last entry.
    pub(super) fn cut<T>(&self, read: &mut Vec<T>, id: impl Fn(&T) -> &str) -> Option<String> {
        let limit = self.limit() as usize;
        let goes_on = read.len() > limit;
        read.truncate(limit);
        let last = read.last().filter(|_| goes_on);
        last.map(|last| id(last).to_owned())
    }

    fn limit(&self) -> u32 {
        let asked = self.limit.as_ref();
        asked.map_or(DEFAULT_LIMIT, |Limit(limit)| *limit)
    }
}
