//! Boxes as the standard has them, read without any code of the packager.

/// The boxes in `data`: their kinds and contents.
pub fn boxes(mut data: &[u8]) -> Vec<([u8; 4], &[u8])> {
    let mut found = Vec::new();
    while data.len() >= 8 {
        let size = u32::from_be_bytes(data[..4].try_into().unwrap()) as usize;
        assert!(size >= 8 && size <= data.len(), "a box of {size} bytes in {}", data.len());
        found.push((data[4..8].try_into().unwrap(), &data[8..size]));
        data = &data[size..];
    }
    assert!(data.is_empty(), "{} bytes after the last box", data.len());
    found
}

/// The first box at `path`.
pub fn find<'a>(data: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    let (first, rest) = path.split_first().expect("a path");
    let content = boxes(data).into_iter().find(|(kind, _)| kind == *first)?.1;
    if rest.is_empty() { Some(content) } else { find(content, rest) }
}

/// A number of `bytes` bytes at `at`.
pub fn number(data: &[u8], at: usize, bytes: usize) -> u64 {
    data[at..at + bytes].iter().fold(0, |n, b| n << 8 | u64::from(*b))
}
