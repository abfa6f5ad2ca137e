//! Signed pushes from the control plane (`PUT /admin/v1/documents`).
//!
//! A push is checked in this order: size, signature, audience, time, sequence, documents. Only then is anything written,
//! the sequence last: a push that broke off is sent again and finds its own documents, which does no harm.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use packager::config::{Acknowledgement, Batch, DOCUMENT_VERSION, SIGNATURE_HEADER, signed_message};
use packager::{Error, limits};

use crate::answer::Answer;
use crate::http::Headers;
use crate::origin::{Unread, collect};
use crate::platform::Platform;
use crate::problem::{Kind, Problem};
use crate::serve::{Edge, Request};
use crate::settings::Settings;
use crate::store::{Taken, is_document_key};

/// How far the clocks of control and edge may be apart, and how long a push may take, milliseconds.
pub const MAX_AGE_MS: u64 = 300_000;

/// Who checks a push, and when.
pub struct Verifier<'a> {
    /// Control's key.
    pub public_key: &'a VerifyingKey,
    /// The audience that a push has to name.
    pub edge_name: &'a str,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub now_ms: u64,
}

impl Verifier<'_> {
    /// Checks signature, audience and time of a push, in this order, and reads it.
    ///
    /// # Errors
    /// 401 for any of the three, 400 when a body that was signed is no batch.
    pub fn batch(&self, headers: &Headers, body: &[u8]) -> Result<Batch, Problem> {
        let refused = |why: &str| Problem::new(Kind::Unauthorized, why).with("www-authenticate", CHALLENGE);
        let field = headers.get(SIGNATURE_HEADER).ok_or_else(|| refused("there is no field edgepack-signature"))?;
        let signature = STANDARD.decode(field.trim()).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
        let signature = signature.ok_or_else(|| refused("edgepack-signature is not the base64 of 64 bytes"))?;
        self.public_key
            .verify_strict(&signed_message(body), &signature)
            .map_err(|_| refused("the signature does not fit the body and control's key"))?;
        let batch: Batch = serde_json::from_slice(body).map_err(|e| Error::bad_request(format!("batch: {e}")))?;
        if batch.version != DOCUMENT_VERSION {
            return Err(Error::bad_request(format!("version {} is not {DOCUMENT_VERSION}", batch.version)).into());
        }
        if batch.edge != self.edge_name {
            return Err(refused(&format!("the push is for edge {:?}, this is {:?}", batch.edge, self.edge_name)));
        }
        if self.now_ms.abs_diff(batch.issued_at) > MAX_AGE_MS {
            return Err(refused(&format!(
                "issued_at is {}, the clock here says {}: more than {} s apart",
                batch.issued_at,
                self.now_ms,
                MAX_AGE_MS / 1000
            )));
        }
        Ok(batch)
    }
}

/// Checks the documents of a batch.
///
/// # Errors
/// 400, with the document and the field.
pub fn check_documents(batch: &Batch) -> Result<(), Problem> {
    if batch.documents.len() > limits::MAX_BATCH_DOCUMENTS {
        let detail = format!("{} documents are more than {}", batch.documents.len(), limits::MAX_BATCH_DOCUMENTS);
        return Err(Error::bad_request(detail).into());
    }
    for document in &batch.documents {
        if !is_document_key(&document.key) {
            return Err(Error::bad_request(format!("{:?} is no document key", document.key)).into());
        }
        document.check().map_err(|e| Error::bad_request(e.message()))?;
    }
    Ok(())
}

impl<P: Platform> Edge<P> {
    /// Takes a push.
    ///
    /// # Errors
    /// See [`Verifier::batch`] and [`check_documents`]; 413 when it is too large, 409 when its sequence was taken, 503
    /// when another push is being taken or the key-value store fails.
    pub async fn push(&self, settings: &Settings, mut request: Request<P::Body>) -> Result<Answer<P>, Problem> {
        let too_large = || Problem::new(Kind::TooLarge, format!("more than {} bytes", limits::MAX_BATCH_BYTES));
        let announced = request.headers.get("content-length").and_then(|n| n.parse::<u64>().ok());
        if announced.is_some_and(|n| n > limits::MAX_BATCH_BYTES as u64) {
            return Err(too_large());
        }
        let public_key = settings.public_key.as_ref().map_err(Problem::unavailable)?;
        let body = collect(&mut request.body, limits::MAX_BATCH_BYTES).await.map_err(|unread| match unread {
            Unread::TooLarge => too_large(),
            Unread::Broken(why) => Error::bad_request(format!("the body broke off: {why}")).into(),
        })?;
        let verifier = Verifier { public_key, edge_name: &settings.edge_name, now_ms: self.platform.unix_ms() };
        let batch = verifier.batch(&request.headers, &body)?;

        let Some(_flight) = self.flights.start(PUSH_FLIGHT) else {
            return Err(Problem::unavailable("another push is being taken"));
        };
        let stored = |e: String| Problem::unavailable(format!("the key-value store failed: {e}"));
        let taken = self.taken().await.map_err(stored)?;
        if batch.sequence <= taken.sequence {
            let detail = format!("sequence {} is not greater than {}", batch.sequence, taken.sequence);
            return Err(Problem::new(Kind::OldSequence, detail));
        }
        check_documents(&batch)?;
        let acknowledgement = Acknowledgement { sequence: batch.sequence, revision: batch.revision };
        for document in batch.documents {
            self.replace(settings, document).await.map_err(stored)?;
        }
        self.take(Taken { sequence: batch.sequence, revision: batch.revision }).await.map_err(stored)?;
        let body = serde_json::to_vec(&acknowledgement).map_err(|e| Error::internal(e.to_string()))?;
        Ok(Answer::new(200).with("cache-control", "no-store").body("application/json", body))
    }
}

/// For `WWW-Authenticate`, which every 401 has (RFC 9110, 15.5.2).
const CHALLENGE: &str = "EdgepackSignature realm=\"push\"";

/// One push at a time in an instance; not a key of any document.
const PUSH_FLIGHT: &str = "push";
