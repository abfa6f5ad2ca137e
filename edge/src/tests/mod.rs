//! The edge driven natively, with a fake in place of the host.

mod documents;
mod fake;
mod origin;
mod push;
mod requests;
