//! Subjects of certificates as text, in the form of RFC 2253: `openssl x509 -subject -nameopt RFC2253,-esc_msb,utf8`.
//!
//! Two subjects never have the same text: a value whose text would be ambiguous is written as hexadecimal digits.

use std::fmt::Write as _;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
/// UTF8String, PrintableString and IA5String: their bytes are UTF-8.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];

/// Attributes with a short name, by the bytes of their object identifier.
const NAMES: [(&[u8], &str); 10] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1],
        "UID",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
        "DC",
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
        "emailAddress",
    ),
];

/// The subject of a certificate; `None` if it cannot be read or is empty.
pub(in crate::api) fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    text(certificate.subject()).filter(|text| !text.is_empty())
}

/// The text of a name, from the content of its sequence.
fn text(mut name: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while !name.is_empty() {
        let mut attributes = next(&mut name, SET)?;
        let mut texts = Vec::new();
        while !attributes.is_empty() {
            texts.push(attribute(next(&mut attributes, SEQUENCE)?)?);
        }
        parts.push(texts.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn attribute(mut bytes: &[u8]) -> Option<String> {
    let oid = next(&mut bytes, OID)?;
    let (tag, value) = (*bytes.first()?, bytes);
    let content = next(&mut bytes, tag)?;
    let name = NAMES.iter().find(|(known, _)| *known == oid);
    let text = std::str::from_utf8(content).ok();
    let text = text.filter(|text| TEXTS.contains(&tag) && !text.chars().any(char::is_control));
    Some(match (name, text) {
        (Some((_, name)), Some(text)) => format!("{name}={}", escaped(text)),
        (Some((_, name)), None) => format!("{name}=#{}", hex(value)),
        (None, _) => format!("{}=#{}", dotted(oid), hex(value)),
    })
}

fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut escaped = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        let is_special = matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';');
        let is_edge =
            (index == 0 && matches!(character, ' ' | '#')) || (index == last && character == ' ');
        if is_special || is_edge {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        _ = write!(text, "{byte:02X}");
        text
    })
}

/// An object identifier as `1.2.840.113549`.
fn dotted(oid: &[u8]) -> String {
    let (mut arcs, mut arc) = (Vec::new(), 0_u64);
    for byte in oid {
        arc = (arc << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if arcs.is_empty() {
                let first = (arc / 40).min(2);
                arcs.push(first.to_string());
                arc -= first * 40;
            }
            arcs.push(arc.to_string());
            arc = 0;
        }
    }
    arcs.join(".")
}

/// Takes the content of the next element, which has this tag, from the front of `bytes`.
fn next<'b>(bytes: &mut &'b [u8], tag: u8) -> Option<&'b [u8]> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let digits = usize::from(first & 0x7f);
        let (length, after) = rest.split_at_checked(digits).filter(|_| digits <= 4)?;
        rest = after;
        length
            .iter()
            .fold(0, |length, byte| (length << 8) | usize::from(*byte))
    };
    let (content, rest) = rest.split_at_checked(length).filter(|_| found == tag)?;
    *bytes = rest;
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).expect("short")], content].concat()
    }

    fn part(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        let attribute = [element(OID, oid), element(tag, value)].concat();
        element(SET, &element(SEQUENCE, &attribute))
    }

    #[test]
    fn a_subject_is_written_as_openssl_writes_it() {
        let name = [
            part(&[0x55, 4, 10], 0x0c, b"A, B"),
            part(&[0x55, 4, 3], 0x13, b"eve"),
        ];
        assert_eq!(text(&name.concat()).as_deref(), Some("CN=eve,O=A\\, B"));
        // A value with a separator is not another subject.
        let forged = part(&[0x55, 4, 3], 0x0c, b"eve,O=A");
        assert_eq!(text(&forged).as_deref(), Some("CN=eve\\,O=A"));
        let unknown = part(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 9], 0x0c, b"x");
        assert_eq!(text(&unknown).as_deref(), Some("1.2.840.113549.9=#0C0178"));
        let wide = part(&[0x55, 4, 3], 0x1e, &[0, 0x65]);
        assert_eq!(text(&wide).as_deref(), Some("CN=#1E020065"));
    }

    #[test]
    fn malformed_bytes_are_no_subject() {
        let name = part(&[0x55, 4, 3], 0x0c, b"eve");
        for end in 1..name.len() {
            assert_eq!(text(&name[..end]), None, "{end}");
        }
        assert_eq!(text(&[SET, 0xff, 1, 1, 1]), None);
    }
}
