//! A stand-in for an encoder that does exactly what it is told.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::channel::Ingest;
use super::clip::Clip;
use crate::http::Client;

/// Segments of a playlist.
const LISTED: usize = 5;
/// How long an upload is tried again while nobody takes it.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// Pushes clips to an input of a channel.
pub struct Pusher {
    client: Client,
    ingest: Ingest,
    clip: Arc<Clip>,
    /// Playlists are pushed before the segments that are new in them.
    pub playlists_first: bool,
    /// The last segments that the playlists name, by number in the clip.
    listed: VecDeque<usize>,
    /// EXT-X-MEDIA-SEQUENCE.
    sequence: u64,
    /// What was acknowledged in all renditions: first second of the clip and number of the segment.
    pub acknowledged: Vec<(u32, usize)>,
}

impl Pusher {
    /// Begins to push a clip.
    pub fn begin(ingest: &Ingest, clip: &Arc<Clip>) -> Self {
        let mut pusher = Self {
            client: Client::default(),
            ingest: ingest.clone(),
            clip: clip.clone(),
            playlists_first: false,
            listed: VecDeque::new(),
            sequence: 0,
            acknowledged: Vec::new(),
        };
        pusher.restart(clip);
        pusher
    }

    /// The encoder is started anew with another clip: its clock, its numbers and its names begin again.
    pub fn restart(&mut self, clip: &Arc<Clip>) {
        self.clip = clip.clone();
        self.listed.clear();
        self.sequence = 0;
        self.put("main.m3u8", &clip.multivariant);
        for (number, rendition) in clip.renditions.iter().enumerate() {
            if let Some(init) = &rendition.init {
                self.put(&format!("init_{number}.mp4"), init);
            }
        }
    }

    /// Pushes a segment in all renditions.
    pub fn push(&mut self, segment: usize) {
        if self.playlists_first {
            self.list(segment);
        }
        for rendition in 0..self.clip.renditions.len() {
            self.send(segment, rendition);
        }
        if !self.playlists_first {
            self.list(segment);
        }
        self.acknowledged.push((self.clip.spec.first, segment));
    }

    /// Pushes a segment whose other renditions come later than the first, and after the playlists.
    pub fn lag(&mut self, segment: usize, by: Duration) {
        self.send(segment, 0);
        self.list(segment);
        std::thread::sleep(by);
        for rendition in 1..self.clip.renditions.len() {
            self.send(segment, rendition);
        }
        self.acknowledged.push((self.clip.spec.first, segment));
    }

    /// Names a segment in the playlists that never comes.
    pub fn lose(&mut self, segment: usize) {
        self.list(segment);
    }

    /// Pushes a segment of one rendition, without a playlist.
    pub fn send(&self, segment: usize, rendition: usize) {
        self.put(&self.name(segment, rendition), &self.clip.renditions[rendition].segments[segment]);
    }

    /// Pushes the playlists with one more segment.
    pub fn list(&mut self, segment: usize) {
        self.listed.push_back(segment);
        if self.listed.len() > LISTED {
            self.listed.pop_front();
            self.sequence += 1;
        }
        for rendition in 0..self.clip.renditions.len() {
            self.put(&format!("v{rendition}.m3u8"), self.playlist(rendition, false).as_bytes());
        }
    }

    /// Says that nothing more will come.
    pub fn end(&self) {
        for rendition in 0..self.clip.renditions.len() {
            self.put(&format!("v{rendition}.m3u8"), self.playlist(rendition, true).as_bytes());
        }
    }

    fn name(&self, segment: usize, rendition: usize) -> String {
        format!("v{rendition}_{segment:03}.{}", self.clip.spec.extension())
    }

    fn playlist(&self, rendition: usize, ended: bool) -> String {
        let mut text =
            format!("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{}\n", self.sequence);
        if self.clip.renditions[rendition].init.is_some() {
            let _ = writeln!(text, "#EXT-X-MAP:URI=\"init_{rendition}.mp4\"");
        }
        for segment in &self.listed {
            let _ = writeln!(text, "#EXTINF:1.000000,\n{}", self.name(*segment, rendition));
        }
        if ended {
            text.push_str("#EXT-X-ENDLIST\n");
        }
        text
    }

    /// Encoders of broadcasters push again what nobody took.
    fn put(&self, name: &str, body: &[u8]) {
        let started = Instant::now();
        let url = format!("{}{name}", self.ingest.url);
        let authorization = self.ingest.authorization();
        loop {
            let answer = self.client.try_send("PUT", &url, &[("authorization", &authorization)], body);
            match answer {
                Some(answer) if matches!(answer.status, 200 | 201) => return,
                Some(answer) if answer.status < 500 => panic!("PUT {name}: {} {}", answer.status, answer.text()),
                _ => {}
            }
            assert!(started.elapsed() < PATIENCE, "nobody took {name}");
            std::thread::sleep(PAUSE);
        }
    }
}
