//! A check of `pssh` boxes (ISO/IEC 23001-7, 8.1) and PlayReady objects that go into files as they are.

use crate::kid::Kid;

/// The system of a whole `pssh` box; `None` when it is not exactly one box of version 0 or 1.
pub fn pssh_system(bytes: &[u8]) -> Option<Kid> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let (name, rest) = rest.split_first_chunk::<4>()?;
    if u32::from_be_bytes(*size) as usize != bytes.len() || name != b"pssh" {
        return None;
    }
    let (&[version, 0, 0, 0], rest) = rest.split_first_chunk::<4>()? else { return None };
    let (system, mut rest) = rest.split_first_chunk::<16>()?;
    match version {
        0 => {}
        1 => {
            let (count, kids) = rest.split_first_chunk::<4>()?;
            let length = (u32::from_be_bytes(*count) as usize).checked_mul(16)?;
            rest = kids.get(length..)?;
        }
        _ => return None,
    }
    let (size, data) = rest.split_first_chunk::<4>()?;
    (u32::from_be_bytes(*size) as usize == data.len()).then_some(Kid(*system))
}

/// Whether the bytes are a PlayReady object: its length, and records that fill it.
pub fn is_playready_object(bytes: &[u8]) -> bool {
    let records = || {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (count, mut rest) = rest.split_first_chunk::<2>()?;
        let count = u16::from_le_bytes(*count);
        if u32::from_le_bytes(*size) as usize != bytes.len() || count == 0 {
            return None;
        }
        for _ in 0..count {
            let (_, record) = rest.split_first_chunk::<2>()?;
            let (length, record) = record.split_first_chunk::<2>()?;
            rest = record.get(usize::from(u16::from_le_bytes(*length))..)?;
        }
        rest.is_empty().then_some(())
    };
    records().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pssh(version: u8, kids: &[[u8; 16]], data: &[u8]) -> Vec<u8> {
        let mut pssh = b"\0\0\0\0pssh".to_vec();
        pssh.extend([version, 0, 0, 0]);
        pssh.extend([7; 16]);
        if version == 1 {
            pssh.extend((kids.len() as u32).to_be_bytes());
            pssh.extend(kids.concat());
        }
        pssh.extend((data.len() as u32).to_be_bytes());
        pssh.extend(data);
        let size = (pssh.len() as u32).to_be_bytes();
        pssh[..4].copy_from_slice(&size);
        pssh
    }

    #[test]
    fn one_box_and_nothing_else() {
        for good in [pssh(0, &[], b""), pssh(0, &[], b"abc"), pssh(1, &[], b"abc"), pssh(1, &[[1; 16], [2; 16]], b"")] {
            assert_eq!(pssh_system(&good), Some(Kid([7; 16])));
            for end in 0..good.len() {
                assert_eq!(pssh_system(&good[..end]), None);
            }
            assert_eq!(pssh_system(&[good.as_slice(), b"\0"].concat()), None);
        }
        assert_eq!(pssh_system(&pssh(2, &[], b"")), None);
        let mut hostile = pssh(1, &[], b"");
        hostile[28..32].copy_from_slice(&[0xff; 4]);
        assert_eq!(pssh_system(&hostile), None);
    }

    #[test]
    fn playready_objects() {
        let good = [10 + 4, 0, 0, 0, 1, 0, 1, 0, 4, 0, 1, 2, 3, 4];
        assert!(is_playready_object(&good));
        for end in 0..good.len() {
            assert!(!is_playready_object(&good[..end]));
        }
        assert!(!is_playready_object(&[6, 0, 0, 0, 0, 0]));
    }
}
