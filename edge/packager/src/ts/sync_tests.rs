use super::*;

fn packets(count: u8) -> Vec<u8> {
    (0..count).flat_map(|n| [&[SYNC_BYTE, 0x1f, 0xff, 0x10, n], [n; PACKET_BYTES - 5].as_slice()].concat()).collect()
}

/// The number in each packet with its position, and garbage as (position, bytes).
type Seen = (Vec<(u8, u64)>, Vec<(u64, u64)>, Result<u64, String>);

fn read(segments: &[&[u8]], chunk: usize) -> Seen {
    let (mut sync, mut found, mut garbage) = (Sync::default(), Vec::new(), Vec::new());
    let mut sink = |f: Found<'_>| {
        match f {
            Found::Packet { bytes, at } => found.push((bytes[4], at)),
            Found::Garbage { at, bytes } => garbage.push((at, bytes)),
        }
        Ok(())
    };
    let mut end = Ok(0);
    for segment in segments {
        let pushed = segment.chunks(chunk).try_for_each(|c| sync.push(c, &mut sink));
        end = pushed.and_then(|()| sync.end_segment(&mut sink)).map_err(|e| e.to_string());
        if end.is_err() {
            break;
        }
    }
    (found, garbage, end)
}

#[test]
fn any_chunking_gives_the_same() {
    let data = packets(9);
    let whole = (0..9).map(|n| (n, 188 * u64::from(n))).collect::<Vec<_>>();
    for chunk in [1, 7, 187, 188, 189, 500, 9999] {
        assert_eq!(read(&[&data], chunk), (whole.clone(), vec![], Ok(0)), "chunks of {chunk}");
    }
}

#[test]
fn garbage_is_left_out() {
    let good = packets(9);
    let junk: Vec<u8> = (0..777u32).map(|n| (n * 71 % 251) as u8).collect();
    let data = [&junk, &good[..4 * 188], &junk[..300], &good[4 * 188..], &good[..100]].concat();
    for chunk in [1, 100, 188, 4096, 99_999] {
        let (found, garbage, end) = read(&[&data, &good], chunk);
        assert_eq!(
            found.iter().map(|f| f.0).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8]
        );
        assert_eq!((found[0].1, found[4].1), (777, 777 + 4 * 188 + 300));
        assert_eq!(garbage, [(0, 777), (777 + 4 * 188, 300)], "chunks of {chunk}");
        assert_eq!(end, Ok(0));
        assert_eq!(read(&[&data], chunk).2, Ok(100));
    }
}

#[test]
fn one_wrong_sync_byte_costs_one_packet() {
    let mut data = packets(9);
    data[3 * 188] = 0x46;
    let (found, garbage, _) = read(&[&data], 1000);
    assert_eq!((found.len(), garbage), (8, vec![(3 * 188, 188)]));
}

#[test]
fn other_formats_are_named() {
    let error = |data: &[u8]| read(&[data], 333).2.unwrap_err();
    let m2ts: Vec<u8> = packets(40).chunks(188).flat_map(|p| [&[1, 2, 3, 4], p].concat()).collect();
    assert!(error(&m2ts).starts_with("packets of 192 bytes (M2TS"), "{}", error(&m2ts));
    let dvb: Vec<u8> = packets(40).chunks(188).flat_map(|p| [p, &[9; 16]].concat()).collect();
    assert!(error(&dvb).starts_with("packets of 204 bytes"), "{}", error(&dvb));
    assert!(error(b"\0\0\0\x18ftypisom and so on").ends_with("(it looks like MP4)"));
    assert!(error(&[0xff, 0xf1, 0x50]).ends_with("(it looks like AAC in ADTS)"));
    assert!(error(&vec![0x11; 5 << 20]).contains("it may be encrypted"));
    assert_eq!(error(&[]), "no bytes");
}
