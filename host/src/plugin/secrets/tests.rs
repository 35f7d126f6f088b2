use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::*;
use crate::model::options::{ClusterName, Json, OnError, PluginOptions};

/// A temporary directory of secrets, removed on drop.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("tidegate-secrets-{}-{test}", std::process::id()));
        _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("inner")).unwrap();
        Self(path)
    }

    fn secrets(&self) -> Secrets {
        Secrets::within(Some(self.0.join("inner")))
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.0.join("inner").join(name), content).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn reason(secrets: &Secrets, config: &Value) -> String {
    let error = secrets.reveal(config).map(drop).unwrap_err();
    format!("{error}")
}

#[test]
fn f44_a_reference_becomes_the_content_of_its_file_wherever_it_stands() {
    let directory = Directory::new("content");
    directory.write("a", b"first\n");
    directory.write("b-2.key", b" second\r\n");
    // The layout of secrets that Kubernetes mounts.
    fs::create_dir(directory.0.join("inner/..data")).unwrap();
    fs::write(directory.0.join("inner/..data/c"), "third").unwrap();
    symlink("..data/c", directory.0.join("inner/c")).unwrap();
    let config = json!({ "key": { "$secret": "a" }, "list": [1, { "deep": { "$secret": "b-2.key" } }, { "$secret": "c" }] });
    let (value, revealed) = directory.secrets().reveal(&config).unwrap();
    let expected = json!({ "key": "first", "list": [1, { "deep": " second" }, "third"] });
    assert_eq!(value, expected);
    assert_eq!(revealed.config(), expected.to_string());
    assert_eq!(revealed.mask("first, second: thirds"), "****,****: ****s");
}

#[test]
fn f44_what_cannot_be_read_is_refused_by_its_name_and_no_name_leaves_the_directory() {
    let directory = Directory::new("refused");
    fs::write(directory.0.join("outside"), "MARK").unwrap();
    directory.write("empty", b"\n");
    directory.write("binary", b"\xff\xfe");
    directory.write("large", &[b'x'; 65 << 10]);
    fs::create_dir(directory.0.join("inner/folder")).unwrap();
    symlink("../outside", directory.0.join("inner/link")).unwrap();
    let secrets = directory.secrets();
    for (name, says) in [
        ("missing", "No such file"),
        ("empty", "is empty"),
        ("binary", "UTF-8"),
        ("large", "larger than"),
        ("folder", "not a file"),
        ("link", "leaves the directory"),
        ("../outside", "not the name"),
        ("/etc/hostname", "not the name"),
        ("inner/empty", "not the name"),
        ("..", "not the name"),
        (".hidden", "not the name"),
        ("a\0b", "not the name"),
        ("", "not the name"),
    ] {
        let told = reason(
            &secrets,
            &json!({ "rules": [{ "key": { "$secret": name } }] }),
        );
        assert!(told.contains(says), "{name}: {told}");
        assert!(
            told.starts_with("rules[0].key: ") && told.contains(name),
            "{name}: {told}"
        );
        assert!(!told.contains("MARK"), "{told}");
    }
    let gone = Secrets::within(Some(directory.0.join("gone")));
    let told = reason(&gone, &json!({ "key": { "$secret": "a" } }));
    assert!(told.contains("gone") && told.contains("'a'"), "{told}");
    let told = reason(&Secrets::default(), &json!({ "key": { "$secret": "a" } }));
    assert!(
        told.contains("--secretsDir") && told.contains("'a'"),
        "{told}"
    );
    for config in [json!({ "$secret": 1 }), json!({ "$secret": "a", "b": 1 })] {
        assert!(
            reason(&secrets, &config).contains("$secret alone"),
            "{config}"
        );
    }
}

#[test]
fn f44_keys_in_clear_are_found_by_the_names_of_their_fields() {
    let mut options = StartOptions::between(ClusterName::Cluster0, ClusterName::Cluster1);
    let plugin = |config| PluginOptions {
        component: "field-mask".to_owned(),
        config: Json(config),
        namespaces: Vec::new(),
        on_error: OnError::Stop,
    };
    options.plugins = vec![
        plugin(json!({ "key": { "$secret": "a" }, "rules": [{ "path": "key" }] })),
        plugin(
            json!({ "key": "in clear", "list": [{ "apiToken": "x", "keys": "no", "monkeyCount": "no" }] }),
        ),
    ];
    let wanted = [
        "plugins[1].config.key",
        "plugins[1].config.list[0].apiToken",
    ];
    assert_eq!(plaintext_secrets(&options), wanted);
}
