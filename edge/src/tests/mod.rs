//! The edge driven natively, with a fake in place of the host.

mod access;
mod channel;
mod documents;
mod fake;
mod hostile;
mod live;
mod origin;
mod push;
mod requests;
mod timeline;
