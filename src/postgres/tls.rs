//! Whom TLS believes. No session is resumed, so that every connection has its certificates checked.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::url::{Encryption, Url};
use crate::pem::{self, TlsFault};

/// Reads the files that a URL names.
pub(super) fn read(url: &Url) -> Result<ClientConfig, TlsFault> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| pem::fault(Path::new("TLS"), error))?;
    let authorities = match &url.authorities {
        Some(file) => Some((file, Arc::new(pem::roots(file, pem::certificates(file)?)?))),
        None => None,
    };
    let verifier: Arc<dyn ServerCertVerifier> = match authorities {
        Some((file, roots)) if url.encryption == Encryption::VerifyFull => {
            WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| pem::fault(file, error))?
        }
        authorities => Arc::new(AnyName { roots: authorities.map(|(_, roots)| roots), provider }),
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match &url.identity {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let (chain, key) = pem::identity(own)?;
            let unfit = |why| pem::unfit(&own.certificate, why);
            builder.with_client_auth_cert(chain, key).map_err(unfit)?
        }
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Believes whoever has a certificate of one of the authorities, whatever name it is for (`verify-ca`); without
/// authorities, whoever has any (`require`). That the peer has the certificate's key is checked always.
#[derive(Debug)]
struct AnyName {
    roots: Option<Arc<RootCertStore>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
