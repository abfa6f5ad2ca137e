//! Slices that nobody would make: as many emulation prevention bytes as there can be, and zeros wherever they hurt.

use packager::segment::recipe;
use packager::segment::ts::{self, Program, Unit, VideoStream};

use crate::check::Reader;
use crate::decrypt::{self, Secret};
use crate::drive;
use crate::title::{Cut, Title};

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn avc_entry() -> Vec<u8> {
    let boxed =
        |kind: &[u8; 4], content: &[u8]| [&(content.len() as u32 + 8).to_be_bytes(), kind.as_slice(), content].concat();
    let (sps, pps) = ([0x67, 0x64, 0, 10, 0xac, 0xd9, 0x5f, 0x88, 0x88, 0xc0, 0x44], [0x68, 0xeb, 0xe3, 0xcb]);
    let record = [&[1, 0x64, 0, 10, 0xff, 0xe1, 0, 11][..], &sps, &[1, 0, 4], &pps].concat();
    boxed(b"avc1", &[vec![0; 78], boxed(b"avcC", &record)].concat())
}

/// A slice of these content bytes, which end in one that is not 0.
fn slice(random: &mut Random, kind: u64) -> Vec<u8> {
    let length = [1, 46, 47, 48, 49, 63, 64, 65, 66, 80, 200, 208, 209, 210, 1_000, 6_000][random.below(16) as usize];
    let mut nal = vec![[0x41, 0x65][random.below(2) as usize]];
    let alphabet: &[u8] = match kind {
        // What stands in no stream, as broken muxers leave it.
        0 => &[0],
        1 => &[0, 0, 0, 1, 2, 3, 255],
        2 => &[0, 0, 3],
        // cabac_zero_words
        3 => &[],
        _ => &[7, 0, 200, 3, 90, 255, 1, 17],
    };
    for at in 0..length {
        nal.push(match alphabet {
            [] => [0, 0, 3][at % 3],
            _ => alphabet[random.below(alphabet.len() as u64) as usize],
        });
    }
    nal.push(0x80);
    nal
}

#[test]
fn any_slice_fits_where_it_was_counted_on_and_comes_back() {
    let random = &mut Random(5);
    let stream = VideoStream::from_sample_entry(&avc_entry()).unwrap();
    let (mut slices, mut grown, mut reserved) = (0, 0, 0);
    for round in 0..400u64 {
        let (key, iv) = (round as u8, [random.below(256) as u8; 16]);
        let secret = drive::secret(key, iv);
        let mut units: Vec<(Unit, Vec<u8>)> = Vec::new();
        let mut stored = Vec::new();
        for number in 0..12 {
            let sync = number % 6 == 0;
            let own: Vec<Vec<u8>> = (0..1 + random.below(4)).map(|_| slice(random, round % 5)).collect();
            let sample: Vec<u8> =
                own.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], nal].concat()).collect();
            let size = stream.access_unit_bytes(&sample, sync);
            let growth = stream.sample_aes_growth(&sample).unwrap();
            let spare = ts::sample_aes_packets(size, growth);
            reserved += growth as usize;
            let dts = number * 3_600;
            units.push((Unit { size, dts, pts: dts + 3_600 * (number % 2), sync, spare }, sample));
            stored.push(own);
        }
        let second = units.split_off(6);
        let cut = |span, video| Cut { span, video, audio: Vec::new(), id3: Vec::new() };
        let cuts = vec![cut(0..21_600, units), cut(21_600..43_200, second)];
        let program = Program { video: Some(stream.clone()), audio: None, id3: false };
        let title = Title { program, cuts };
        let mut reader = Reader::default();
        for segment in title.segments_under(1, Some(&secret)) {
            reader.segment(&segment);
        }
        reader.check_clock();
        let decrypter = Secret { key: [key; 16], iv };
        assert_eq!(reader.of(0x100).count(), 12);
        for (pes, own) in reader.of(0x100).zip(&stored) {
            let found = decrypt::units(&pes.payload);
            let found: Vec<_> = if own.iter().all(|nal| nal.len() > 48) {
                found.into_iter().filter(|nal| matches!(nal[0] & 31, 1 | 5)).collect()
            } else {
                // Short slices stay as they are, with whatever is in them: their ends cannot be told.
                continue;
            };
            assert_eq!(found.len(), own.len());
            for (found, own) in found.iter().zip(own) {
                assert!(decrypter.slice(found) == *own, "round {round}");
                grown += found.len() - own.len();
                slices += 1;
            }
        }
    }
    println!("{slices} slices, {grown} bytes added, {reserved} allowed for");
    assert!(slices > 2_000 && grown > 100_000);
}

/// Where less was allowed for than is needed there is an error, and no wrong length.
#[test]
fn what_does_not_fit_is_an_error() {
    let stream = VideoStream::from_sample_entry(&avc_entry()).unwrap();
    let nal = [&[0x65][..], &[0, 0, 3].repeat(400), &[0x80]].concat();
    let sample = [&(nal.len() as u32).to_be_bytes()[..], &nal].concat();
    let secret: recipe::Secret = drive::secret(1, [2; 16]);
    let mut muxer = ts::Muxer::new(
        Program { video: Some(stream.clone()), audio: None, id3: false },
        ts::Before::default(),
        Some(packager::segment::sample_aes::SampleAes::new(&secret)),
    );
    let size = stream.access_unit_bytes(&sample, true);
    let unit = |spare| Unit { size, dts: 0, pts: 0, sync: true, spare };
    let needed = ts::sample_aes_packets(size, stream.sample_aes_growth(&sample).unwrap());
    for (spare, fits) in [(0, false), (needed, true), (needed + 1, true), (u32::MAX, false)] {
        let units = [unit(spare)];
        let fragment = ts::Fragment { span: 0..1, video: &units, audio: &[], id3: &[] };
        let mut out = Vec::new();
        let result = muxer.write(&ts::Next::Video { unit: 0, clock: 0 }, &fragment, &sample, &mut out);
        assert_eq!(result.is_ok(), fits, "{spare}: {result:?}");
        let packets = if fits { ts::access_unit_packets(&units[0]) } else { 0 };
        assert_eq!(out.len() as u64, packets * 188);
    }
}
