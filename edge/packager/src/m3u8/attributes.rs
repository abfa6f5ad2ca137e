//! Attribute lists (RFC 8216, 4.2), made plain for the strict reader of `m3u8-rs`.

/// An attribute list in order. Quotes are gone; names are as they stand.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a>(Vec<(&'a str, &'a str)>);

/// How many attributes of a tag are looked at; real tags have below twenty.
const MAX_ATTRIBUTES: usize = 256;

impl<'a> Attributes<'a> {
    /// Reads a list as far as it is one. White space around names and values is taken away, as writers leave some.
    pub fn read(text: &'a str) -> Self {
        let mut list = Vec::new();
        let mut rest = text;
        while list.len() < MAX_ATTRIBUTES
            && let Some((name, after)) = rest.split_once('=')
        {
            let after = after.trim_start();
            let value;
            if let Some(quoted) = after.strip_prefix('"') {
                let (inside, tail) = quoted.split_once('"').unwrap_or((quoted, ""));
                value = inside.trim();
                rest = tail.split_once(',').map_or("", |(_, next)| next);
            } else {
                let (plain, next) = after.split_once(',').unwrap_or((after, ""));
                value = plain.trim();
                rest = next;
            }
            list.push((name.trim_matches(|c: char| c.is_whitespace() || c == ','), value));
        }
        Self(list)
    }

    /// The first value of this name that is not empty.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(n, value)| *n == name && !value.is_empty()).map(|(_, value)| *value)
    }

    /// A tag with these attributes of the list, each as RFC 8216 wants it written. Attributes that nothing here depends on
    /// are left out, so a mistake in one does no harm.
    pub fn rewrite(&self, tag: &str, kept: &[(&str, Form)]) -> String {
        let mut out = format!("#EXTM3U\n#{tag}:");
        let mut separator = "";
        for (name, form) in kept {
            let Some(value) = self.get(name) else { continue };
            let quote = match form {
                Form::Quoted => "\"",
                Form::QuotedUnlessNone if value != "NONE" => "\"",
                Form::Plain | Form::QuotedUnlessNone => "",
            };
            out.push_str(&format!("{separator}{name}={quote}{value}{quote}"));
            separator = ",";
        }
        out.push('\n');
        out
    }
}

/// How the value of an attribute is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A quoted string.
    Quoted,
    /// A number, an enumerated string or a resolution.
    Plain,
    /// A quoted string, or the word `NONE`.
    QuotedUnlessNone,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn careless_lists_are_made_plain() {
        let list = Attributes::read(r#"TYPE="AUDIO", GROUP-ID="a,b" ,NAME=English,LANGUAGE="",X-Y=1,DEFAULT=YES"#);
        assert_eq!(list.get("GROUP-ID"), Some("a,b"));
        assert_eq!(list.get("LANGUAGE"), None);
        let kept =
            [("TYPE", Form::Plain), ("NAME", Form::Quoted), ("LANGUAGE", Form::Quoted), ("DEFAULT", Form::Plain)];
        assert_eq!(
            list.rewrite("EXT-X-MEDIA", &kept),
            "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,NAME=\"English\",DEFAULT=YES\n"
        );
    }

    #[test]
    fn what_is_no_list_ends() {
        for text in ["", "=", "==,=", "a", "a=\"b", "\"=\"=\"", ",,,", "a=b,,c=d"] {
            let list = Attributes::read(text);
            assert!(list.0.len() <= 4, "{text}");
        }
        assert_eq!(Attributes::read("a=b,,c=d").get("c"), Some("d"));
    }
}
