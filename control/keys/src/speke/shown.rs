//! What may be shown of an answer.

use crate::limits;
use crate::secret::Secret;

/// The start of a text body, for an error. Long runs of letters and digits are left out unless the request had them, for
/// they could be a key; so are lists of bytes and the secrets that were sent. Everything is on one line.
pub fn text(body: &[u8], request: &str, secrets: &[Secret]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for secret in secrets {
        text = text.replace(secret.reveal(), "...");
    }
    let mut runs = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (run, after) = rest.split_at(rest.find(|c| !is_of_run(c)).unwrap_or(rest.len()));
        let (between, after) = after.split_at(after.find(is_of_run).unwrap_or(after.len()));
        runs.push((run, between));
        rest = after;
    }
    let mut shown = String::new();
    for bytes in runs.chunk_by(|(one, _), (other, _)| is_byte(one) && is_byte(other)) {
        let is_list = bytes.len() >= limits::MIN_HIDDEN_BYTES;
        for (run, between) in bytes {
            let short = run.chars().count() < limits::MIN_HIDDEN_CHARACTERS;
            let is_shown = !is_list && (short || request.contains(run));
            shown.push_str(if is_shown { run } else { "..." });
            for character in between.chars() {
                match character.is_whitespace() {
                    true if shown.ends_with(' ') => {}
                    true => shown.push(' '),
                    false if character.is_control() => {}
                    false => shown.push(character),
                }
            }
        }
    }
    shown.trim().chars().take(limits::MAX_SHOWN_ANSWER_CHARACTERS).collect()
}

/// A byte in decimal or hexadecimal digits.
fn is_byte(run: &str) -> bool {
    let digits = run.strip_prefix("0x").unwrap_or(run);
    (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
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
        assert_eq!(text(b"at 3, 4; [1, 2, 3, 4]", "", &[]), "at 3, 4; [1, 2, 3, 4]");
        let hidden = text(b"key [1, 0x2, ff, 4, 5, 6, 7, 8] of 3", "", &[]);
        assert_eq!(hidden, "key [..., ..., ..., ..., ..., ..., ..., ...] of 3");
        assert_eq!(text("word ".repeat(100).as_bytes(), "", &[]).chars().count(), 200);
    }
}
