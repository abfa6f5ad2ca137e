//! Languages: the tags of operators and the codes of files.

use isolang::Language;

/// A BCP 47 tag with the shortest code for its primary language (RFC 5646, 2.2.1); `None` for an undetermined one.
pub fn tag(given: &str) -> Option<String> {
    let (primary, rest) = given.split_once('-').map_or((given, None), |(p, r)| (p, Some(r)));
    let primary = primary.to_ascii_lowercase();
    if matches!(primary.as_str(), "" | "und" | "mis" | "zxx" | "mul")
        || !primary.bytes().all(|b| b.is_ascii_alphabetic())
    {
        return None;
    }
    let shortest = match primary.len() {
        3 => find(&primary).and_then(|l| l.to_639_1()).map_or(primary.clone(), str::to_owned),
        _ => primary,
    };
    Some(rest.map_or(shortest.clone(), |rest| format!("{shortest}-{rest}")))
}

/// ISO 639-2/T, as media headers want it; `und` when there is none.
pub fn code(tag: Option<&str>) -> [u8; 3] {
    let primary = tag.and_then(|t| t.split('-').next()).unwrap_or("und");
    let code = match primary.len() {
        2 => Language::from_639_1(primary).map_or("und", |l| l.to_639_3()),
        _ => primary,
    };
    code.as_bytes().try_into().unwrap_or(*b"und")
}

/// English name, for a player's menu.
pub fn name(tag: &str) -> Option<String> {
    let primary = tag.split('-').next().unwrap_or_default();
    let language = if primary.len() == 2 { Language::from_639_1(primary) } else { find(primary) }?;
    // ISO 639-3 qualifies some names: "Modern Greek (1453-)".
    let name = language.to_name().split(" (").next().unwrap_or_default();
    Some(name.to_owned())
}

/// By ISO 639-3 or the bibliographic codes of ISO 639-2, which older tools write.
fn find(code: &str) -> Option<Language> {
    const BIBLIOGRAPHIC: [(&str, &str); 20] = [
        ("alb", "sqi"),
        ("arm", "hye"),
        ("baq", "eus"),
        ("bur", "mya"),
        ("chi", "zho"),
        ("cze", "ces"),
        ("dut", "nld"),
        ("fre", "fra"),
        ("geo", "kat"),
        ("ger", "deu"),
        ("gre", "ell"),
        ("ice", "isl"),
        ("mac", "mkd"),
        ("mao", "mri"),
        ("may", "msa"),
        ("per", "fas"),
        ("rum", "ron"),
        ("slo", "slk"),
        ("tib", "bod"),
        ("wel", "cym"),
    ];
    let terminological = BIBLIOGRAPHIC.iter().find(|(b, _)| *b == code).map_or(code, |(_, t)| t);
    Language::from_639_3(terminological)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_take_the_shortest_code() {
        for (given, wanted) in
            [("eng", "en"), ("fre", "fr"), ("fra", "fr"), ("en", "en"), ("pt-BR", "pt-BR"), ("haw", "haw")]
        {
            assert_eq!(tag(given).as_deref(), Some(wanted));
        }
        assert_eq!(tag("und"), None);
        assert_eq!(tag("```"), None);
        assert_eq!(code(Some("en-GB")), *b"eng");
        assert_eq!(code(Some("haw")), *b"haw");
        assert_eq!(code(None), *b"und");
        assert_eq!(name("de").as_deref(), Some("German"));
        assert_eq!(name("el").as_deref(), Some("Modern Greek"));
    }
}
