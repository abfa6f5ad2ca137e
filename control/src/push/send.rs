//! One push: what an edge lacks, signed and sent.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use packager::config::{
    Acknowledgement, Batch, DOCUMENT_VERSION, Document, PUSH_PATH, SIGNATURE_HEADER, signed_message,
};
use packager::limits::{MAX_BATCH_BYTES, MAX_BATCH_DOCUMENTS};

use crate::clock;
use crate::context::Context;
use crate::db::{documents, edges};
use crate::protect;

/// Room in a push for what is around the documents.
const ENVELOPE_BYTES: usize = 4096;
/// How far the sequence jumps when an edge has seen a greater one, e.g. from a control plane whose data was lost.
const SEQUENCE_JUMP: i64 = 1 << 32;
/// The most of an edge's answer that is shown as its error.
const MAX_ERROR_CHARS: usize = 500;

/// How a push ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The edge has everything.
    Complete,
    /// The edge took the batch and lacks more.
    More,
    /// It did not work; why is written to the edge's row.
    Failed,
    /// The edge has seen a greater sequence, which the next push will pass.
    SequenceJumped,
}

/// Pushes one batch to the edge with row `id`, if it lacks anything.
///
/// # Errors
/// When the database fails; failures of the edge are an [`Outcome`].
pub async fn push_once(context: &Context, id: i64) -> Result<Outcome> {
    let mut tx = context.db.snapshot().await?;
    let Some(edge) = edges::get(&mut tx, id).await? else { return Ok(Outcome::Complete) };
    let desired = documents::revision(&mut tx).await?;
    if edge.acknowledged_revision >= desired {
        return Ok(Outcome::Complete);
    }
    let limit = i64::try_from(MAX_BATCH_DOCUMENTS)?;
    let rows = documents::since(&mut tx, edge.acknowledged_revision, limit).await?;
    drop(tx);
    let (documents, revision) = fit(rows, desired)?;
    let seal = |document| protect::documents::for_edge(context, &edge.name, document);
    let documents = documents.into_iter().map(seal).collect::<Result<Vec<_>>>()?;

    // The sequence is taken before it is used: after a crash the next one is still greater.
    let mut tx = context.db.write().await?;
    let Some(sequence) = edges::next_sequence(&mut tx, id, clock::now_ms()).await? else {
        return Ok(Outcome::Complete);
    };
    tx.commit().await?;

    let batch = Batch {
        version: DOCUMENT_VERSION,
        edge: edge.name.clone(),
        sequence: sequence.unsigned_abs(),
        issued_at: clock::now_ms().unsigned_abs(),
        revision: revision.unsigned_abs(),
        documents,
    };
    let result = send(context, &edge, &batch).await;
    let mut tx = context.db.write().await?;
    let outcome = match result {
        Ok(Answer::Taken) => {
            edges::acknowledge(&mut tx, &edge, revision, clock::now_ms()).await?;
            metrics::gauge!("control_acknowledged_revision", "edge" => edge.name.clone()).set(revision as f64);
            tracing::info!(edge = edge.name, revision, documents = batch.documents.len(), "pushed");
            if revision < desired { Outcome::More } else { Outcome::Complete }
        }
        Ok(Answer::Refused { status, detail }) => {
            let error = format!("{status}: {detail}");
            tracing::warn!(edge = edge.name, error, "the edge refused a push");
            edges::set_error(&mut tx, &edge, &error, Some(clock::now_ms())).await?;
            if status == StatusCode::CONFLICT {
                edges::next_sequence(&mut tx, id, sequence.saturating_add(SEQUENCE_JUMP)).await?;
                Outcome::SequenceJumped
            } else {
                Outcome::Failed
            }
        }
        Err(error) => {
            let error = format!("{error:#}");
            tracing::warn!(edge = edge.name, error, "the edge could not be reached");
            edges::set_error(&mut tx, &edge, &error, None).await?;
            Outcome::Failed
        }
    };
    tx.commit().await?;
    let result = if matches!(outcome, Outcome::Complete | Outcome::More) { "taken" } else { "failed" };
    metrics::counter!("control_pushes_total", "edge" => edge.name, "result" => result).increment(1);
    Ok(outcome)
}

/// As many documents as fit into one push, and the revision up to which the edge is complete with them.
fn fit(rows: Vec<(i64, String)>, desired: i64) -> Result<(Vec<Document>, i64)> {
    let all = rows.len() < MAX_BATCH_DOCUMENTS;
    let mut documents = Vec::with_capacity(rows.len());
    let (mut bytes, mut last) = (ENVELOPE_BYTES, 0);
    for (revision, json) in rows {
        bytes += json.len() + 1;
        if bytes > MAX_BATCH_BYTES && !documents.is_empty() {
            return Ok((documents, last));
        }
        documents.push(Document::from_json(json.as_bytes()).context("a stored document")?);
        last = revision;
    }
    Ok((documents, if all { desired } else { last }))
}

enum Answer {
    Taken,
    Refused { status: StatusCode, detail: String },
}

async fn send(context: &Context, edge: &edges::Edge, batch: &Batch) -> Result<Answer> {
    let body = serde_json::to_vec(batch)?;
    let signature = STANDARD.encode(context.secrets.push.sign(&signed_message(&body)));
    let request = Request::builder()
        .method(Method::PUT)
        .uri(format!("{}{PUSH_PATH}", edge.url))
        .header(header::CONTENT_TYPE, "application/json")
        .header(SIGNATURE_HEADER, signature)
        .body(Full::new(Bytes::from(body)))?;
    let (status, answer) = context.client.send(request).await?;
    if status != StatusCode::OK {
        return Ok(Answer::Refused { status, detail: explanation(&answer) });
    }
    let expected = Acknowledgement { sequence: batch.sequence, revision: batch.revision };
    match serde_json::from_slice::<Acknowledgement>(&answer) {
        Ok(acknowledgement) if acknowledgement == expected => Ok(Answer::Taken),
        _ => Ok(Answer::Refused { status, detail: "the answer does not acknowledge the push".to_owned() }),
    }
}

/// The detail of a problem document, else the start of the text.
fn explanation(answer: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(answer).ok();
    let detail = problem.as_ref().and_then(|p| p.get("detail")).and_then(|d| d.as_str()).map(str::to_owned);
    let text = detail.unwrap_or_else(|| String::from_utf8_lossy(answer).into_owned());
    text.chars().filter(|c| !c.is_control()).take(MAX_ERROR_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use packager::config::Body;

    fn rows(count: usize, key_bytes: usize) -> Vec<(i64, String)> {
        (1..=count)
            .map(|n| {
                let document = Document::new(format!("{n}{}", "x".repeat(key_bytes)), n as u64, Body::Deleted);
                (n as i64, serde_json::to_string(&document).unwrap())
            })
            .collect()
    }

    #[test]
    fn a_batch_says_what_it_completes() {
        let (documents, revision) = fit(rows(3, 1), 9).unwrap();
        assert_eq!((documents.len(), revision), (3, 9), "nothing after them is missing");
        let (documents, revision) = fit(rows(MAX_BATCH_DOCUMENTS, 1), 9999).unwrap();
        assert_eq!((documents.len(), revision), (MAX_BATCH_DOCUMENTS, MAX_BATCH_DOCUMENTS as i64));
        let (documents, revision) = fit(rows(10, 1 << 20), 10).unwrap();
        assert!((5..8).contains(&documents.len()), "{}", documents.len());
        assert_eq!(revision, documents.len() as i64);
    }
}
