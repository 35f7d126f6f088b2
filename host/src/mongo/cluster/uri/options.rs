//! Options that the driver reads otherwise than other drivers, and options that have no effect in a sync.

use std::borrow::Cow;

use mongodb::options::{ClientOptions, Compressor, Tls};

/// Connections that copying and applying may hold at once. The driver's default is 10.
pub(in crate::mongo::cluster) const MIN_POOL_SIZE: u32 = 32;

/// Other drivers' names of options, in lower case, and the driver's. mongosync's driver reads both.
const ALIASES: [(&str, &str); 7] = [
    ("heartbeatintervalms", "heartbeatFrequencyMS"),
    ("j", "journal"),
    ("sslcertificateauthorityfile", "tlsCAFile"),
    ("sslclientcertificatekeyfile", "tlsCertificateKeyFile"),
    (
        "sslclientcertificatekeypassword",
        "tlsCertificateKeyFilePassword",
    ),
    ("sslinsecure", "tlsInsecure"),
    ("wtimeout", "wtimeoutMS"),
];

/// Options that the driver refuses or reads in part, and that mean nothing here: documents are copied as bytes.
const UNREAD: [&str; 1] = ["uuidrepresentation"];

const ZSTD_LEVEL: &str = "zstdcompressionlevel";

/// The connection string as the driver reads it.
pub(super) fn readable(uri: &str) -> Cow<'_, str> {
    let Some((place, options)) = uri.split_once('?') else {
        return Cow::Borrowed(uri);
    };
    // A part of a password.
    if options.contains('@') {
        return Cow::Borrowed(uri);
    }
    let options: Vec<String> = options.split('&').filter_map(renamed).collect();
    Cow::Owned(format!("{place}?{}", options.join("&")))
}

fn renamed(option: &str) -> Option<String> {
    let (name, rest) = option.split_at(option.find('=').unwrap_or(option.len()));
    let lower = name.to_lowercase();
    if UNREAD.contains(&lower.as_str()) || lower == ZSTD_LEVEL {
        return None;
    }
    let alias = ALIASES.iter().find(|(alias, _)| *alias == lower);
    Some(alias.map_or_else(
        || option.to_owned(),
        |(_, driver_name)| format!("{driver_name}{rest}"),
    ))
}

/// Sets the level of zstd, which the driver has and does not read.
///
/// # Errors
/// The fault of the option.
pub(super) fn set_zstd_level(uri: &str, options: &mut ClientOptions) -> Result<(), String> {
    let Some((name, value)) = pairs(uri).find(|(name, _)| name.to_lowercase() == ZSTD_LEVEL) else {
        return Ok(());
    };
    let wanted = value.parse().ok().filter(|level| (1..=22).contains(level));
    let Some(wanted) = wanted else {
        return Err(format!(
            "its option {name}={value} is refused: the level is a number from 1 to 22"
        ));
    };
    for compressor in options.compressors.iter_mut().flatten() {
        if let Compressor::Zstd { level, .. } = compressor {
            *level = Some(wanted);
        }
    }
    Ok(())
}

/// An option that has no effect, or a dangerous one, and why.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::mongo::cluster) struct Notice {
    pub(in crate::mongo::cluster) option: String,
    pub(in crate::mongo::cluster) why: &'static str,
}

/// What an operator has to know about the options of a connection string that is accepted.
pub(in crate::mongo::cluster) fn notices(uri: &str, options: &ClientOptions) -> Vec<Notice> {
    let has = |wanted: fn(&Compressor) -> bool| options.compressors.iter().flatten().any(wanted);
    let has_zlib = has(|compressor| matches!(compressor, Compressor::Zlib { .. }));
    let has_zstd = has(|compressor| matches!(compressor, Compressor::Zstd { .. }));
    let has_tls = matches!(options.tls, Some(Tls::Enabled(_)));
    let noticed = pairs(uri).filter_map(|(name, value)| {
        let lower = name.to_lowercase();
        let why = match lower.as_str() {
            "zlibcompressionlevel" if !has_zlib => "it has no effect: compressors has no zlib",
            ZSTD_LEVEL if !has_zstd => "it has no effect: compressors has no zstd",
            "authmechanism" if value == "PLAIN" && !has_tls => {
                "PLAIN sends the password in clear, and the connection has no TLS"
            }
            _ => why(&lower, value)?,
        };
        let option = name.to_owned();
        Some(Notice { option, why })
    });
    noticed.collect()
}

fn why(name: &str, value: &str) -> Option<&'static str> {
    let is = |text: &str| value.eq_ignore_ascii_case(text);
    let why = match name {
        "readpreference" if !is("primary") => "it has no effect: tidegate reads from the primary",
        "readpreferencetags" | "maxstalenessseconds" | "localthresholdms" => {
            "it has no effect: tidegate reads from the primary"
        }
        "readconcernlevel" => "it has no effect: each read has the read concern that it needs",
        "w" if !is("majority") => "it has no effect: writes wait for a majority",
        "wtimeout" | "wtimeoutms" => "it has no effect: writes wait for a majority",
        "j" | "journal" if is("false") => "it has no effect: writes wait for a majority",
        "maxpoolsize" if value.parse().is_ok_and(|size: u32| size < MIN_POOL_SIZE) => {
            "it is raised to 32"
        }
        "retryreads" | "retrywrites" if is("false") => {
            "it has no effect: tidegate repeats what a fault of the network has ended"
        }
        "waitqueuetimeoutms" => "it has no effect: the driver does not have it",
        "uuidrepresentation" => "it has no effect: documents are copied as bytes",
        "directconnection" if is("true") => {
            "a sync cannot follow a new primary with it; leave it out, and name the members of the set"
        }
        "tlsinsecure" | "sslinsecure" | "tlsallowinvalidcertificates" if is("true") => {
            "neither the server's certificate nor its host name is checked; give its authority as tlsCAFile"
        }
        _ => return None,
    };
    Some(why)
}

/// The options of a connection string that the driver has accepted.
fn pairs(uri: &str) -> impl Iterator<Item = (&str, &str)> {
    let (_, options) = uri.split_once('?').unwrap_or_default();
    options
        .split('&')
        .filter_map(|option| option.split_once('='))
}
