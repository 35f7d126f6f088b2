//! The comparison of two builds of a plugin, document by document: what each would write.

use std::fmt;

use anyhow::{Context, Result};
use bson::RawDocument;

use super::answer::Answer;
use super::command::Style;
use super::console::{Console, Paint};
use super::document_paths::paths;
use super::document_text::{difference, id_of};

/// Most paths that are named of a document.
const PATHS: usize = 8;

/// How a difference is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing {
    /// Most differences to show.
    pub(super) most: usize,
    /// The style of contents; none without contents.
    pub(super) contents: Option<Style>,
}

/// Inputs by the difference of their answers.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Both write other contents.
    contents: usize,
    /// One writes a document, or renames, where the other does not.
    outcome: usize,
    same: usize,
}

impl Tally {
    /// Inputs with different answers.
    pub(super) fn different(&self) -> usize {
        self.contents + self.outcome
    }

    pub(super) fn all(&self) -> usize {
        self.different() + self.same
    }

    /// Counts an input, and returns whether its difference is to be shown.
    pub(super) fn count(&mut self, difference: Option<&Difference>, listing: Listing) -> bool {
        match difference {
            None => self.same += 1,
            Some(Difference::Contents(_)) => self.contents += 1,
            Some(Difference::Outcome) => self.outcome += 1,
        }
        difference.is_some() && self.different() <= listing.most
    }

    /// Counts a document, and shows the difference of its answers.
    pub(super) fn add(
        &mut self,
        document: &RawDocument,
        [old, new]: [&Answer; 2],
        listing: Listing,
        console: &mut Console,
    ) -> Result<()> {
        let Some(found) = Difference::of(document, old, new) else {
            self.same += 1;
            return Ok(());
        };
        if !self.count(Some(&found), listing) {
            return Ok(());
        }
        let what = match found {
            Difference::Contents(paths) => named(&paths),
            Difference::Outcome => format!("{}, now {}", word(old), word(new)),
        };
        let line = format!("differs   _id {}: {what}", id_of(document));
        console.line(console.paint(Paint::Yellow, &line))?;
        let written = (old.written(document), new.written(document));
        if let (Some(style), (Some(old), Some(new))) = (listing.contents, written) {
            let old = RawDocument::from_bytes(old).context("read a replacement")?;
            let new = RawDocument::from_bytes(new).context("read a replacement")?;
            for line in difference(console, style, old, new) {
                console.line(line)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            contents,
            outcome,
            same,
        } = self;
        write!(
            f,
            "{same} the same, {contents} with other contents, {outcome} with another outcome"
        )
    }
}

/// The difference of two answers for one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// Both write a document, with other contents at these paths.
    Contents(Vec<String>),
    Outcome,
}

impl Difference {
    /// Two answers are the same if both write the same bytes, or both nothing: a replacement by an equal document is as
    /// good as none, and two refusals are equal, whatever their reasons.
    fn of(document: &RawDocument, old: &Answer, new: &Answer) -> Option<Self> {
        let fails = |answer: &Answer| matches!(answer, Answer::Refused(_) | Answer::Broken(_));
        match (old.written(document), new.written(document)) {
            (Some(old), Some(new)) if old == new => None,
            (Some(old), Some(new)) => Some(Self::Contents(paths(old, new))),
            (None, None) if fails(old) == fails(new) => None,
            _ => Some(Self::Outcome),
        }
    }
}

fn named(paths: &[String]) -> String {
    let mut text = paths.iter().take(PATHS).cloned().collect::<Vec<_>>();
    if paths.len() > PATHS {
        text.push(format!("and {} more", paths.len() - PATHS));
    }
    text.join(", ")
}

fn word(answer: &Answer) -> String {
    match answer {
        Answer::Kept => "kept".to_owned(),
        Answer::Dropped => "dropped".to_owned(),
        Answer::Replaced(_) => "replaced".to_owned(),
        Answer::Refused(reason) | Answer::Broken(reason) => format!("an error ({reason})"),
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn what_would_be_written_is_compared() {
        let document = rawdoc! { "_id": 1, "a": 1 };
        let (equal, other) = (document.clone(), rawdoc! { "_id": 1, "a": 2 });
        let replaced = |by: &RawDocument| Answer::Replaced(by.as_bytes().to_vec());
        let refused = |reason: &str| Answer::Refused(reason.to_owned());
        let contents = Some(Difference::Contents(vec!["a".to_owned()]));
        for (old, new, expected) in [
            (Answer::Kept, Answer::Kept, None),
            (Answer::Kept, replaced(&equal), None),
            (Answer::Kept, replaced(&other), contents.clone()),
            (replaced(&other), replaced(&equal), contents),
            (Answer::Kept, Answer::Dropped, Some(Difference::Outcome)),
            (refused("a"), refused("b"), None),
            (refused("a"), Answer::Broken("b".to_owned()), None),
            (Answer::Dropped, refused("a"), Some(Difference::Outcome)),
        ] {
            assert_eq!(
                Difference::of(&document, &old, &new),
                expected,
                "{old:?} {new:?}"
            );
        }
    }

    #[test]
    fn many_paths_are_counted() {
        let paths: Vec<_> = (0..PATHS + 2).map(|n| format!("f{n}")).collect();
        assert!(
            named(&paths).ends_with("f7, and 2 more"),
            "{}",
            named(&paths)
        );
    }
}
