//! Replies of receivers.

/// Most bytes of a reply that are read.
pub(super) const MAX_REPLY_BYTES: usize = 4096;
/// Most characters of a receiver's reason in a message.
const MAX_REASON: usize = 300;

/// The reply of a receiver.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HookReply {
    /// Received; and no objection to a commit.
    Accepted,
    /// An objection to a commit, with a reason in the receiver's words, which may be empty.
    Vetoed(String),
}

/// A receiver's reason in one line of bounded length, without control characters.
pub(super) fn reason(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = line.unwrap_or_default().chars();
    line.filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        assert_eq!(
            reason("\n  no: \u{1b}[31mbackup\u{7} runs \nmore"),
            "no: [31mbackup runs"
        );
        assert_eq!(reason(&"x".repeat(1000)).len(), MAX_REASON);
        assert_eq!(reason(""), "");
    }
}
