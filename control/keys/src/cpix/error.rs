//! What can be wrong with a document.

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} at byte {at}: {kind}")]
pub struct Error {
    /// The element, or `element@attribute`; `document` for what is not within one.
    pub place: String,
    /// Where the element ends its start tag, in bytes from the start of the document.
    pub at: u64,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// Not XML.
    #[error("not well-formed: {0}")]
    Malformed(&'static str),
    /// A document type declaration.
    #[error("a document type declaration is not allowed")]
    Dtd,
    /// An entity other than the five of XML.
    #[error("an entity is not allowed")]
    Entity,
    /// A prefix without a namespace.
    #[error("a prefix without a namespace")]
    Prefix,
    /// A limit.
    #[error("more than {0}")]
    Limit(&'static str),
    /// A child or attribute that has to be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A child, attribute or value that is there twice.
    #[error("{0} is there more than once")]
    Repeated(&'static str),
    /// A value that is not what it should be.
    #[error("not {0}")]
    Value(&'static str),
    /// A key, or a system, that no content key belongs to.
    #[error("no content key has this identifier")]
    UnknownKid,
    /// Something that decides which tracks use a key and is not known, so that the rule cannot be followed.
    #[error("{0} is not supported, so which tracks use this key is unknown")]
    Filter(String),
}

/// Result of reading a document.
pub type Result<T> = core::result::Result<T, Error>;
