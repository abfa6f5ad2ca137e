//! The archive of a channel.

use super::now_ms;
use super::rules::{Entry, Rules, Snapshot};
use crate::http::Client;
use crate::playlist::Multivariant;

/// How far back it looks, seconds.
const BACK: u64 = 3600;

/// A query for everything that an endpoint of HLS at `url` has: `start` and `vodend`.
pub fn whole_window(client: &Client, url: &str) -> String {
    let start = format!("{url}?start={}", now_ms() / 1000 - BACK);
    let lists = Multivariant::fetch(client, &start).media_urls();
    let list = Snapshot::read(&client.get(&lists[0]).text()).expect("a media playlist");
    Rules::default().check(&list).expect("the rules");
    let [first, last] = [list.entries.first(), list.entries.last()].map(|entry| entry.expect("segments"));
    let date = |entry: &Entry| entry.date_ms.expect("a date") as f64 / 1000.0;
    format!("start={:.3}&vodend={:.3}", date(first), date(last) + last.duration)
}
