//! Refusals of connection strings: each names its option, and none holds a secret.

use super::*;

async fn refused(uri: &str) -> OperatorError {
    parse("cluster0", uri).await.expect_err(uri)
}

#[tokio::test]
async fn what_is_said_of_a_connection_string_holds_no_secret() {
    for (uri, says) in [
        ("db.example:27017", "begins with neither"),
        ("hunter2@x/?y=mongodb://", "begins with neither"),
        ("mongodb://u:hunter2@", "hostname"),
        ("mongodb://u:hun?ter2@db.example", "percent-encoded"),
        ("mongodb://u:hun/?ter2=1@db.example", "percent-encoded"),
        ("mongodb://u:hun/ter2@db.example", "percent-encoded"),
        ("mongodb://u:hunter2%@db.example", "percent-encoded"),
        ("mongodb://u:hunter2@db.example:port", "the port must be"),
        (
            "mongodb://u:hunter2@db.example/?tls=maybe",
            "option tls=maybe is refused",
        ),
        (
            "mongodb://db.example/?authMechanismProperties=hunter2",
            "authMechanismProperties is malformed",
        ),
        (
            "mongodb://db.example/?proxyHost=p&proxyPassword=hunter2",
            "proxyPassword",
        ),
        (
            "mongodb://u:hunter2@db.example/?authMechanism=MONGODB-X509",
            "option authMechanism=MONGODB-X509 is refused: A password",
        ),
        (
            "mongodb+srv://u:hunter2@db.example:1",
            "port cannot be specified",
        ),
    ] {
        let refusal = refused(uri).await;
        assert_eq!(refusal.name, ErrorName::InvalidUri, "{uri}");
        assert!(refusal.message.contains(says), "{uri}: {refusal}");
        assert!(!refusal.message.contains("hun"), "{uri}: {refusal}");
        assert!(!refusal.message.contains("ter2"), "{uri}: {refusal}");
    }
}

#[tokio::test]
async fn f39_an_option_that_is_refused_is_refused_by_its_name() {
    for option in [
        "socketTimeoutMS=5000",
        "maxPoolSize=0",
        "maxConnecting=0",
        "maxPoolSize=many",
        "readPreference=nearby",
        "readPreferenceTags=dc",
        "maxStalenessSeconds=5",
        "heartbeatFrequencyMS=1",
        #[cfg(not(feature = "kerberos"))]
        "authMechanism=GSSAPI",
        #[cfg(not(feature = "aws"))]
        "authMechanism=MONGODB-AWS",
        "authMechanism=MONGODB-CR",
        "authMechanism=NTLM",
        "compressors=lz4",
        "zlibCompressionLevel=10",
        "directConnection=perhaps",
        "loadBalanced=yes",
        "w=-1",
        "uuidRepresentation=javascript",
        "srvMaxHosts=1",
        "proxyPort=1080",
        "retryWrite=true",
        "replicaset",
    ] {
        for place in ["h", "user:password@h"] {
            let refusal =
                refused(&format!("mongodb://{place}/?tls=false&{option}&appName=x")).await;
            assert_eq!(refusal.name, ErrorName::InvalidUri);
            assert!(
                refusal
                    .message
                    .contains(&format!("option {option} is refused")),
                "{refusal}"
            );
            let rest = refusal.message.replace("USER:PASSWORD", "");
            assert!(!rest.to_lowercase().contains("password"), "{refusal}");
        }
    }
}

#[tokio::test]
async fn f39_of_several_faults_the_first_is_told() {
    let refusal = refused("mongodb://h/?socketTimeoutMS=5000&maxPoolSize=0").await;
    assert!(
        refusal.message.contains("option socketTimeoutMS=5000"),
        "{refusal}"
    );
    let twice = refused("mongodb://h/?tls=true&tls=true").await;
    assert!(
        twice
            .message
            .contains("option tls=true is refused: repeated"),
        "{twice}"
    );
}

/// The options of docs/configuration.md are built in.
#[tokio::test]
async fn f39_what_the_driver_has_is_built_in() {
    for uri in [
        "mongodb://h/?compressors=zstd,snappy,zlib&zlibCompressionLevel=9",
        "mongodb://h/?proxyHost=p&proxyPort=1080&proxyUsername=u&proxyPassword=p",
        "mongodb://CN=x@h/?authMechanism=MONGODB-X509&tls=true",
        "mongodb://u:p@h/?authMechanism=PLAIN&authSource=$external",
        "mongodb://u:p@h/?authMechanism=SCRAM-SHA-1",
        "mongodb://u:p@h/?authMechanism=SCRAM-SHA-256",
        "mongodb://h/?authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:k8s",
    ] {
        if let Err(refusal) = parse("cluster0", uri).await {
            panic!("{uri}: {refusal}");
        }
    }
}

#[tokio::test]
async fn f39_a_mechanism_that_is_refused_later_is_refused_at_once() {
    for uri in [
        "mongodb://u:p@h/?authMechanism=MONGODB-OIDC",
        "mongodb://h/?authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:azure,TOKEN_RESOURCE:r",
    ] {
        let refusal = refused(uri).await;
        assert!(
            refusal
                .message
                .contains("authMechanism=MONGODB-OIDC is refused"),
            "{refusal}"
        );
    }
}

#[tokio::test]
async fn f39_files_are_told_by_their_option() {
    for option in ["tlsCAFile", "tlsCertificateKeyFile"] {
        let refusal = refused(&format!("mongodb://h/?tls=true&{option}=/does/not/exist")).await;
        assert!(
            refusal
                .message
                .contains(&format!("{option}=/does/not/exist cannot be read")),
            "{refusal}"
        );
    }
}
