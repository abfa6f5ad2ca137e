//! Every segment of a title in every form.

use std::time::Instant;

use packager::config::{PackageType, Scheme};

use crate::title::{Memory, Title, body};
use crate::{Result, report};

/// Forms, and what they are called.
const FORMS: [(&str, PackageType, Option<Scheme>); 6] = [
    ("cmaf clear", PackageType::Cmaf, None),
    ("cmaf cbcs", PackageType::Cmaf, Some(Scheme::Cbcs)),
    ("cmaf cenc", PackageType::Cmaf, Some(Scheme::Cenc)),
    ("ts clear", PackageType::Hls, None),
    ("ts sample-aes", PackageType::Hls, Some(Scheme::SampleAes)),
    ("ts aes-128", PackageType::Hls, Some(Scheme::Aes128)),
];
/// What is copied at a time to say how fast memory is: about a segment.
const COPY_BYTES: usize = 6 << 20;

/// Measures each title in each form, the forms by turns.
pub fn measure(folder: &str, passes: usize, titles: &[&str]) -> Result<()> {
    for name in titles {
        let title = Title::open(folder, name)?;
        let storage = Memory::load(folder, &title.objects(&title.documents(PackageType::Cmaf, None)?)?)?;
        let mut out = Vec::new();
        let mut cases = Vec::new();
        for (form, package_type, scheme) in FORMS {
            let documents = title.documents(package_type, scheme)?;
            let routes = title.segments(&documents)?;
            cases.push((form, documents, routes, None, 0, Vec::new()));
        }
        let mut copies = Vec::new();
        let stored: u64 = storage.0.values().map(|object| object.len() as u64).sum();
        // The first pass warms up: buffers grow, and what a title needs for all its segments is prepared.
        for pass in 0..=passes {
            let start = Instant::now();
            for object in storage.0.values() {
                for piece in object.chunks(COPY_BYTES) {
                    out.clear();
                    out.extend_from_slice(std::hint::black_box(piece));
                    std::hint::black_box(&mut out);
                }
            }
            copies.push(start.elapsed().as_secs_f64());
            for (_, documents, routes, prepared, amount, seconds) in &mut cases {
                let (start, mut made) = (Instant::now(), 0);
                for route in routes.iter() {
                    let response = title.respond(route.clone(), documents, prepared)?;
                    body(&response, &storage, &mut out)?;
                    made += std::hint::black_box(&out).len() as u64;
                }
                *amount = made;
                if pass > 0 {
                    seconds.push(start.elapsed().as_secs_f64());
                }
            }
        }
        report(&format!("{name} memcpy"), "bytes", stored, copies.get(1..).unwrap_or_default());
        for (form, _, _, _, amount, seconds) in cases {
            report(&format!("{name} {form}"), "bytes", amount, &seconds);
        }
    }
    Ok(())
}
