//! What may be shown of an answer.

use crate::limits;
use crate::secret::Secret;

/// The start of a text body, for an error. Long runs of letters and digits are left out unless the request had them, for
/// they could be a key; so are the secrets that were sent. Everything is on one line.
pub fn text(body: &[u8], request: &str, secrets: &[Secret]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for secret in secrets {
        text = text.replace(secret.reveal(), "...");
    }
    let mut shown = String::new();
    let mut run = String::new();
    for character in text.chars().map(Some).chain([None]) {
        if let Some(character) = character.filter(|c| is_of_run(*c)) {
            run.push(character);
            continue;
        }
        if !run.is_empty() {
            let short = run.chars().count() < limits::MIN_HIDDEN_CHARACTERS;
            shown.push_str(if short || request.contains(run.as_str()) { &run } else { "..." });
            run.clear();
        }
        match character {
            Some(c) if c.is_whitespace() && !shown.ends_with(' ') => shown.push(' '),
            Some(c) if !c.is_whitespace() && !c.is_control() => shown.push(c),
            _ => {}
        }
    }
    shown.trim().chars().take(limits::MAX_SHOWN_ANSWER_CHARACTERS).collect()
}

/// Characters of hexadecimal digits, UUIDs and both alphabets of base64.
fn is_of_run(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_secrets_are_left_out() {
        let request = r#"<cpix commonEncryptionScheme="cbcs" kid="11111111-0000-4000-8000-0000000000a1"/>"#;
        let body = b"Missing\n\tcommonEncryptionScheme for 11111111-0000-4000-8000-0000000000a1: \x07 key \
            AAECAwQFBgcICQoLDA0ODw== or 000102030405060708090a0b0c0d0e0f for pass word";
        let shown = text(body, request, &[Secret::new("pass word")]);
        let wanted = "Missing commonEncryptionScheme for 11111111-0000-4000-8000-0000000000a1: key ... or ... for ...";
        assert_eq!(shown, wanted);
        assert_eq!(text("word ".repeat(100).as_bytes(), "", &[]).chars().count(), 200);
    }
}
