//! Reads and decrypts CMAF segments as ISO/IEC 23001-7 tells a player to.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use crate::boxes::{boxes, find, number};

/// What `tenc` or `seig` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub crypt: usize,
    pub skip: usize,
    pub protected: bool,
    pub iv_bytes: usize,
    pub kid: [u8; 16],
    pub constant_iv: Option<[u8; 16]>,
}

impl Description {
    fn read(data: &[u8]) -> Self {
        let iv_bytes = usize::from(data[3]);
        let constant_iv = (data[2] == 1 && iv_bytes == 0).then(|| {
            assert_eq!(data[20], 16, "the size of the constant IV");
            data[21..37].try_into().unwrap()
        });
        Self {
            crypt: usize::from(data[1] >> 4),
            skip: usize::from(data[1] & 15),
            protected: data[2] == 1,
            iv_bytes,
            kid: data[4..20].try_into().unwrap(),
            constant_iv,
        }
    }
}

/// A sample entry of an init segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `encv`, `enca`, or what it is in the clear.
    pub kind: [u8; 4],
    /// What it was, its scheme, and how it is protected.
    pub protection: Option<([u8; 4], [u8; 4], u8, Description)>,
}

/// The sample entries of an init segment.
pub fn entries(init: &[u8], video: bool) -> Vec<Entry> {
    let stsd = find(init, &[b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"]).expect("stsd");
    let found = boxes(&stsd[8..]);
    assert_eq!(found.len() as u64, number(stsd, 4, 4), "stsd counts its entries");
    let read = |(kind, content): ([u8; 4], &[u8])| {
        let fixed = if video { 78 } else { 28 };
        let protection = matches!(&kind, b"encv" | b"enca").then(|| {
            let sinf = find(&content[fixed..], &[b"sinf"]).expect("sinf");
            let original = find(sinf, &[b"frma"]).expect("frma")[..4].try_into().unwrap();
            let schm = find(sinf, &[b"schm"]).expect("schm");
            assert_eq!(number(schm, 8, 4), 0x1_0000, "scheme version 1.0");
            let tenc = find(sinf, &[b"schi", b"tenc"]).expect("tenc");
            (original, schm[4..8].try_into().unwrap(), tenc[0], Description::read(&tenc[4..]))
        });
        Entry { kind, protection }
    };
    found.into_iter().map(read).collect()
}

/// A sample of a segment: its bytes, as decrypted when it was protected, and its subsamples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub data: Vec<u8>,
    pub iv: Option<u64>,
    pub subsamples: Vec<(u16, u32)>,
    pub kid: Option<[u8; 16]>,
}

/// Decrypts all samples of a segment.
pub fn samples(entries: &[Entry], segment: &[u8], key: &[u8; 16]) -> Vec<Sample> {
    let mut found = Vec::new();
    let mut at = 0usize;
    while at < segment.len() {
        let size = number(segment, at, 4) as usize;
        if &segment[at + 4..at + 8] == b"moof" {
            fragment(entries, &segment[at..], size, key, &mut found);
        }
        at += size;
    }
    found
}

fn fragment(entries: &[Entry], data: &[u8], moof_bytes: usize, key: &[u8; 16], out: &mut Vec<Sample>) {
    let traf = find(&data[8..moof_bytes], &[b"traf"]).expect("traf");
    let tfhd = find(traf, &[b"tfhd"]).expect("tfhd");
    let flags = number(tfhd, 1, 3);
    assert_eq!(flags & 0x2_0000, 0x2_0000, "default-base-is-moof");
    let entry = if flags & 2 != 0 { number(tfhd, 8, 4) as usize } else { 1 };
    let description = entries[entry - 1].protection.as_ref().map(|p| p.3.clone());
    let description = match find(traf, &[b"sgpd"]) {
        None => description,
        Some(sgpd) => {
            assert_eq!((sgpd[0], &sgpd[4..8]), (1, &b"seig"[..]));
            let length = number(sgpd, 8, 4) as usize;
            assert_eq!((number(sgpd, 12, 4), sgpd.len()), (1, 16 + length));
            let sbgp = find(traf, &[b"sbgp"]).expect("sbgp");
            assert_eq!((&sbgp[4..8], number(sbgp, 8, 4), number(sbgp, 16, 4)), (&b"seig"[..], 1, 0x1_0001));
            Some(Description::read(&sgpd[16..]))
        }
    };
    let trun = find(traf, &[b"trun"]).expect("trun");
    let (flags, count) = (number(trun, 1, 3), number(trun, 4, 4) as usize);
    let fields = (flags >> 8 & 15).count_ones() as usize;
    let size_at = if flags & 0x100 != 0 { 4 } else { 0 };
    let mut entry_at = 8 + 4 * (flags & 5).count_ones() as usize;
    let mut sample_at = number(trun, 8, 4) as usize;
    assert_eq!(sample_at, moof_bytes + 8, "the media follow the header of mdat");

    let mut information = information(traf, data, moof_bytes, description.as_ref(), count).into_iter();
    for _ in 0..count {
        let size = number(trun, entry_at + size_at, 4) as usize;
        entry_at += 4 * fields;
        let mut sample = Sample {
            data: data[sample_at..sample_at + size].to_vec(),
            iv: None,
            subsamples: Vec::new(),
            kid: description.as_ref().map(|d| d.kid),
        };
        sample_at += size;
        if let Some(description) = &description {
            (sample.iv, sample.subsamples) = information.next().unwrap_or_default();
            decrypt(description, &mut sample, key);
        }
        out.push(sample);
    }
    assert_eq!(number(data, moof_bytes, 4) as usize, sample_at - moof_bytes, "mdat holds the samples");
}

type Information = (Option<u64>, Vec<(u16, u32)>);

/// What `saiz`, `saio` and `senc` say, and that they agree.
fn information(
    traf: &[u8],
    data: &[u8],
    moof_bytes: usize,
    description: Option<&Description>,
    count: usize,
) -> Vec<Information> {
    let Some(description) = description else {
        assert!(find(traf, &[b"senc"]).is_none() && find(traf, &[b"saiz"]).is_none(), "clear samples have no senc");
        return Vec::new();
    };
    let Some(senc) = find(traf, &[b"senc"]) else {
        assert_eq!(description.iv_bytes, 0, "samples with an IV of their own have senc");
        return Vec::new();
    };
    let saiz = find(traf, &[b"saiz"]).expect("saiz");
    let saio = find(traf, &[b"saio"]).expect("saio");
    assert_eq!((number(saio, 4, 4), number(senc, 4, 4), number(saiz, 5, 4)), (1, count as u64, count as u64));
    let offset = number(saio, 8, 4) as usize;
    assert!(offset < moof_bytes);
    let mut at = 8;
    assert_eq!(&data[offset..offset + senc.len() - at], &senc[at..], "saio points at the first sample of senc");
    let mut found = Vec::new();
    for sample in 0..count {
        let start = at;
        let iv = (description.iv_bytes == 8).then(|| number(senc, at, 8));
        at += description.iv_bytes;
        let mut subsamples = Vec::new();
        if number(senc, 1, 3) & 2 != 0 {
            for entry in 0..number(senc, at, 2) as usize {
                let entry = at + 2 + 6 * entry;
                subsamples.push((number(senc, entry, 2) as u16, number(senc, entry + 2, 4) as u32));
            }
            at += 2 + 6 * subsamples.len();
        }
        let size = if saiz[4] == 0 { usize::from(saiz[9 + sample]) } else { usize::from(saiz[4]) };
        assert_eq!(size, at - start, "saiz counts the bytes of sample {sample}");
        found.push((iv, subsamples));
    }
    assert_eq!(at, senc.len());
    found
}

fn decrypt(description: &Description, sample: &mut Sample, key: &[u8; 16]) {
    let cipher = Aes128::new(&(*key).into());
    let whole = [(0, sample.data.len() as u32)];
    let subsamples: &[(u16, u32)] = if sample.subsamples.is_empty() { &whole } else { &sample.subsamples };
    let covered: usize = subsamples.iter().map(|s| usize::from(s.0) + s.1 as usize).sum();
    assert_eq!(covered, sample.data.len(), "the subsamples cover the sample");
    let mut at = 0;
    let mut used = 0usize;
    for &(clear, protected) in subsamples {
        at += usize::from(clear);
        let run = &mut sample.data[at..at + protected as usize];
        at += protected as usize;
        match description.constant_iv {
            None => {
                let iv = sample.iv.expect("an IV");
                for byte in run {
                    let mut block = [0; 16];
                    block[..8].copy_from_slice(&iv.to_be_bytes());
                    block[8..].copy_from_slice(&(used as u64 / 16).to_be_bytes());
                    let mut block = block.into();
                    cipher.encrypt_block(&mut block);
                    *byte ^= block[used % 16];
                    used += 1;
                }
            }
            Some(iv) => {
                let mut before = iv;
                for (number, block) in run.chunks_exact_mut(16).enumerate() {
                    let cycle = description.crypt + description.skip;
                    if cycle > 0 && number % cycle >= description.crypt {
                        continue;
                    }
                    let stored: [u8; 16] = (&*block).try_into().unwrap();
                    let mut plain = stored.into();
                    cipher.decrypt_block(&mut plain);
                    block.iter_mut().zip(plain).zip(before).for_each(|((byte, plain), iv)| *byte = plain ^ iv);
                    before = stored;
                }
            }
        }
    }
}
