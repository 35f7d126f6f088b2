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
        "loadBalanced=true",
        "timeoutMS=5000",
        "tlsAllowInvalidHostnames=true",
        "zstdCompressionLevel=23",
        "w=-1",
        "srvMaxHosts=1",
        "proxyPort=1080",
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
        "mongodb://client@h/?authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:azure,TOKEN_RESOURCE:r",
        "mongodb://h/?authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:gcp,TOKEN_RESOURCE:r",
        "mongodb://%2Ftmp%2Fmongodb-27017.sock/?replicaSet=rs",
        "mongodb://h/?compressors=zstd&zstdCompressionLevel=22",
    ] {
        if let Err(refusal) = parse("cluster0", uri).await {
            panic!("{uri}: {refusal}");
        }
    }
}

#[tokio::test]
async fn f172_a_workload_has_no_browser() {
    for (properties, says) in [
        ("", "ENVIRONMENT:azure, ENVIRONMENT:gcp or ENVIRONMENT:k8s"),
        (
            "&authMechanismProperties=ENVIRONMENT:test",
            "unsupported environment",
        ),
        (
            "&authMechanismProperties=ENVIRONMENT:azure",
            "`TOKEN_RESOURCE` must be set",
        ),
        (
            "&authMechanismProperties=OIDC_HUMAN_CALLBACK:hunter2",
            "authMechanismProperties",
        ),
    ] {
        let refusal = refused(&format!(
            "mongodb://h/?authMechanism=MONGODB-OIDC{properties}"
        ))
        .await;
        assert!(refusal.message.contains(says), "{refusal}");
        assert!(!refusal.message.contains("hunter2"), "{refusal}");
    }
}

#[tokio::test]
async fn f176_the_value_of_an_unknown_option_is_not_shown() {
    for (option, says) in [
        ("retryWrite=hunter2", "option retryWrite is refused"),
        (
            "tlsCertificateKeyFilePasword=hunter2",
            "option tlsCertificateKeyFilePasword is refused",
        ),
        ("proxyPasswort=hunter2", "option proxyPasswort is refused"),
        (
            "tlsPrivateKeyFile=hunter2",
            "give it as tlsCertificateKeyFile",
        ),
    ] {
        let refusal = refused(&format!("mongodb://h/?tls=true&{option}")).await;
        assert!(refusal.message.contains(says), "{refusal}");
        assert!(!refusal.message.contains("hunter2"), "{refusal}");
    }
}

#[tokio::test]
async fn f176_names_of_other_drivers_are_read() {
    let uri =
        "mongodb://h/?sslCertificateAuthorityFile=/does/not/exist&uuidRepresentation=standard";
    let refusal = refused(uri).await;
    assert!(
        refusal
            .message
            .contains("tlsCAFile=/does/not/exist cannot be read"),
        "{refusal}"
    );
    let uri = "mongodb://h/?heartbeatIntervalMS=600&wtimeout=5&j=true&compressors=zstd&zstdCompressionLevel=7";
    let options = parse("cluster0", uri).await.expect("options");
    assert_eq!(
        options.heartbeat_freq,
        Some(std::time::Duration::from_millis(600))
    );
    let shown = format!("{:?}", options.compressors);
    assert!(
        shown.contains("Some(7)") || shown.contains("level: Some"),
        "{shown}"
    );
}

#[tokio::test]
async fn f176_an_option_without_effect_is_named() {
    let noticed = async |text: &str| -> Vec<String> {
        let uri = format!("mongodb://u:p@h/?{text}");
        let options = parse("cluster0", &uri).await.expect(text);
        let notices = notices(&uri, &options).into_iter();
        notices.map(|notice| notice.option).collect()
    };
    for option in [
        "w=1",
        "wtimeoutMS=5",
        "journal=false",
        "readConcernLevel=local",
        "readPreference=nearest",
        "retryWrites=false",
        "maxPoolSize=5",
        "localThresholdMS=5",
        "waitQueueTimeoutMS=5",
        "zlibCompressionLevel=5",
        "zstdCompressionLevel=5",
        "directConnection=true",
        "tlsInsecure=true",
        "uuidRepresentation=standard",
        "authMechanism=PLAIN",
    ] {
        let name = option.split('=').next().expect("a name");
        assert_eq!(noticed(option).await, [name], "{option}");
    }
    let usual = "retryWrites=true&w=majority&appName=Cluster0&readPreference=primary&maxPoolSize=50&minPoolSize=40&\
                 compressors=zlib&zlibCompressionLevel=5&tls=true&authSource=admin&journal=true&directConnection=false&\
                 connectTimeoutMS=5000&serverSelectionTimeoutMS=5000&heartbeatFrequencyMS=5000&maxIdleTimeMS=1000";
    assert_eq!(noticed(usual).await, Vec::<String>::new());
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
