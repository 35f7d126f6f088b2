//! Credentials of registries, from Docker's configuration file.

use std::env;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::secrets::RegistryAuth;

use super::refusals::refuse;
use crate::model::{ErrorName, OperatorError};

/// The credentials for `registry`: those in `file`, otherwise those in Docker's own file. None for a registry that the file does not name.
pub(super) fn credentials(
    file: Option<&Path>,
    registry: &str,
) -> Result<RegistryAuth, OperatorError> {
    let Some(path) = file.map(Path::to_path_buf).or_else(docker_file) else {
        return Ok(RegistryAuth::Anonymous);
    };
    let opened = match File::open(&path) {
        // Only a file that was asked for has to be there.
        Err(error) if error.kind() == ErrorKind::NotFound && file.is_none() => {
            return Ok(RegistryAuth::Anonymous);
        }
        opened => opened,
    };
    let opened = opened.map_err(|error| {
        let reason = format!("{} cannot be read: {error}.", path.display());
        refuse(ErrorName::InvalidConfig, reason)
    })?;
    let found = docker_credential::get_credential_from_reader(opened, registry);
    match found {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(RegistryAuth::Basic(user, password))
        }
        Ok(DockerCredential::IdentityToken(_)) => Err(refuse(
            ErrorName::NotSupported,
            format!(
                "The credentials for {registry} are an identity token, which is not supported. Log in with a user name and a password or token."
            ),
        )),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(RegistryAuth::Anonymous),
        // What a helper has printed may be a secret.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => Err(refuse(
            ErrorName::RegistryFailed,
            format!("The helper {helper} gave no credentials for {registry}."),
        )),
        Err(error) => Err(refuse(
            ErrorName::InvalidConfig,
            format!(
                "The credentials for {registry} in {} cannot be read: {error}.",
                path.display()
            ),
        )),
    }
}

/// The file to which Docker and its like write credentials at a login.
fn docker_file() -> Option<PathBuf> {
    let folder = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".docker"));
    Some(folder.or_else(home)?.join("config.json"))
}
