//! Keys that sign artifacts: ECDSA on the curve P-256, as cosign makes them.

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use super::refusals::refuse;
use crate::model::{ErrorName, OperatorError};

/// What a SubjectPublicKeyInfo (RFC 5480) of an uncompressed P-256 point begins with: the point of 65 bytes follows.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Bytes of an uncompressed point.
const POINT: usize = 65;

/// A key that verifies signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    point: Vec<u8>,
}

impl PublicKey {
    /// Reads a key as `cosign generate-key-pair` and `openssl ec -pubout` write it (PEM, `PUBLIC KEY`).
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for anything else than a P-256 key. `place` names the text in the message.
    pub fn from_pem(place: &str, text: &str) -> Result<Self, OperatorError> {
        let refused = |reason: &str| {
            refuse(
                ErrorName::InvalidConfig,
                format!(
                    "{place} {reason}. Give the public key of a P-256 key pair (PEM), as cosign generate-key-pair writes it to cosign.pub."
                ),
            )
        };
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes())
            .map_err(|error| refused(&format!("holds no public key: {error}")))?;
        match der.as_ref().strip_prefix(&P256_PREFIX) {
            Some(point) if point.len() == POINT => Ok(Self {
                point: point.to_vec(),
            }),
            _ => Err(refused("holds a key of another kind")),
        }
    }

    /// Whether `signature` (DER) is this key's signature of `message`.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point);
        key.verify(message, signature).is_ok()
    }
}

/// A key that signs.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl SigningKey {
    /// Reads a private key (PEM, PKCS#8, not encrypted), as `openssl genpkey` writes it.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for anything else than a P-256 key. `place` names the text in the message.
    pub fn from_pem(place: &str, text: &str) -> Result<Self, OperatorError> {
        let refused = |reason: &str| {
            refuse(
                ErrorName::InvalidConfig,
                format!(
                    "{place} {reason}. Give a P-256 key in PKCS#8 (PEM): openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256."
                ),
            )
        };
        if text.contains("-----BEGIN ENCRYPTED ") {
            return Err(refused(
                "holds an encrypted key, which cosign alone can use",
            ));
        }
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
            .map_err(|error| refused(&format!("holds no private key: {error}")))?;
        let random = SystemRandom::new();
        let bytes = der.secret_pkcs8_der();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, bytes, &random)
            .map_err(|error| refused(&format!("holds a key of another kind ({error})")))?;
        Ok(Self { pair, random })
    }

    /// The signature (DER) of `message`.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, OperatorError> {
        let signed = self
            .pair
            .sign(&self.random, message)
            .map_err(|_no_reason| {
                refuse(
                    ErrorName::InternalError,
                    "The system gave no random numbers.",
                )
            })?;
        Ok(signed.as_ref().to_vec())
    }

    /// The key that verifies its signatures.
    pub fn public(&self) -> PublicKey {
        PublicKey {
            point: self.pair.public_key().as_ref().to_vec(),
        }
    }
}
