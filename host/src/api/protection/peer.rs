//! The other end of a connection, among the extensions of its requests.

use std::net::SocketAddr;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(in crate::api) struct Peer {
    /// Address of the client, or of the proxy between.
    pub(in crate::api) address: SocketAddr,
    /// The certificate of the client; TLS has verified it.
    pub(in crate::api) certificate: Option<ClientCertificate>,
}

/// A verified client certificate.
#[derive(Clone, Debug)]
pub(in crate::api) struct ClientCertificate {
    /// Subject, as RFC 2253 writes it.
    pub(in crate::api) subject: String,
    /// Hash of the authorities that the certificate was verified with.
    pub(in crate::api) authorities: u64,
}
