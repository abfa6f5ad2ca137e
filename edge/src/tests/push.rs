//! Signed pushes.

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use futures::executor::block_on;
use futures::future::join;
use packager::config::{Acknowledgement, Batch, DOCUMENT_VERSION, Document, PUSH_PATH, signed_message};
use packager::limits;

use super::fake::{Fake, ask, asset, body, configuration, deleted, edge, send};
use crate::admin::MAX_AGE_MS;
use crate::answer::Answer;
use crate::serve::{Edge, Method};

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn edge_with_key() -> Rc<Edge<Fake>> {
    let edge = edge();
    edge.platform.public_key.replace(hex::encode(key().verifying_key().to_bytes()));
    edge
}

fn batch(edge: &Edge<Fake>, sequence: u64, documents: Vec<Document>) -> Batch {
    Batch {
        version: DOCUMENT_VERSION,
        edge: "e1".into(),
        sequence,
        issued_at: edge.platform.unix_ms.get(),
        revision: 70,
        documents,
    }
}

async fn put(edge: &Rc<Edge<Fake>>, json: Vec<u8>) -> Answer<Fake> {
    let signature = STANDARD.encode(key().sign(&signed_message(&json)).to_bytes());
    send(edge, Method::Put, PUSH_PATH, &[("edgepack-signature", &signature)], json).await
}

async fn push(edge: &Rc<Edge<Fake>>, batch: &Batch) -> Answer<Fake> {
    put(edge, serde_json::to_vec(batch).unwrap()).await
}

#[test]
fn a_good_push_is_taken_and_acknowledged() {
    block_on(async {
        let edge = edge_with_key();
        let answer = push(&edge, &batch(&edge, 5, vec![configuration(1), asset(2)])).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        let acknowledgement: Acknowledgement = serde_json::from_slice(&body(answer).await).unwrap();
        assert_eq!(acknowledgement, Acknowledgement { sequence: 5, revision: 70 });
        assert_eq!(edge.platform.stored.borrow().len(), 3);
        let health: serde_json::Value =
            serde_json::from_slice(&body(ask(&edge, Method::Get, "/healthz", &[]).await).await).unwrap();
        assert_eq!((&health["sequence"], &health["revision"]), (&5.into(), &70.into()));
    });
}

#[test]
fn whatever_is_wrong_with_a_push_changes_nothing() {
    block_on(async {
        let edge = edge_with_key();
        assert_eq!(push(&edge, &batch(&edge, 5, vec![asset(2)])).await.status, 200);
        let before = edge.platform.stored.borrow().clone();
        let now = edge.platform.unix_ms.get();
        let good = batch(&edge, 6, vec![asset(9)]);

        let refused = [
            (401, Batch { edge: "e2".into(), ..good.clone() }),
            (401, Batch { issued_at: now - MAX_AGE_MS - 1, ..good.clone() }),
            (401, Batch { issued_at: now + MAX_AGE_MS + 1, ..good.clone() }),
            (401, Batch { issued_at: u64::MAX, ..good.clone() }),
            (409, Batch { sequence: 5, ..good.clone() }),
            (409, Batch { sequence: 0, ..good.clone() }),
            (400, Batch { version: 2, ..good.clone() }),
            (400, Batch { documents: vec![asset(9), Document { version: 2, ..asset(9) }], ..good.clone() }),
            (
                400,
                Batch { documents: vec![Document { key: "edgepack".into(), ..deleted(&asset(1), 9) }], ..good.clone() },
            ),
            (400, Batch { documents: vec![Document { key: "asset/g/b".into(), ..asset(9) }], ..good.clone() }),
            (400, Batch { documents: vec![deleted(&asset(1), 9); limits::MAX_BATCH_DOCUMENTS + 1], ..good.clone() }),
        ];
        for (status, batch) in refused {
            let answer = push(&edge, &batch).await;
            assert_eq!(answer.status, status, "{batch:?}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
        }
        let json = serde_json::to_vec(&good).unwrap();
        let signature = key().sign(&signed_message(&json)).to_bytes();
        let mut flipped = signature;
        flipped[10] ^= 1;
        let bare = key().sign(&json).to_bytes();
        let other = SigningKey::from_bytes(&[8; 32]).sign(&signed_message(&json)).to_bytes();
        for signature in [&flipped[..], &bare, &other, &signature[..63], &[]] {
            let field = STANDARD.encode(signature);
            let headers = [("edgepack-signature", field.as_str())];
            assert_eq!(send(&edge, Method::Put, PUSH_PATH, &headers, json.clone()).await.status, 401);
        }
        assert_eq!(send(&edge, Method::Put, PUSH_PATH, &[], json.clone()).await.status, 401);
        let field = STANDARD.encode(signature);
        let twice = [("edgepack-signature", field.as_str()), ("edgepack-signature", field.as_str())];
        assert_eq!(send(&edge, Method::Put, PUSH_PATH, &twice, json.clone()).await.status, 401);
        let mut longer = json.clone();
        longer.push(b' ');
        assert_eq!(send(&edge, Method::Put, PUSH_PATH, &[("edgepack-signature", &field)], longer).await.status, 401);
        assert_eq!(put(&edge, b"{}".to_vec()).await.status, 400);
        assert_eq!(put(&edge, vec![b' '; limits::MAX_BATCH_BYTES + 1]).await.status, 413);
        let announced = [("content-length", "8388609"), ("edgepack-signature", field.as_str())];
        assert_eq!(send(&edge, Method::Put, PUSH_PATH, &announced, json).await.status, 413);

        assert_eq!(*edge.platform.stored.borrow(), before);
        assert_eq!(push(&edge, &good).await.status, 200, "and the good one is still good");
    });
}

#[test]
fn a_lower_revision_does_not_replace_a_higher_one_and_a_tombstone_stays() {
    block_on(async {
        let edge = edge_with_key();
        let stored =
            |edge: &Edge<Fake>| Document::from_json(edge.platform.stored.borrow().get("asset:g:a").unwrap()).unwrap();
        for (sequence, document, expected) in [
            (1, asset(5), asset(5)),
            (2, asset(4), asset(5)),
            (3, deleted(&asset(0), 4), asset(5)),
            (4, deleted(&asset(0), 6), deleted(&asset(0), 6)),
            (5, asset(5), deleted(&asset(0), 6)),
            (6, asset(7), asset(7)),
        ] {
            assert_eq!(push(&edge, &batch(&edge, sequence, vec![document])).await.status, 200);
            assert_eq!(stored(&edge), expected, "after sequence {sequence}");
        }
    });
}

#[test]
fn two_pushes_at_a_time_are_taken_one_after_the_other() {
    block_on(async {
        let edge = edge_with_key();
        let (one, two) = (batch(&edge, 1, vec![asset(5)]), batch(&edge, 2, vec![asset(4)]));
        let (one, two) = join(push(&edge, &one), push(&edge, &two)).await;
        assert_eq!((one.status, two.status), (200, 503));
        assert_eq!(two.header("retry-after"), Some("2"));
    });
}

#[test]
fn a_store_that_fails_is_503_and_the_sequence_is_not_taken() {
    block_on(async {
        let edge = edge_with_key();
        edge.platform.store_fails.set(true);
        assert_eq!(push(&edge, &batch(&edge, 1, vec![asset(5)])).await.status, 503);
        edge.platform.store_fails.set(false);
        assert_eq!(push(&edge, &batch(&edge, 1, vec![asset(5)])).await.status, 200);
    });
}

#[test]
fn without_a_key_no_push_is_taken() {
    block_on(async {
        let edge = edge();
        for text in ["", "abc", &"00".repeat(32), &"zz".repeat(32)] {
            edge.platform.public_key.replace(text.to_owned());
            let edge = Rc::new(Edge::new(Fake { public_key: edge.platform.public_key.clone(), ..Fake::default() }));
            assert_eq!(push(&edge, &batch(&edge, 1, vec![asset(5)])).await.status, 503, "{text}");
            assert!(edge.platform.stored.borrow().is_empty());
        }
    });
}
