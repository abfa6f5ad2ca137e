//! Content keys encrypted to the client.

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;

use crate::request::Refused;

fn public_key(certificate: &[u8]) -> Refused<PublicEncryptingKey> {
    let der = CertificateDer::from(certificate);
    let certificate = webpki::EndEntityCert::try_from(&der).map_err(|error| format!("X509Certificate: {error}"))?;
    let key = PublicEncryptingKey::from_der(certificate.subject_public_key_info().as_ref());
    key.map_err(|_| "X509Certificate has no RSA key of 2048 bits".to_owned())
}

/// Refuses what is not a certificate with an RSA key of 2048 bits or more.
pub fn check(certificate: &[u8]) -> Refused<()> {
    match public_key(certificate)?.key_size_bits() {
        2048.. => Ok(()),
        bits => Err(format!("X509Certificate has an RSA key of {bits} bits")),
    }
}

/// Keys for one recipient.
pub struct Delivery {
    document_key: [u8; 32],
    mac_key: [u8; 64],
    recipient: PublicEncryptingKey,
}

impl Delivery {
    pub fn new(certificate: &[u8]) -> Refused<Self> {
        let mut delivery = Self { document_key: [0; 32], mac_key: [0; 64], recipient: public_key(certificate)? };
        rand::fill(&mut delivery.document_key).map_err(|_| "no randomness")?;
        rand::fill(&mut delivery.mac_key).map_err(|_| "no randomness")?;
        Ok(delivery)
    }

    /// The document key and the MAC key in base64, encrypted to the recipient.
    pub fn wrapped(&self) -> Refused<[String; 2]> {
        let wrap = |key: &[u8]| {
            let recipient = OaepPublicEncryptingKey::new(self.recipient.clone()).map_err(|_| "no OAEP")?;
            let mut room = vec![0; recipient.ciphertext_size()];
            let wrapped = recipient.encrypt(&OAEP_SHA1_MGF1SHA1, key, &mut room, None);
            Ok::<_, String>(STANDARD.encode(wrapped.map_err(|_| "no OAEP")?))
        };
        Ok([wrap(&self.document_key)?, wrap(&self.mac_key)?])
    }

    /// A content key in base64, encrypted, and its MAC.
    pub fn sealed(&self, key: &[u8]) -> Refused<[String; 2]> {
        let mut iv = [0; 16];
        rand::fill(&mut iv).map_err(|_| "no randomness")?;
        let cipher = UnboundCipherKey::new(&AES_256, &self.document_key).map_err(|_| "no AES")?;
        let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(cipher).map_err(|_| "no AES")?;
        let mut sealed = key.to_vec();
        let context = EncryptionContext::Iv128(FixedLength::from(&iv));
        cipher.less_safe_encrypt(&mut sealed, context).map_err(|_| "no AES")?;
        let value = [iv.as_slice(), &sealed].concat();
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, &self.mac_key), &value);
        Ok([STANDARD.encode(value), STANDARD.encode(mac)])
    }
}
