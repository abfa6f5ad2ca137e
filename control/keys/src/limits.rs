//! Every maximum, with its reason.

use core::time::Duration;

/// A CPIX document. A hundred keys for five systems need about 300 KiB.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// Content keys of one document.
pub const MAX_KEYS: usize = 1000;
/// Provider URL with its headers, as the product defines it.
pub const MAX_URL_CHARACTERS: usize = 512;
/// A content id. It stands in the URL and in every document.
pub const MAX_CONTENT_ID_BYTES: usize = 256;
/// Key periods of one request: a document has a key per class and period.
pub const MAX_PERIODS: usize = 100;
/// Tokens that may stand in for parts of a provider URL.
pub const MAX_TOKENS: usize = 16;
/// One such token.
pub const MAX_TOKEN_BYTES: usize = 512;
/// A user name or password of Basic authentication.
pub const MAX_CREDENTIAL_BYTES: usize = 256;
/// A certificate or private key in PEM: RSA-4096 needs 3.3 KiB.
pub const MAX_PEM_BYTES: usize = 16 << 10;
/// The weakest RSA key that documents are encrypted to (SPEKE asks for 2048).
pub const MIN_RSA_BITS: usize = 2048;

/// Time to connect to a key server.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for one exchange, to the end of the answer.
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);

/// Elements of one XML document.
pub const MAX_ELEMENTS: usize = 100_000;
/// Elements within each other; an encrypted key is 9 deep.
pub const MAX_DEPTH: usize = 32;
/// Attributes of one element, namespaces included; looking for duplicates is quadratic.
pub const MAX_ATTRIBUTES: usize = 32;
/// Namespaces in scope.
pub const MAX_NAMESPACES: usize = 64;
/// Characters of a name from a document in an error.
pub const MAX_SHOWN_NAME_CHARACTERS: usize = 64;
/// Systems for one key in a document.
pub const MAX_SYSTEMS: usize = 10;

/// Name of a token in a provider URL.
pub const MAX_TOKEN_NAME_BYTES: usize = 64;
/// Attempts of one exchange.
pub const ATTEMPTS: u32 = 3;
/// Pause before the second attempt.
pub const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
pub const MAX_PAUSE: Duration = Duration::from_secs(10);
/// Of an answer that is an error, what is read.
pub const MAX_SHOWN_ANSWER_BYTES: usize = 64 << 10;
/// Of an answer that is an error, what is shown.
pub const MAX_SHOWN_ANSWER_CHARACTERS: usize = 200;
/// Runs of letters and digits that could be a part of a key: 16 bytes are 22 characters of base64.
pub const MIN_HIDDEN_CHARACTERS: usize = 16;
