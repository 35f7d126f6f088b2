//! Hooks files.

use super::{TempFile, refusal, with_clusters};

#[test]
fn f143_a_hooks_file_is_read_and_its_secrets_are_not_shown() {
    let secret = TempFile::new("s3cret\n");
    let file = TempFile::new(&format!(
        "- name: chat\n  events: [copied, failed]\n  url: https://chat.example/s3cret?x=s3cret\n  secretFile: {secret}\n\
         - name: guard\n  events: [beforeCommit]\n  program: [/bin/sh, -c, exit 0]\n  timeoutSeconds: 30\n",
        secret = secret.path()
    ));
    let config = with_clusters(&["--hooksFile", file.path()]).expect("a configuration");
    let shown = format!("{config:?}");
    assert!(shown.contains("https://chat.example/****"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
    let names: Vec<&str> = config.hooks.iter().map(|hook| hook.name.as_str()).collect();
    assert_eq!(names, ["chat", "guard"]);
    let seconds: Vec<u64> = config
        .hooks
        .iter()
        .map(|hook| hook.timeout.as_secs())
        .collect();
    assert_eq!(seconds, [10, 30]);
}

#[test]
fn f143_a_hook_that_cannot_be_called_is_refused_by_its_name() {
    let hook = |rest: &str| format!("- name: chat\n  events: [copied]\n  {rest}\n");
    for (text, reason) in [
        (hook("timeoutSeconds: 5"), "hook 'chat': give one of 'url'"),
        (
            hook("url: ftp://a"),
            "does not begin with http:// or https://",
        ),
        (hook("url: https://u:s3cret@a/b"), "the URL has a user"),
        (
            hook("urlFile: /does/not/exist"),
            "/does/not/exist of 'urlFile' cannot be read",
        ),
        (
            hook("url: https://a\n  secretFile: /does/not/exist"),
            "of 'secretFile' cannot be read",
        ),
        (
            hook("program: [/does/not/exist]"),
            "'program' begins with no file",
        ),
        (
            hook("program: [/bin/sh]\n  secretFile: /bin/sh"),
            "belong to a webhook",
        ),
        (
            hook("url: https://a\n  timeoutSeconds: 301"),
            "timeoutSeconds is 301",
        ),
        (
            hook("url: https://a\n  secret: s3cret"),
            "unknown field '[0].secret'",
        ),
        (
            "- name: a b\n  events: [copied]\n  url: https://a\n".to_owned(),
            "a name has 1 to 64",
        ),
        (
            "- name: a\n  events: []\n  url: https://a\n".to_owned(),
            "'events' is empty",
        ),
        (
            "- name: a\n  events: [done]\n  url: https://a\n".to_owned(),
            "'done' is not one of 'copied'",
        ),
        (
            hook("url: https://a") + &hook("url: https://b"),
            "the name is given twice",
        ),
    ] {
        let file = TempFile::new(&text);
        let refusal = refusal(with_clusters(&["--hooksFile", file.path()]));
        assert!(
            refusal.starts_with("InvalidConfig: ") && refusal.contains(reason),
            "{text}: {refusal}"
        );
        assert!(!refusal.contains("s3cret"), "{refusal}");
    }
}
