//! Content keys that were encrypted to us (CPIX 2.3, 6.3 and SPEKE, "Content key encryption").
//!
//! The sender makes a document key and a MAC key, encrypts both with our certificate by RSA-OAEP, and encrypts each content key
//! with the document key. The MAC of a content key is checked before anything of it is decrypted.

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::cpix::{Delivery, EncryptedKey};
use crate::limits;
use crate::secret::{ContentKeyBytes, Secret};

const DOCUMENT_KEY_BYTES: usize = 32;
const MAC_KEY_BYTES: usize = 64;
const IV_BYTES: usize = 16;

/// Why encrypted keys cannot be asked for or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The certificate.
    #[error("the certificate is not one X.509 certificate (version 3) in PEM")]
    Certificate,
    /// The private key.
    #[error("the private key is not an RSA key of 2048 to 8192 bits as PKCS#8 in PEM, without a password")]
    PrivateKey,
    /// The two do not belong together.
    #[error("the certificate is not that of the private key")]
    NotAPair,
    /// No delivery for our certificate.
    #[error("the keys were not encrypted to our certificate")]
    NoDelivery,
    /// A document or MAC key that is not there, or does not open.
    #[error("the document key or the MAC key is missing or was not encrypted to our certificate")]
    DeliveryKeys,
    /// A MAC that is wrong.
    #[error("the MAC of an encrypted content key is wrong")]
    Mac,
    /// A content key that is not 16 bytes.
    #[error("an encrypted content key is not 16 bytes with padding")]
    ContentKey,
}

/// Us, as those that keys are encrypted to. It holds a private key and so has no `Debug`.
pub struct Recipient {
    certificate: CertificateDer<'static>,
    private_key: OaepPrivateDecryptingKey,
}

impl Recipient {
    /// Reads a certificate and its private key, both in PEM.
    ///
    /// # Errors
    /// When one cannot be read, is too weak, or they do not belong together.
    pub fn new(certificate: &str, private_key: &Secret) -> Result<Self, Error> {
        if certificate.len() > limits::MAX_PEM_BYTES {
            return Err(Error::Certificate);
        }
        if private_key.reveal().len() > limits::MAX_PEM_BYTES {
            return Err(Error::PrivateKey);
        }
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| Error::Certificate)?;
        let pkcs8 =
            PrivatePkcs8KeyDer::from_pem_slice(private_key.reveal().as_bytes()).map_err(|_| Error::PrivateKey)?;
        let private_key = PrivateDecryptingKey::from_pkcs8(pkcs8.secret_pkcs8_der()).map_err(|_| Error::PrivateKey)?;
        if private_key.key_size_bits() < limits::MIN_RSA_BITS {
            return Err(Error::PrivateKey);
        }
        let own: PublicKeyX509Der<'_> = private_key.public_key().as_der().map_err(|_| Error::PrivateKey)?;
        let end_entity = webpki::EndEntityCert::try_from(&certificate).map_err(|_| Error::Certificate)?;
        if end_entity.subject_public_key_info().as_ref() != own.as_ref() {
            return Err(Error::NotAPair);
        }
        let private_key = OaepPrivateDecryptingKey::new(private_key).map_err(|_| Error::PrivateKey)?;
        Ok(Self { certificate, private_key })
    }

    /// The certificate in DER, to be sent.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The keys of a document, from the delivery that is for our certificate. A delivery without a certificate is for us when
    /// it is the only one.
    ///
    /// # Errors
    /// When there is none, or its keys do not open.
    pub fn document_keys(&self, deliveries: &[Delivery]) -> Result<DocumentKeys, Error> {
        let ours = |delivery: &&Delivery| delivery.certificate.as_deref() == Some(self.certificate.as_ref());
        let delivery = match (deliveries.iter().find(ours), deliveries) {
            (Some(delivery), _) => delivery,
            (None, [only]) if only.certificate.is_none() => only,
            _ => return Err(Error::NoDelivery),
        };
        let document_key = self.unwrapped(delivery.document_key.as_deref())?;
        let mac_key = self.unwrapped(delivery.mac_key.as_deref())?;
        if document_key.len() != DOCUMENT_KEY_BYTES || mac_key.len() != MAC_KEY_BYTES {
            return Err(Error::DeliveryKeys);
        }
        Ok(DocumentKeys { document_key, mac_key: hmac::Key::new(hmac::HMAC_SHA512, &mac_key) })
    }

    fn unwrapped(&self, wrapped: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let wrapped = wrapped.ok_or(Error::DeliveryKeys)?;
        let mut room = Zeroizing::new(vec![0; self.private_key.min_output_size()]);
        let key = self.private_key.decrypt(&OAEP_SHA1_MGF1SHA1, wrapped, &mut room, None);
        let key = key.map_err(|_| Error::DeliveryKeys)?;
        Ok(Zeroizing::new(key.to_vec()))
    }
}

/// The keys that content keys of one document are encrypted and authenticated with.
pub struct DocumentKeys {
    document_key: Zeroizing<Vec<u8>>,
    mac_key: hmac::Key,
}

impl DocumentKeys {
    /// A content key.
    ///
    /// # Errors
    /// When its MAC is wrong, or it is not a key.
    pub fn open(&self, key: &EncryptedKey) -> Result<ContentKeyBytes, Error> {
        // In constant time, and before anything is decrypted.
        hmac::verify(&self.mac_key, &key.cipher_value, &key.mac).map_err(|_| Error::Mac)?;
        let (iv, ciphertext) = key.cipher_value.split_first_chunk::<IV_BYTES>().ok_or(Error::ContentKey)?;
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        let cipher = UnboundCipherKey::new(&AES_256, &self.document_key).map_err(|_| Error::ContentKey)?;
        let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(cipher).map_err(|_| Error::ContentKey)?;
        let iv = DecryptionContext::Iv128(FixedLength::from(iv));
        let plain = cipher.decrypt(&mut plain, iv).map_err(|_| Error::ContentKey)?;
        let key = <[u8; 16]>::try_from(&*plain).map_err(|_| Error::ContentKey)?;
        Ok(ContentKeyBytes::new(key))
    }
}
