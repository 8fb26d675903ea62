use super::*;
use data_encoding::{BASE64, BASE64URL, HEXLOWER};
use proptest::prelude::*;

/// The ways a program may print a secret, written apart from [`forms`].
fn printed(secret: &str, way: u8) -> String {
    let percent = |hex: fn(u8) -> String| {
        let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        secret.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { hex(byte) }).collect::<String>()
    };
    match way {
        0 => secret.to_owned(),
        1 => BASE64.encode(secret.as_bytes()),
        2 => BASE64.encode(format!("user:{secret}").as_bytes()),
        3 => BASE64URL.encode(format!("x{secret}yz").as_bytes()),
        4 => percent(|byte| format!("%{byte:02X}")),
        5 => percent(|byte| format!("%{byte:02x}")),
        6 => serde_json::json!({ "password": secret }).to_string(),
        7 => serde_json::json!({ "policy": serde_json::json!({ "password": secret }).to_string() }).to_string(),
        8 => HEXLOWER.encode(secret.as_bytes()),
        _ => serde_json::json!([secret])
            .to_string()
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026"),
    }
}

/// Whether the secret can still be read out of `text`: as itself or by undoing any one way of printing.
fn survives(secret: &str, way: u8, text: &str) -> bool {
    let whole = printed(secret, way);
    // The middle of an encoding is enough to give most of a secret away; its ends depend on what stands beside it.
    let core: String = match way {
        2 | 3 => whole.chars().skip(8).take(whole.len().saturating_sub(12)).collect(),
        _ => whole.clone(),
    };
    text.contains(secret) || text.contains(&whole) || (core.len() >= 8 && text.contains(&core))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases * 2))]

    #[test]
    fn no_planted_secret_survives_in_any_encoding(
        secrets in prop::collection::vec("[ -~]{6,40}|[a-zäöü€😀\"\\\\<>&/+=%${}]{6,20}", 1..5),
        way in 0u8..10,
        before in "[a-z \"{:]{0,12}",
        after in "[a-z \"},]{0,12}",
        cut in any::<prop::sample::Index>(),
    ) {
        let redactor = Redactor::new(secrets.iter().map(String::as_str));
        for secret in &secrets {
            let text = format!("{before}{}{after}", printed(secret, way));
            let clean = redactor.text(&text);
            prop_assert!(!survives(secret, way, &clean), "{secret:?} in {clean:?}");

            // The same text told in two parts.
            let at = text.char_indices().map(|(at, _)| at).nth(cut.index(text.chars().count().max(1))).unwrap_or(0);
            let parts = redactor.texts(&[&text[..at], &text[at..]]);
            prop_assert!(!survives(secret, way, &parts.concat()), "{secret:?} in {parts:?}");
        }
    }

    #[test]
    fn text_without_secrets_stays_as_it_is(text in "[a-m ]{0,80}") {
        let redactor = Redactor::new(["zzzzzz", "password-1", "short"]);
        prop_assert_eq!(redactor.text(&text), text);
    }
}

#[test]
fn overlapping_and_adjacent_secrets_go_altogether() {
    let redactor = Redactor::new(["abcdefgh", "efghijkl", "secret-line-1\nsecret-line-2\n}"]);
    assert_eq!(redactor.text("<abcdefghijkl>"), "<(secret)>");
    assert_eq!(redactor.text("<abcdefghabcdefgh>"), "<(secret)(secret)>");
    assert_eq!(redactor.texts(&["-- abc", "de", "fgh --"]), ["-- (secret)", "(secret)", "(secret) --"]);
    assert_eq!(redactor.text("  secret-line-2"), "  (secret)");
    assert_eq!(redactor.text("a }"), "a }", "lines that are too short to be secrets stay");
}

#[test]
fn what_cannot_be_checked_is_not_shown() {
    let many: Vec<String> = (0..20_000).map(|n| format!("secret value number {n}")).collect();
    let redactor = Redactor::new(many.iter().map(String::as_str));
    assert_eq!(redactor.texts(&["anything", " "]), [WITHHELD, ""]);
    assert_eq!(Redactor::new([]).text("anything"), "anything");
}
