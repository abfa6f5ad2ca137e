//! Carries out a recipe.

use core::ops::Range;
use std::sync::Arc;

use super::encryptor::Encryptor;
use super::envelope::Envelope;
use super::input::{self, Buffer, Input};
use super::samples::{Samples, Taken};
use crate::error::{Error, Result};
use crate::segment::packed;
use crate::segment::recipe::{Program, Recipe, Section, Transport};
use crate::segment::sample_aes::SampleAes;
use crate::segment::ts::{self, AudioStream, Muxer, Next, Order};

/// About how much is made before it is given out.
const OUT_BYTES: usize = 64 << 10;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bring more of this input ([`Maker::inputs`]), then go on.
    Need(usize),
    /// Enough was made to be sent; go on when that is done.
    Ready,
    /// Everything has been made.
    Done,
}

/// The state machine that makes a range of a body. The caller loops: [`Maker::step`] appends to a buffer and says what is
/// needed, [`Maker::supply`] brings it.
#[derive(Debug)]
pub struct Maker {
    recipe: Arc<Recipe>,
    /// What of the output is wanted.
    range: Range<u64>,
    inputs: Vec<Input>,
    buffers: Vec<Buffer>,
    samples: Vec<Samples>,
    /// For each stream, the number of the read that its first stretch is.
    first_reads: Vec<usize>,
    section: usize,
    /// Where in the section the work is; 0 before its head was written.
    position: usize,
    /// Position in the output up to which everything was made.
    at: u64,
    sample: Vec<u8>,
    encryptor: Option<Encryptor>,
    writer: Option<Writer>,
    /// Packed audio under SAMPLE-AES.
    sample_aes: Option<SampleAes>,
    envelope: Option<Envelope>,
}

/// How far the writing of a transport stream has come.
#[derive(Debug)]
struct Writer {
    muxer: Muxer,
    order: Order,
    next: Option<Next>,
    /// How many samples of each stream the section has used up.
    used: [usize; 2],
    /// How many frames of the next group of audio are there.
    frames: usize,
}

impl Maker {
    /// Starts to make `range` of what `recipe` makes. Only what that range needs is read.
    pub fn new(recipe: Arc<Recipe>, range: Range<u64>) -> Self {
        let envelope = recipe.envelope.as_ref().map(|secret| Envelope::new(secret, recipe.bytes, range.clone()));
        let range = envelope.as_ref().map_or(range, Envelope::wanted);
        let sample_aes = match &recipe.program {
            Program::Packed { sample_aes, .. } => sample_aes.as_ref().map(SampleAes::new),
            Program::Plain | Program::Protected(_) | Program::Transport(_) => None,
        };
        let sections = &recipe.sections;
        let first = sections.partition_point(|s| s.start <= range.start).saturating_sub(1);
        let end = sections.partition_point(|s| s.start < range.end).max(first);
        let chosen = sections.get(first..end).unwrap_or_default();
        let reads = |stream: usize| {
            let of = |section: &Section| section.shares.get(stream).map(|s| s.reads.clone()).unwrap_or_default();
            let start = chosen.first().map_or(0, |s| of(s).start);
            start..chosen.last().map_or(start, |s| of(s).end.max(start))
        };
        let wanted: Vec<Range<usize>> = (0..recipe.streams.len()).map(reads).collect();
        let (inputs, stretches) = input::join(&recipe.streams, &wanted);
        let samples = recipe.streams.iter().zip(stretches).map(|(stream, own)| Samples::new(stream, own)).collect();
        Self {
            buffers: inputs.iter().map(Buffer::new).collect(),
            samples,
            first_reads: wanted.iter().map(|w| w.start).collect(),
            section: first,
            position: 0,
            at: chosen.first().map_or(range.end, |s| s.start),
            sample: Vec::new(),
            encryptor: match &recipe.program {
                Program::Protected(cipher) => Some(Encryptor::new(cipher)),
                _ => None,
            },
            writer: None,
            sample_aes,
            envelope,
            inputs,
            range,
            recipe,
        }
    }

    /// What has to be read: each once, from start to end, in any order and pace.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Brings the next bytes of an input. Gives back an empty vector to read into.
    ///
    /// # Errors
    /// `Upstream` when more comes than the input has.
    pub fn supply(&mut self, input: usize, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let needed = self.samples.iter().filter_map(|s| s.needs(input)).min().unwrap_or(u64::MAX);
        let buffer = self.buffers.get_mut(input).ok_or_else(|| Error::internal("no such input"))?;
        buffer.release(needed);
        buffer.supply(bytes)
    }

    /// Appends bytes of the body to `out`, as many as can be made now.
    ///
    /// # Errors
    /// `BadSource` when the media are not what was indexed.
    pub fn step(&mut self, out: &mut Vec<u8>) -> Result<Progress> {
        let Some(mut envelope) = self.envelope.take() else { return self.make(out) };
        let progress = self.make(envelope.clear());
        if let Ok(progress) = &progress {
            envelope.seal(*progress == Progress::Done, out);
        }
        self.envelope = Some(envelope);
        progress
    }

    /// As [`Self::step`], before what is made is encrypted as a whole.
    fn make(&mut self, out: &mut Vec<u8>) -> Result<Progress> {
        let recipe = self.recipe.clone();
        while self.at < self.range.end {
            if out.len() >= OUT_BYTES {
                return Ok(Progress::Ready);
            }
            let Some(section) = recipe.sections.get(self.section) else {
                return Err(Error::internal(format!("a body ends after {} bytes", self.at)));
            };
            let start = out.len();
            let taken = match &recipe.program {
                Program::Plain => self.plain(&recipe, section, None, out)?,
                Program::Protected(_) => self.protected(&recipe, section, out)?,
                Program::Packed { stream, .. } => self.packed(&recipe, section, stream, out)?,
                Program::Transport(transport) => self.transport(&recipe, transport, section, out)?,
            };
            self.clip(start, out);
            if let Some(Taken::Need(input)) = taken {
                return Ok(Progress::Need(input));
            }
        }
        Ok(Progress::Done)
    }

    /// Drops of what was appended since `start` what is outside of the range.
    fn clip(&mut self, start: usize, out: &mut Vec<u8>) {
        let made = (out.len() - start) as u64;
        let early = self.range.start.saturating_sub(self.at).min(made);
        self.at += made;
        if self.at > self.range.end {
            let late = (self.at - self.range.end).min(made - early);
            out.truncate(out.len() - late as usize);
        }
        if early > 0 {
            out.drain(start..start + early as usize);
        }
    }

    fn enter(&mut self, section: &Section) {
        for ((samples, share), first) in self.samples.iter_mut().zip(&section.shares).zip(&self.first_reads) {
            samples.enter(share.reads.start.saturating_sub(*first));
        }
    }

    /// The head of a section, then its samples, with the headers that packed audio has. One of them at a time.
    fn plain(
        &mut self,
        recipe: &Recipe,
        section: &Section,
        stream_headers: Option<&AudioStream>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Taken>> {
        let (Some(stream), Some(share)) = (recipe.streams.first(), section.shares.first()) else {
            return Err(Error::internal("a section without a stream"));
        };
        let Some(samples) = self.samples.first_mut() else { return Err(Error::internal("no stream")) };
        if self.position == 0 {
            self.position = 1;
            out.extend_from_slice(&section.head);
            self.enter(section);
            return Ok(None);
        }
        let number = share.samples.start + self.position - 1;
        let Some(sample) = stream.samples.get(number).filter(|_| number < share.samples.end) else {
            self.section += 1;
            self.position = 0;
            return Ok(None);
        };
        let taken = samples.take(sample.size, &self.buffers, &mut self.sample)?;
        if taken == Taken::Whole {
            match stream_headers {
                Some(stream) => packed::frame(stream, &self.sample, out),
                None => out.extend_from_slice(&self.sample),
            }
            self.sample.clear();
            self.position += 1;
        }
        Ok(Some(taken))
    }

    /// The head of a section, then its samples, encrypted many at a time.
    fn protected(&mut self, recipe: &Recipe, section: &Section, out: &mut Vec<u8>) -> Result<Option<Taken>> {
        let (Some(stream), Some(share)) = (recipe.streams.first(), section.shares.first()) else {
            return Err(Error::internal("a section without a stream"));
        };
        if self.position == 0 {
            self.position = 1;
            out.extend_from_slice(&section.head);
            self.enter(section);
            return Ok(None);
        }
        let lost = || Error::internal("no stream");
        let encryptor = self.encryptor.as_mut().ok_or_else(lost)?;
        let samples = self.samples.first_mut().ok_or_else(lost)?;
        while !encryptor.is_full() {
            let number = share.samples.start + self.position - 1;
            let Some(sample) = stream.samples.get(number).filter(|_| number < share.samples.end) else {
                self.section += 1;
                self.position = 0;
                break;
            };
            if let need @ Taken::Need(_) = samples.take(sample.size, &self.buffers, encryptor.room())? {
                return Ok(Some(need));
            }
            encryptor.add(stream, number, sample.size as usize)?;
            self.position += 1;
        }
        encryptor.finish(out)?;
        Ok(None)
    }

    /// As [`Self::plain`]; under SAMPLE-AES some frames at a time, which are encrypted at once.
    fn packed(
        &mut self,
        recipe: &Recipe,
        section: &Section,
        stream: &AudioStream,
        out: &mut Vec<u8>,
    ) -> Result<Option<Taken>> {
        const FRAMES: usize = 16;
        let Some(mut sample_aes) = self.sample_aes.take() else {
            return self.plain(recipe, section, Some(stream), out);
        };
        sample_aes.begin();
        let number = self.section;
        let mut taken = None;
        for _ in 0..FRAMES {
            let start = out.len();
            let head = self.position == 0;
            taken = self.plain(recipe, section, None, out)?;
            // The head of a section stands before all frames.
            if taken == Some(Taken::Whole) {
                sample_aes.frame(stream, out.get(start..).unwrap_or_default());
                out.truncate(start);
            }
            if head || self.section != number || matches!(taken, Some(Taken::Need(_))) {
                break;
            }
        }
        out.extend_from_slice(sample_aes.end()?);
        self.sample_aes = Some(sample_aes);
        Ok(taken)
    }

    /// The tables at the start, then the units of a fragment in their order. One of them at a time.
    fn transport(
        &mut self,
        recipe: &Recipe,
        transport: &Transport,
        section: &Section,
        out: &mut Vec<u8>,
    ) -> Result<Option<Taken>> {
        let lost = || Error::internal("a section without a fragment");
        let fragment = transport.fragments.get(self.section).ok_or_else(lost)?;
        if self.position == 0 {
            self.position = 1;
            let muxer = match self.writer.take() {
                Some(writer) => writer.muxer,
                None => {
                    let sample_aes = transport.sample_aes.as_ref().map(SampleAes::new);
                    Muxer::new(transport.program.clone(), fragment.before, sample_aes)
                }
            };
            let order = Order::new(&transport.program);
            let writer = self.writer.insert(Writer { muxer, order, next: None, used: [0; 2], frames: 0 });
            if self.section == 0 {
                writer.muxer.psi(out);
            }
            self.enter(section);
            return Ok(None);
        }
        let writer = self.writer.as_mut().ok_or_else(lost)?;
        let share = |stream: usize| section.shares.get(stream).map(|s| s.samples.clone()).unwrap_or_default();
        let view = ts::Fragment {
            span: fragment.span.clone(),
            video: transport.video.get(share(0)).unwrap_or_default(),
            audio: transport.audio.get(share(1)).unwrap_or_default(),
            id3: transport.tags.get(fragment.tags.clone()).unwrap_or_default(),
        };
        let Some(next) = writer.next.take().or_else(|| writer.order.next(&view)) else {
            self.section += 1;
            self.position = 0;
            return Ok(None);
        };
        let (stream, wanted) = match &next {
            Next::Video { .. } => (0, 1),
            Next::Audio { units, .. } => (1, units.len()),
            Next::Id3(_) | Next::Clock(_) => (0, 0),
        };
        while writer.frames < wanted {
            let first = share(stream).start;
            let used = writer.used.get_mut(stream).ok_or_else(lost)?;
            let sample = recipe.streams.get(stream).and_then(|s| s.samples.get(first + *used)).ok_or_else(lost)?;
            let samples = self.samples.get_mut(stream).ok_or_else(lost)?;
            if let need @ Taken::Need(_) = samples.take(sample.size, &self.buffers, &mut self.sample)? {
                writer.next = Some(next);
                return Ok(Some(need));
            }
            *used += 1;
            writer.frames += 1;
        }
        writer.frames = 0;
        let bytes = match &next {
            Next::Id3(tag) => transport.messages.get(fragment.tags.start + tag).map_or(&[][..], AsRef::as_ref),
            _ => &self.sample,
        };
        writer.muxer.write(&next, &view, bytes, out)?;
        self.sample.clear();
        Ok(None)
    }
}
