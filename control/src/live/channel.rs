//! The loop of one channel: what was pushed becomes positions of its timeline.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use packager::config::{DOCUMENT_VERSION, Removed, Timeline};
use packager::index::Head;
use packager::ingest::live::{Checked, Position, Reader, Set, gap, position};
use packager::limits::POSITION_SECONDS;
use packager::media::time::Instant;
use packager::source::hls::Container;

use super::input::{Input, Named, Piece, Taken};
use super::line::{Decision, FIRST_NS, Take};
use super::publish::Published;
use super::state::{NewPosition, OpenPosition, State};
use crate::clock;
use crate::context::Context;
use crate::db::channels::{Channel as Row, ChannelProtocol};
use crate::db::uploads::Upload;
use crate::db::{timelines, uploads};

/// How much of a segment is read back at once.
const READ_BYTES: u64 = 1 << 20;
/// How long after its end a channel whose encoder said so counts as over. An encoder that is started anew comes back earlier.
const END_MS: i64 = 60_000;
/// How long a segment waits for a playlist that names it.
const UNNAMED_MS: i64 = 600_000;
/// The row of no position.
const NOWHERE: i64 = -1;

/// A channel.
pub struct Channel {
    context: Context,
    row: Row,
    inputs: [Input; 2],
    state: Option<State>,
    known: BTreeSet<i64>,
    published: Arc<Published>,
    /// When something came last.
    active_ms: i64,
    /// The line follows a clock of which the timeline has nothing yet.
    broken: bool,
}

impl Channel {
    /// Takes up a channel where it was left.
    ///
    /// # Errors
    /// When the database or the storage fails, or what is in them does not belong together.
    pub async fn open(context: Context, row: Row, published: Arc<Published>) -> Result<Self> {
        let inputs = [Input::new(0), Input::new(1)];
        let active_ms = clock::now_ms();
        let mut channel =
            Self { context, row, inputs, state: None, known: BTreeSet::new(), published, active_ms, broken: false };
        channel.restore().await?;
        channel.publish();
        channel.published.open();
        Ok(channel)
    }

    /// Takes note of what the operator changed.
    pub fn set_row(&mut self, row: Row) {
        if let Some(state) = &mut self.state
            && (state.timeline.channel_group != row.channel_group || state.timeline.channel != row.name)
        {
            state.timeline.channel_group.clone_from(&row.channel_group);
            state.timeline.channel.clone_from(&row.name);
            state.timeline.revision += 1;
            self.published.publish(&state.document(), &state.line);
        }
        self.row = row;
    }

    async fn restore(&mut self) -> Result<()> {
        let mut db = self.context.db.read().await?;
        let Some(json) = timelines::state(&mut db, self.row.id).await? else { return Ok(()) };
        let mut state = State::from_json(&json)?;
        let first = i64::try_from(state.open_first)?;
        let rows = timelines::since(&mut db, self.row.id, (first - 1).max(0)).await?;
        drop(db);
        let (mut last, mut open) = (None, Vec::new());
        for row in rows {
            let head = row.head.as_deref().context("a position without its head")?;
            let head = read_head(head)?;
            if row.number < first {
                last = Some(head);
                continue;
            }
            let path = state.timeline.blocks_path(row.number.unsigned_abs());
            let bytes: u64 = head.tracks.iter().flat_map(|t| &t.fragments).map(|f| u64::from(f.block_bytes)).sum();
            let blocks = match bytes {
                0 => Bytes::new(),
                bytes => self.context.indexes.read(&path, 0..bytes, None).await?,
            };
            open.push(OpenPosition { head, blocks: blocks.to_vec(), start_us: row.start_us.unsigned_abs() });
        }
        state.restore(last, open)?;
        self.state = Some(state);
        self.set_row(self.row.clone());
        Ok(())
    }

    /// Takes what has come, and makes the positions that can be made. Answers when to look again though nothing comes,
    /// milliseconds since 1970.
    ///
    /// # Errors
    /// When the database or the storage fails; nothing that was acknowledged is lost then.
    pub async fn tick(&mut self) -> Result<Option<i64>> {
        self.take_uploads().await?;
        let mut wait = None;
        loop {
            let now = clock::now_ms();
            let offers: Vec<_> = self.inputs.iter().flat_map(Input::offers).collect();
            let position_ms = self.position_ms();
            let decision = match &mut self.state {
                Some(state) => {
                    let epoch = i64::try_from(state.timeline.epoch_ms).ok();
                    state.line.decide(&offers, epoch, position_ms, now)
                }
                None if offers.is_empty() => break,
                None => {
                    let mut state = State::new(self.begin());
                    let decision = state.line.decide(&offers, None, position_ms, now);
                    if let Decision::Take(take) = &decision
                        && let Some(offer) = offers.iter().find(|o| o.key == take.key)
                    {
                        let length = offer.end.in_timescale(1000) - offer.start.in_timescale(1000);
                        let epoch = offer.ready_ms - length - FIRST_NS / 1_000_000;
                        state.timeline.epoch_ms = epoch.max(0).unsigned_abs();
                        self.state = Some(state);
                    }
                    decision
                }
            };
            match decision {
                Decision::Take(take) => self.take(&take).await?,
                Decision::Gap { positions, until_ns } => self.gap(positions, until_ns).await?,
                Decision::Skip { key, overlaps } => self.skip(key, overlaps).await?,
                Decision::Wait(until) => {
                    wait = Some(until);
                    break;
                }
                Decision::Rest => break,
            }
        }
        let end = self.end().await?;
        Ok(match (wait, end) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        })
    }

    /// How long a position is, milliseconds.
    fn position_ms(&self) -> i64 {
        let seconds = self.state.as_ref().map_or_else(|| self.announced(), |s| s.timeline.position_seconds);
        i64::from(seconds) * 1000
    }

    /// How long the encoder says that its segments are at most, in seconds; else what the operator said.
    fn announced(&self) -> u32 {
        let target = self.inputs.iter().map(Input::target_seconds).max().unwrap_or(0);
        let target = u32::try_from(target).ok().filter(|t| *t > 0);
        let seconds = target.unwrap_or_else(|| u32::try_from(self.row.segment_duration_seconds).unwrap_or(6));
        seconds.clamp(*POSITION_SECONDS.start(), *POSITION_SECONDS.end())
    }

    fn begin(&self) -> Timeline {
        Timeline {
            version: DOCUMENT_VERSION,
            channel_group: self.row.channel_group.clone(),
            channel: self.row.name.clone(),
            id: self.row.uid.clone(),
            revision: 0,
            published_ms: 0,
            epoch_ms: 0,
            position_seconds: self.announced(),
            ended: false,
            first: 0,
            next: 0,
            periods: Vec::new(),
            before: Removed::default(),
            listings: Vec::new(),
            parts: Vec::new(),
            open: None,
        }
    }

    /// What the paths of its media begin with.
    fn prefix(&self) -> String {
        format!("live/{}/media/", self.row.uid)
    }

    async fn take_uploads(&mut self) -> Result<()> {
        let mut db = self.context.db.read().await?;
        let new = timelines::open_uploads(&mut db, self.row.id).await?;
        let mut playlists = Vec::new();
        for input in crate::db::channel_inputs::INPUTS {
            playlists.push(uploads::playlists(&mut db, self.row.id, input).await?);
        }
        drop(db);
        let mut given_up = Vec::new();
        for (input, playlists) in self.inputs.iter_mut().zip(&playlists) {
            for playlist in playlists {
                if !input.knows_playlist(playlist) {
                    given_up.extend(input.set_playlist(playlist));
                    self.active_ms = self.active_ms.max(playlist.received_ms);
                }
            }
        }
        let open: BTreeSet<i64> = new.iter().map(|u| u.id).collect();
        for upload in new {
            if self.known.insert(upload.id)
                && let Some(input) = self.inputs.get_mut(usize::try_from(upload.input - 1)?)
            {
                self.active_ms = self.active_ms.max(upload.received_ms);
                input.add(upload);
            }
        }
        self.known.retain(|id| open.contains(id));
        for number in 0..self.inputs.len() {
            while let Some(named) = self.inputs.get_mut(number).and_then(Input::next_named) {
                given_up.extend(self.read_segment(number, named).await?);
            }
            given_up.extend(self.inputs.get_mut(number).map(Input::spare_inits).unwrap_or_default());
        }
        self.place(&given_up, NOWHERE).await
    }

    /// Reads a segment and hands it to its input. Answers the rows that are given up for it, or its own.
    async fn read_segment(&mut self, number: usize, named: Named) -> Result<Vec<i64>> {
        let Named { upload, rendition, init, discontinuity } = named;
        let checked = match self.check(&upload, init.as_ref()).await? {
            Ok(checked) => checked,
            Err(reason) => {
                tracing::warn!(channel = self.row.name, input = number + 1, segment = upload.name, reason, "unusable");
                self.published.note(number, format!("{}: {reason}", upload.name));
                return Ok(vec![upload.id]);
            }
        };
        let piece = Piece { upload: upload.id, received_ms: upload.received_ms, checked, discontinuity };
        let position_ms = self.position_ms();
        Ok(self.inputs.get_mut(number).map(|i| i.insert(rendition, piece, position_ms)).unwrap_or_default())
    }

    async fn check(&self, upload: &Upload, init: Option<&Upload>) -> Result<Result<Checked, String>> {
        let path = upload.path.clone().unwrap_or_default();
        let bytes = upload.bytes.unsigned_abs();
        let container = match self.row.protocol {
            ChannelProtocol::Hls => Container::Transport,
            ChannelProtocol::HlsCmaf => Container::Fragments,
        };
        let mut reader = Reader::new(path.clone(), bytes, upload.etag.clone(), container);
        if let Some(init) = init {
            let path = init.path.clone().unwrap_or_default();
            let section = self.context.media.read(&path, 0..init.bytes.unsigned_abs(), None).await?;
            if let Err(error) = reader.initialization(&path, &section) {
                return Ok(Err(format!("{}: {error}", init.name)));
            }
        }
        let mut at = 0;
        while at < bytes {
            let end = (at + READ_BYTES).min(bytes);
            let piece = self.context.media.read(&path, at..end, upload.etag.as_deref()).await?;
            if let Err(error) = reader.push(&piece) {
                return Ok(Err(error.to_string()));
            }
            at = end;
        }
        Ok(reader.finish().map_err(|error| error.to_string()))
    }

    async fn take(&mut self, take: &Take) -> Result<()> {
        let prefix = self.prefix();
        let Some(input) = self.inputs.get_mut(take.input) else { return Ok(()) };
        let Some(Taken { uploads, unfit, segments, start, end }) = input.take(take.key) else { return Ok(()) };
        if !unfit.is_empty() {
            self.published.note(take.input, "segments of some renditions last longer than those of others".to_owned());
        }
        let Some(state) = &self.state else { return Ok(()) };
        let at = Instant { ticks: take.at_ticks, timescale: start.timescale };
        let until = Instant { ticks: at.ticks.saturating_add(end.ticks - start.ticks), timescale: start.timescale };
        let discontinuity = take.discontinuity || self.broken;
        let layout = if discontinuity { None } else { state.layout()? };
        let set = Set { multivariant: input.multivariant(), segments, prefix: &prefix };
        match position(set, at, layout.as_ref()) {
            Ok(made) => {
                let span = (microseconds(at), microseconds(until));
                self.add(made, span, discontinuity, Some((take.input, &uploads))).await?;
                self.broken = false;
                self.place(&unfit, NOWHERE).await
            }
            Err(error) => {
                tracing::warn!(channel = self.row.name, input = take.input + 1, %error, "a position is lost");
                self.published.note(take.input, error.to_string());
                self.place(&uploads, NOWHERE).await?;
                self.place(&unfit, NOWHERE).await?;
                let end_ns = until.nanoseconds();
                match layout {
                    Some(_) => self.fill(1, end_ns).await,
                    None => {
                        // The clock is the new one, although nothing of it could be used yet.
                        self.broken = discontinuity;
                        if self.state.as_ref().is_some_and(|s| s.timeline.next == 0) {
                            self.state = None;
                        }
                        Ok(())
                    }
                }
            }
        }
    }

    async fn gap(&mut self, positions: u32, until_ns: i64) -> Result<()> {
        if let Some(state) = &mut self.state {
            state.line.pass(until_ns);
        }
        self.fill(positions, until_ns).await
    }

    /// Makes positions without media up to a presentation time.
    async fn fill(&mut self, positions: u32, until_ns: i64) -> Result<()> {
        let Some(state) = &self.state else { return Ok(()) };
        let Some(layout) = state.layout()? else { return Ok(()) };
        let from = state.timeline.periods.last().map_or(0, |p| p.end_us);
        let until = u64::try_from(until_ns / 1000).unwrap_or(0).max(from);
        let at = |n: u32| from + (until - from) * u64::from(n) / u64::from(positions.max(1));
        for n in 0..positions {
            let instant = |us: u64| Instant { ticks: i64::try_from(us).unwrap_or(i64::MAX), timescale: 1_000_000 };
            let made = gap(&layout, instant(at(n)), instant(at(n + 1)))?;
            self.add(made, (at(n), at(n + 1)), false, None).await?;
        }
        metrics::counter!("control_live_gaps_total").increment(u64::from(positions));
        Ok(())
    }

    /// Adds a position to the timeline: blocks first, then the database, then the edges hear of it.
    async fn add(
        &mut self,
        made: Position,
        (start_us, end_us): (u64, u64),
        discontinuity: bool,
        from: Option<(usize, &[i64])>,
    ) -> Result<()> {
        let (input, uploads) = from.unzip();
        let begin = match &self.state {
            Some(state) => state.begin(&made, discontinuity, input.is_none()),
            None => return Ok(()),
        };
        if self.state.as_ref().is_some_and(|s| s.is_full(begin)) {
            self.close_part().await?;
        }
        let Some(state) = &mut self.state else { return Ok(()) };
        if let Some(change) = &made.change {
            tracing::info!(channel = self.row.name, change, "a new period begins");
        }
        let number = state.timeline.next;
        if !made.blocks.is_empty() {
            let path = state.timeline.blocks_path(number);
            self.context.indexes.write(&path, made.blocks.clone().into()).await?;
        }
        let now = clock::now_ms();
        let row = timelines::Position {
            number: i64::try_from(number)?,
            input: input.and_then(|n| i64::try_from(n + 1).ok()),
            start_us: i64::try_from(start_us)?,
            end_us: i64::try_from(end_us)?,
            made_ms: now,
            head: Some(made.head.write()),
        };
        let is_gap = input.is_none();
        state.timeline.published_ms = now.unsigned_abs();
        state.timeline.ended = false;
        state.push(NewPosition { position: made, start_us, end_us, begin, is_gap })?;
        let mut tx = self.context.db.write_together().await?;
        timelines::insert(&mut tx, self.row.id, &row).await?;
        timelines::place(&mut tx, uploads.unwrap_or_default(), row.number).await?;
        timelines::put_state(&mut tx, self.row.id, &state.to_json()).await?;
        tx.commit().await?;
        metrics::counter!("control_live_positions_total").increment(1);
        self.publish();
        Ok(())
    }

    /// Writes the open part, and a listing when it is time for one. Viewers notice nothing.
    async fn close_part(&mut self) -> Result<()> {
        let Some(state) = &mut self.state else { return Ok(()) };
        let Some((entry, bytes)) = state.part()? else { return Ok(()) };
        self.context.indexes.write(&state.timeline.part_path(entry.first), bytes.into()).await?;
        state.close(entry);
        if let Some((entry, bytes)) = state.listing() {
            self.context.indexes.write(&state.timeline.listing_path(entry.first), bytes.into()).await?;
            state.list(entry);
        }
        let end = i64::try_from(state.open_first)?;
        let mut tx = self.context.db.write_together().await?;
        // The head of the last one is what the next one is held against.
        timelines::clear_heads(&mut tx, self.row.id, end - 1).await?;
        timelines::put_state(&mut tx, self.row.id, &state.to_json()).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn skip(&mut self, key: i64, overlaps: bool) -> Result<()> {
        for (number, input) in self.inputs.iter_mut().enumerate() {
            if let Some(taken) = input.take(key) {
                if overlaps {
                    self.published.misaligned(number);
                }
                self.place(&taken.uploads, NOWHERE).await?;
                return self.place(&taken.unfit, NOWHERE).await;
            }
        }
        Ok(())
    }

    async fn place(&self, uploads: &[i64], position: i64) -> Result<()> {
        if uploads.is_empty() {
            return Ok(());
        }
        let mut tx = self.context.db.write_together().await?;
        timelines::place(&mut tx, uploads, position).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends the timeline when all encoders said so and nothing has come since. Answers when that will be.
    async fn end(&mut self) -> Result<Option<i64>> {
        let ended = self.inputs.iter().any(Input::is_ended)
            && self.inputs.iter().all(|i| i.is_ended() || i.target_seconds() == 0);
        let Some(state) = &mut self.state else { return Ok(None) };
        if !ended || state.timeline.ended {
            return Ok(None);
        }
        let at = self.active_ms + END_MS;
        if clock::now_ms() < at {
            return Ok(Some(at));
        }
        state.timeline.ended = true;
        state.timeline.revision += 1;
        state.timeline.published_ms = clock::now_ms().unsigned_abs();
        let mut tx = self.context.db.write_together().await?;
        timelines::put_state(&mut tx, self.row.id, &state.to_json()).await?;
        tx.commit().await?;
        self.publish();
        Ok(None)
    }

    /// Removes what nobody can ask for any more.
    ///
    /// # Errors
    /// When the database or the storage fails; what is left is removed by a later call.
    pub async fn retain(&mut self, keep_ms: i64, blocks_ms: i64) -> Result<()> {
        let now = clock::now_ms();
        let stale: Vec<i64> = self.inputs.iter_mut().flat_map(|input| input.stale(now - UNNAMED_MS)).collect();
        self.place(&stale, NOWHERE).await?;
        let Some(state) = &mut self.state else { return Ok(()) };
        let since_us = (now - keep_ms).saturating_sub(i64::try_from(state.timeline.epoch_ms)?).saturating_mul(1000);
        let mut db = self.context.db.read().await?;
        let spare = timelines::spare_blocks(&mut db, self.row.id, now - blocks_ms).await?;
        let first = timelines::first_after(&mut db, self.row.id, since_us).await?.unwrap_or(i64::MAX);
        drop(db);
        let before: BTreeSet<String> = objects(&state.timeline);
        let revision = state.timeline.revision;
        state.forget(first.unsigned_abs());
        let first = i64::try_from(state.timeline.first)?;
        if state.timeline.revision != revision {
            state.timeline.published_ms = now.unsigned_abs();
            let mut tx = self.context.db.write_together().await?;
            timelines::put_state(&mut tx, self.row.id, &state.to_json()).await?;
            timelines::forget(&mut tx, self.row.id, first).await?;
            tx.commit().await?;
            let after = objects(&state.timeline);
            self.publish();
            for path in before.difference(&after) {
                self.context.indexes.remove(path).await?;
            }
        }
        let Some(state) = &self.state else { return Ok(()) };
        for number in &spare {
            self.context.indexes.remove(&state.timeline.blocks_path(number.unsigned_abs())).await?;
        }
        let mut db = self.context.db.read().await?;
        let media = timelines::spare_media(&mut db, self.row.id, first, now - keep_ms).await?;
        drop(db);
        for (_, path) in &media {
            self.context.media.remove(path).await?;
        }
        let rows: Vec<i64> = media.into_iter().map(|(id, _)| id).collect();
        let mut tx = self.context.db.write_together().await?;
        timelines::forget_blocks(&mut tx, self.row.id, &spare).await?;
        timelines::forget_uploads(&mut tx, &rows).await?;
        tx.commit().await?;
        Ok(())
    }

    fn publish(&self) {
        if let Some(state) = &self.state {
            self.published.publish(&state.document(), &state.line);
        }
    }
}

/// The objects of an archive but for its blocks; parts of listings are found by their listing only.
fn objects(timeline: &Timeline) -> BTreeSet<String> {
    let listings = timeline.listings.iter().map(|l| timeline.listing_path(l.first));
    listings.chain(timeline.parts.iter().map(|p| timeline.part_path(p.first))).collect()
}

pub(super) fn read_head(bytes: &[u8]) -> Result<Head> {
    let mut head = Head::read(bytes, u64::MAX)?;
    ensure!(head.alone, "the head of a position stands alone");
    // Its blocks are in an object of their own, not behind it.
    let mut at = 0;
    for fragment in head.tracks.iter_mut().flat_map(|t| &mut t.fragments) {
        fragment.block_offset = at;
        at += u64::from(fragment.block_bytes);
    }
    Ok(head)
}

fn microseconds(time: Instant) -> u64 {
    time.in_timescale(1_000_000).max(0).unsigned_abs()
}
