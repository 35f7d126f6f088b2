//! An OCI registry on a free port of the loopback interface.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::{
    host::DEADLINE,
    package::file_of,
    process::{Process, free_port},
    wait::Look,
    wait_until,
};

/// Media type of manifests.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry, until it is dropped.
pub struct OciRegistry {
    process: Process,
    port: u16,
    data: PathBuf,
}

impl OciRegistry {
    /// A registry with its data in `folder`. `htpasswd`: lines of a file of that name; anybody may read and write without.
    pub async fn start(folder: &Path, htpasswd: Option<&str>) -> Result<Self> {
        let port = free_port()?;
        let data = folder.join("data");
        let mut configuration = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n",
            data.display()
        );
        if let Some(users) = htpasswd {
            let file = folder.join("htpasswd");
            std::fs::write(&file, users).context("write the users")?;
            configuration += &format!(
                "auth: {{htpasswd: {{realm: tests, path: {}}}}}\n",
                file.display()
            );
        }
        let file = folder.join("registry.yml");
        std::fs::write(&file, configuration).context("write the configuration")?;
        let log = std::fs::File::create(folder.join("registry.log")).context("create the log")?;
        let mut command = Command::new(file_of("docker-registry", "usr/bin/docker-registry")?);
        command
            .arg("serve")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(log);
        let process = Process::spawn(&mut command)?;
        wait_until("the registry listens", DEADLINE, async || {
            Ok(match TcpStream::connect(("127.0.0.1", port)).await {
                Ok(_) => Look::Done(()),
                Err(error) => Look::NotYet(error.to_string()),
            })
        })
        .await?;
        Ok(Self {
            process,
            port,
            data,
        })
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The file with the bytes of this digest.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let folder = self.data.join("docker/registry/v2/blobs/sha256");
        folder
            .join(hex.get(..2).unwrap_or_default())
            .join(hex)
            .join("data")
    }

    /// The manifest under a tag or digest, as any client reads it.
    pub fn manifest(&self, repository: &str, reference: &str) -> Result<Value> {
        let request = ureq::get(self.manifest_url(repository, reference));
        let answer = request.header("Accept", MANIFEST).call();
        let mut answer = answer.context("read a manifest")?;
        Ok(answer.body_mut().read_json()?)
    }

    /// Stores a manifest under a tag.
    pub fn put_manifest(&self, repository: &str, tag: &str, manifest: &Value) -> Result<()> {
        let request = ureq::put(self.manifest_url(repository, tag)).content_type(MANIFEST);
        let sent = request.send(manifest.to_string().as_bytes());
        sent.map(drop).context("store a manifest")
    }

    fn manifest_url(&self, repository: &str, reference: &str) -> String {
        let address = self.address();
        format!("http://{address}/v2/{repository}/manifests/{reference}")
    }

    /// Stops it for good.
    pub fn stop(&mut self) -> Result<()> {
        self.process.kill()
    }
}
