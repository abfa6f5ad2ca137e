//! What a file says about the protection of its samples (ISO/IEC 23001-7, 7 and 8), ours and others': read without any
//! code of the packager.

use std::ops::Range;

/// What `tenc` and `schm` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// `encv` or `enca`.
    pub entry: [u8; 4],
    /// `frma`.
    pub original: [u8; 4],
    /// `schm`.
    pub scheme: [u8; 4],
    pub scheme_version: u64,
    pub tenc_version: u8,
    pub pattern: (u8, u8),
    pub protected: u8,
    pub iv_bytes: u8,
    pub kid: [u8; 16],
    pub constant_iv: Vec<u8>,
}

/// The boxes of a fragment that tell about its samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boxes {
    pub senc: bool,
    pub saiz: bool,
    pub saio: bool,
}

/// A sample as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub data: Vec<u8>,
    pub iv: Vec<u8>,
    /// Clear and protected bytes in turn; nothing when all is protected.
    pub subsamples: Vec<(u16, u32)>,
}

impl Sample {
    /// The places of its protected runs, each of which has a subsample of its own.
    pub fn runs(&self) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut at = 0;
        for &(clear, protected) in &self.subsamples {
            at += usize::from(clear);
            let end = at + protected as usize;
            runs.extend((protected > 0).then_some(at..end));
            at = end;
        }
        if self.subsamples.is_empty() {
            return std::iter::once(0..self.data.len()).collect();
        }
        assert_eq!(at, self.data.len(), "subsamples cover their sample");
        runs
    }
}

/// A file of one track.
#[derive(Clone, Debug)]
pub struct File {
    /// Of the only sample entry; nothing when it is clear.
    pub description: Option<Description>,
    /// By fragment.
    pub boxes: Vec<Boxes>,
    pub samples: Vec<Sample>,
}

impl File {
    /// Reads a fragmented file: header and fragments.
    pub fn read(file: &[u8]) -> Self {
        let mut read = Self { description: None, boxes: Vec::new(), samples: Vec::new() };
        let mut defaults = 0;
        let mut at = 0;
        for (kind, content) in boxes(file) {
            match &kind {
                b"moov" => {
                    let stsd = find(content, &[b"trak", b"mdia", b"minf", b"stbl", b"stsd"]).expect("stsd");
                    let [(entry, fields)] = boxes(&stsd[8..])[..] else { panic!("one sample entry") };
                    read.description = describe(entry, fields);
                    let trex = find(content, &[b"mvex", b"trex"]).expect("trex");
                    defaults = number(trex, 16, 4) as usize;
                }
                b"moof" => read.fragment(&file[at..], content, defaults),
                _ => {}
            }
            at += 8 + content.len();
        }
        read
    }

    fn fragment(&mut self, data: &[u8], moof: &[u8], size_of_all: usize) {
        let traf = find(moof, &[b"traf"]).expect("traf");
        let tfhd = find(traf, &[b"tfhd"]).expect("tfhd");
        let flags = number(tfhd, 1, 3);
        assert_eq!(flags & 0x2_0001, 0x2_0000, "default-base-is-moof and no base");
        let skipped = 4 * (flags & 2).count_ones() as usize + 4 * (flags & 8).count_ones() as usize;
        let size_of_all = if flags & 16 == 0 { size_of_all } else { number(tfhd, 8 + skipped, 4) as usize };
        let iv_bytes = self.description.as_ref().map_or(0, |d| usize::from(d.iv_bytes));
        let kinds: Vec<[u8; 4]> = boxes(traf).into_iter().map(|(kind, _)| kind).collect();
        let has = |kind: &[u8; 4]| kinds.contains(kind);
        assert!(!has(b"sgpd") && kinds.iter().filter(|kind| *kind == b"trun").count() == 1, "{kinds:?}");
        self.boxes.push(Boxes { senc: has(b"senc"), saiz: has(b"saiz"), saio: has(b"saio") });

        let trun = find(traf, &[b"trun"]).expect("trun");
        let (flags, count) = (number(trun, 1, 3), number(trun, 4, 4) as usize);
        assert_eq!(flags & 1, 1, "data-offset");
        let mut place = number(trun, 8, 4) as usize;
        let mut entry = 8 + 4 * (flags & 5).count_ones() as usize;
        let first = self.samples.len();
        for _ in 0..count {
            let before = 4 * (flags >> 8 & 1) as usize;
            let size = if flags & 0x200 == 0 { size_of_all } else { number(trun, entry + before, 4) as usize };
            entry += 4 * (flags >> 8 & 15).count_ones() as usize;
            let data = data[place..place + size].to_vec();
            self.samples.push(Sample { data, ..Sample::default() });
            place += size;
        }
        if let Some(senc) = find(traf, &[b"senc"]) {
            let sizes = read_senc(senc, iv_bytes, &mut self.samples[first..]);
            check_places(data, traf, senc, &sizes);
        }
    }
}

/// Reads `senc`; how many bytes it has for each sample.
fn read_senc(senc: &[u8], iv_bytes: usize, samples: &mut [Sample]) -> Vec<usize> {
    assert_eq!(number(senc, 4, 4) as usize, samples.len(), "senc counts the samples");
    let mut at = 8;
    let mut sizes = Vec::new();
    for sample in samples {
        let start = at;
        sample.iv = senc[at..at + iv_bytes].to_vec();
        at += iv_bytes;
        if number(senc, 1, 3) & 2 != 0 {
            let count = number(senc, at, 2) as usize;
            at += 2;
            for _ in 0..count {
                sample.subsamples.push((number(senc, at, 2) as u16, number(senc, at + 2, 4) as u32));
                at += 6;
            }
        }
        sizes.push(at - start);
    }
    assert_eq!(at, senc.len(), "senc ends with the last sample");
    sizes
}

/// `saiz` has these sizes and `saio` points at what `senc` has.
fn check_places(data: &[u8], traf: &[u8], senc: &[u8], sizes: &[usize]) {
    let (Some(saiz), Some(saio)) = (find(traf, &[b"saiz"]), find(traf, &[b"saio"])) else { return };
    // With flag 1 the type of the information comes first.
    let typed = |content: &[u8]| 4 + 8 * (number(content, 1, 3) & 1) as usize;
    let at = typed(saiz);
    let size_of_all = usize::from(saiz[at]);
    assert_eq!(number(saiz, at + 1, 4) as usize, sizes.len(), "saiz counts the samples");
    for (sample, size) in sizes.iter().enumerate() {
        let said = if size_of_all == 0 { usize::from(saiz[at + 5 + sample]) } else { size_of_all };
        assert_eq!(said, *size, "saiz has the size of sample {sample}");
    }
    let at = typed(saio);
    assert_eq!(number(saio, at, 4), 1, "saio has one place");
    let place = number(saio, at + 4, if saio[0] == 0 { 4 } else { 8 }) as usize;
    assert_eq!(&data[place..place + senc.len() - 8], &senc[8..], "saio points at the first sample of senc");
}

fn describe(entry: [u8; 4], fields: &[u8]) -> Option<Description> {
    let fixed = match &entry {
        b"encv" => 78,
        b"enca" => 28,
        _ => return None,
    };
    let sinf = find(&fields[fixed..], &[b"sinf"]).expect("sinf");
    let schm = find(sinf, &[b"schm"]).expect("schm");
    let tenc = find(sinf, &[b"schi", b"tenc"]).expect("tenc");
    let constant = tenc[6] == 1 && tenc[7] == 0;
    Some(Description {
        entry,
        original: find(sinf, &[b"frma"]).expect("frma").try_into().expect("four bytes"),
        scheme: schm[4..8].try_into().expect("four bytes"),
        scheme_version: number(schm, 8, 4),
        tenc_version: tenc[0],
        pattern: if tenc[0] == 0 { (0, 0) } else { (tenc[5] >> 4, tenc[5] & 15) },
        protected: tenc[6],
        iv_bytes: tenc[7],
        kid: tenc[8..24].try_into().expect("sixteen bytes"),
        constant_iv: if constant { tenc[25..25 + usize::from(tenc[24])].to_vec() } else { Vec::new() },
    })
}

fn boxes(mut data: &[u8]) -> Vec<([u8; 4], &[u8])> {
    let mut found = Vec::new();
    while !data.is_empty() {
        let size = number(data, 0, 4) as usize;
        found.push((data[4..8].try_into().expect("four bytes"), &data[8..size]));
        data = &data[size..];
    }
    found
}

fn find<'a>(data: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    let (first, rest) = path.split_first()?;
    let (_, content) = boxes(data).into_iter().find(|(kind, _)| kind == *first)?;
    if rest.is_empty() { Some(content) } else { find(content, rest) }
}

fn number(data: &[u8], at: usize, bytes: usize) -> u64 {
    data[at..at + bytes].iter().fold(0, |n, b| n << 8 | u64::from(*b))
}
