//! What a reader of JSON or YAML says is wrong, in the words of whoever wrote the text. The reader's own speak of Rust: of maps,
//! of sequences, of `u64`.

/// The same complaint in plain words. What is not known stays as it is. Values that were sent are left out: they may be secrets.
pub(crate) fn plainly(complaint: &str) -> String {
    for (start, with_kind) in [("invalid type: ", true), ("invalid value: ", false), ("invalid length ", false)] {
        let Some(rest) = complaint.strip_prefix(start) else { continue };
        // What was found may quote what was sent, so that only the last of these is the reader's own.
        let Some((found, wanted)) = rest.rsplit_once(", expected ") else { continue };
        let (wanted, place) = match wanted.find(" at line ") {
            Some(at) => wanted.split_at(at),
            None => (wanted, ""),
        };
        let kind = if with_kind { format!(", not {}", kind(found)) } else { String::new() };
        return format!("expected {}{kind}{place}", expectation(wanted));
    }
    complaint.replacen("unknown variant ", "unknown value ", 1).replacen("there are no variants", "there are none", 1)
}

/// What was found, by its kind alone.
fn kind(found: &str) -> &'static str {
    let starts = |word: &str| found.starts_with(word);
    if starts("null") || starts("unit value") || starts("Option") {
        "null"
    } else if starts("boolean") {
        "`true` or `false`"
    } else if starts("integer") || starts("floating point") || starts("number") {
        "a number"
    } else if starts("string") || starts("character") || starts("unit variant") {
        "text"
    } else if starts("map") || starts("struct") {
        "an object"
    } else if starts("sequence") || starts("tuple") || starts("byte array") {
        "a list"
    } else {
        "what was sent"
    }
}

/// What was wanted.
fn expectation(wanted: &str) -> String {
    let whole = |low: &str, high: &str| format!("a whole number from {low} to {high}");
    match wanted {
        "u8" => whole("0", "255"),
        "u16" => whole("0", "65535"),
        "u32" => whole("0", "4294967295"),
        "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" | "a borrowed string" | "a character" | "an identifier" | "a byte array" => "text".to_owned(),
        "a map" | "map" => "an object".to_owned(),
        "a sequence" | "sequence" => "a list".to_owned(),
        "unit" | "null" => "null".to_owned(),
        "string or map" => "text".to_owned(),
        _ if wanted.starts_with("struct ") => "an object".to_owned(),
        _ if wanted.starts_with("enum ") || wanted.starts_with("variant ") => "text".to_owned(),
        _ if wanted.starts_with("a tuple") || wanted.starts_with("tuple ") => "a list".to_owned(),
        _ => wanted.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Blue,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is only read")]
    struct Inner {
        a: u8,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is only read")]
    struct Everything {
        map: Option<BTreeMap<String, String>>,
        list: Option<Vec<String>>,
        pair: Option<(u8, u8)>,
        text: Option<String>,
        letter: Option<char>,
        flag: Option<bool>,
        small: Option<u8>,
        middle: Option<u16>,
        large: Option<u32>,
        huge: Option<u64>,
        signed: Option<i64>,
        float: Option<f64>,
        inner: Option<Inner>,
        colour: Option<Colour>,
    }

    /// No complaint about any type speaks the reader's language, or repeats what was sent.
    #[test]
    fn complaints_are_in_the_words_of_whoever_wrote_the_text() {
        let sent = [
            "\"hunter2, expected u64\"",
            "-77123",
            "1.5",
            "true",
            "[]",
            "[77123]",
            "{}",
            "{\"a\": 77123}",
            "99999999999999999999",
        ];
        let fields = [
            "map", "list", "pair", "text", "letter", "flag", "small", "middle", "large", "huge", "signed", "float",
            "inner", "colour",
        ];
        let mut said = 0;
        for (field, value) in fields.iter().flat_map(|field| sent.iter().map(move |value| (field, value))) {
            let text = format!("{{\"{field}\": {value}}}");
            let Err(error) = serde_json::from_str::<Everything>(&text) else { continue };
            let plain = plainly(&error.to_string());
            said += 1;
            // A choice that is not there is named, so that it can be found.
            if *field == "colour" && plain.starts_with("unknown value") {
                continue;
            }
            for word in [
                "map", "sequence", "struct", "enum", "variant", "tuple", "integer", "boolean", "u8", "u64", "i64",
                "f64",
            ] {
                assert!(!plain.split(|c: char| !c.is_alphanumeric()).any(|one| one == word), "{text}: {plain}");
            }
            if *field != "letter" {
                assert!(!plain.contains("hunter2") && !plain.contains("77123"), "{text}: {plain}");
            }
        }
        assert!(said > 80, "{said}");
    }

    #[test]
    fn a_complaint_says_what_is_wanted_and_where() {
        for (complaint, plain) in [
            ("invalid type: integer `5`, expected a string", "expected text, not a number"),
            (
                "invalid type: string \"x\", expected a map at line 1 column 5",
                "expected an object, not text at line 1 column 5",
            ),
            ("invalid value: integer `-1`, expected u64", "expected a whole number, 0 or more"),
            ("invalid value: integer `300`, expected u8", "expected a whole number from 0 to 255"),
            ("invalid length 3, expected a tuple of size 2", "expected a list"),
            ("unknown variant `x`, expected `a` or `b`", "unknown value `x`, expected `a` or `b`"),
            ("unknown field `x`, expected one of `a`, `b`", "unknown field `x`, expected one of `a`, `b`"),
            ("missing field `x`", "missing field `x`"),
            ("not a valid name: expected this", "not a valid name: expected this"),
        ] {
            assert_eq!(plainly(complaint), plain);
        }
    }
}
