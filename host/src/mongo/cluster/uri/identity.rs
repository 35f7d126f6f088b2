//! Tokens of MONGODB-OIDC: the identity that a platform gives its workloads.
//!
//! The driver's own requests have no time limit, and its error for a missing file does not name the file. Invariant: no
//! error holds a token.

use std::{fmt::Display, fs, thread, time::Duration};

use futures::FutureExt;
use mongodb::error::Error;
use mongodb::options::oidc::{Callback, IdpServerResponse};
use mongodb::options::{AuthMechanism, ClientOptions};
use tokio::sync::oneshot;

use crate::mongo::errors::TokenFault;

/// Time for the answer of a platform's metadata service, which is on the same machine.
const ANSWER: Duration = Duration::from_secs(5);

const ENVIRONMENT: &str = "ENVIRONMENT";
const RESOURCE: &str = "TOKEN_RESOURCE";

const AZURE: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
const GCP: &str =
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity";

/// Variables that name the file of the token, in this order, as in every driver.
const TOKEN_FILES: [&str; 2] = ["AZURE_FEDERATED_TOKEN_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"];
const KUBERNETES_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The source of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Azure {
        client: Option<String>,
        resource: String,
    },
    Gcp {
        resource: String,
    },
    File,
}

/// Gives the driver a source of tokens, where the connection string asks for MONGODB-OIDC.
///
/// # Errors
/// The fault of the option.
pub(super) fn provide(options: &mut ClientOptions) -> Result<(), &'static str> {
    let credential = options.credential.as_mut();
    let Some(credential) =
        credential.filter(|one| one.mechanism == Some(AuthMechanism::MongoDbOidc))
    else {
        return Ok(());
    };
    let mut properties = credential.mechanism_properties.take().unwrap_or_default();
    let environment = properties.remove(ENVIRONMENT);
    let resource = properties.remove(RESOURCE);
    // The driver refuses azure and gcp without it.
    let resource = resource.as_ref().and_then(|one| one.as_str());
    let resource = resource.unwrap_or_default().to_owned();
    let source = match environment.as_ref().and_then(|one| one.as_str()) {
        Some("azure") => Source::Azure {
            client: credential.username.clone(),
            resource,
        },
        Some("gcp") => Source::Gcp { resource },
        Some("k8s") => Source::File,
        _ => {
            return Err("its option authMechanism=MONGODB-OIDC is refused without \
                 authMechanismProperties=ENVIRONMENT:azure, ENVIRONMENT:gcp or ENVIRONMENT:k8s: a host has nobody who \
                 could log in in a browser");
        }
    };
    credential.mechanism_properties = Some(properties);
    credential.oidc_callback = Callback::machine(move |_| {
        let source = source.clone();
        async move {
            token(source)
                .await
                .map_err(|why| Error::custom(TokenFault(why)))
        }
        .boxed()
    });
    Ok(())
}

/// Asks in a thread of its own, which does not delay the end of the process.
async fn token(source: Source) -> Result<IdpServerResponse, String> {
    let (answer, answered) = oneshot::channel();
    let ask = move || {
        // A dropped receiver means that the connection is no longer wanted.
        let _ = answer.send(source.token());
    };
    let thread = thread::Builder::new().name("token".to_owned());
    thread
        .spawn(ask)
        .map_err(|error| format!("no thread could be started: {error}"))?;
    let token = answered
        .await
        .unwrap_or_else(|_dropped| Err("the request has panicked".to_owned()))?;
    Ok(IdpServerResponse::builder().access_token(token).build())
}

impl Source {
    fn token(&self) -> Result<String, String> {
        match self {
            Self::Azure { client, resource } => azure(AZURE, client.as_deref(), resource),
            Self::Gcp { resource } => gcp(GCP, resource),
            Self::File => {
                let named = TOKEN_FILES.iter().find_map(|name| std::env::var(name).ok());
                file(&named.unwrap_or_else(|| KUBERNETES_TOKEN.to_owned()))
            }
        }
    }
}

fn azure(url: &str, client: Option<&str>, resource: &str) -> Result<String, String> {
    const SERVICE: &str = "Azure's metadata service";
    let mut queries = vec![("api-version", "2018-02-01"), ("resource", resource)];
    queries.extend(client.map(|client| ("client_id", client)));
    let headers = [("Metadata", "true"), ("Accept", "application/json")];
    let answer = get(SERVICE, url, &queries, &headers)?;
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
    let token = answer.get("access_token").and_then(|token| token.as_str());
    usable(SERVICE, token.unwrap_or_default())
}

fn gcp(url: &str, resource: &str) -> Result<String, String> {
    const SERVICE: &str = "Google Cloud's metadata service";
    let headers = [("Metadata-Flavor", "Google")];
    usable(
        SERVICE,
        &get(SERVICE, url, &[("audience", resource)], &headers)?,
    )
}

fn file(path: &str) -> Result<String, String> {
    let token = fs::read_to_string(path)
        .map_err(|error| format!("the file of the token, {path}, cannot be read: {error}"))?;
    usable(&format!("the file {path}"), &token)
}

fn usable(place: &str, token: &str) -> Result<String, String> {
    match token.trim() {
        "" => Err(format!("{place} has no token")),
        token => Ok(token.to_owned()),
    }
}

fn get(
    service: &str,
    url: &str,
    queries: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Result<String, String> {
    let failed = |why: &dyn Display| format!("{service} gives no token: {why}");
    // Without a proxy: the service knows a workload by its own address.
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(ANSWER))
        .build()
        .into();
    let request = agent.get(url).query_pairs(queries.iter().copied());
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    let mut response = request.call().map_err(|error| failed(&error))?;
    match response.status().as_u16() {
        200..300 => response
            .body_mut()
            .read_to_string()
            .map_err(|error| failed(&error)),
        // The body of a refusal is left out: it could hold a token.
        status => Err(failed(&format!("it answered with status {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A service that gives one answer. Returns its URL, and later the request.
    fn service(answer: &'static str) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/token", listener.local_addr().expect("a port"));
        let asked = thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a request");
            let mut request = [0; 2048];
            let read = client.read(&mut request).expect("a request");
            let length = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let answer = answer.replace("LENGTH", &length.len().to_string());
            client.write_all(answer.as_bytes()).expect("an answer");
            String::from_utf8_lossy(request.get(..read).unwrap_or_default()).into_owned()
        });
        (url, asked)
    }

    #[test]
    fn f172_the_token_of_azure_is_asked_for_as_its_service_wants_it() {
        let (url, asked) = service(
            "HTTP/1.1 200 OK\r\ncontent-length: LENGTH\r\n\r\n{\"access_token\": \"t0ken\", \"expires_in\": \"9\"}",
        );
        let token = azure(&url, Some("a b"), "api://x");
        assert_eq!(token.as_deref(), Ok("t0ken"));
        let request = asked.join().expect("a request").to_lowercase();
        assert!(
            request.starts_with(
                "get /token?api-version=2018-02-01&resource=api%3a%2f%2fx&client_id=a%20b http"
            ),
            "{request}"
        );
        assert!(request.contains("\r\nmetadata: true\r\n"), "{request}");
    }

    #[test]
    fn f172_the_token_of_google_cloud_is_asked_for_as_its_service_wants_it() {
        let (url, asked) = service("HTTP/1.1 200 OK\r\ncontent-length: LENGTH\r\n\r\nt0ken\n");
        assert_eq!(gcp(&url, "r").as_deref(), Ok("t0ken"));
        let request = asked.join().expect("a request").to_lowercase();
        assert!(
            request.starts_with("get /token?audience=r http"),
            "{request}"
        );
        assert!(
            request.contains("\r\nmetadata-flavor: google\r\n"),
            "{request}"
        );
    }

    #[test]
    fn f172_a_fault_of_a_token_is_told_without_the_answer() {
        let (url, asked) =
            service("HTTP/1.1 400 Bad Request\r\ncontent-length: LENGTH\r\n\r\ns3cret");
        let fault = gcp(&url, "r").expect_err("a refusal");
        assert!(fault.contains("status 400"), "{fault}");
        assert!(!fault.contains("s3cret"), "{fault}");
        drop(asked);
        let fault = file("/does/not/exist").expect_err("no file");
        assert!(fault.contains("/does/not/exist, cannot be read"), "{fault}");
        assert!(usable("the file", " \n").is_err());
    }
}
