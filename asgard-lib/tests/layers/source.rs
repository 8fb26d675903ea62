//! Reads the sources as the compiler would see them without tests: comments, literals and what only tests compile are left out,
//! and nothing else.

use std::{fs, path::Path, sync::LazyLock};

/// A source file that is compiled without tests.
pub(super) struct Source {
    /// Its path below `src`.
    pub name: String,
    /// Its code. Literals are empty.
    pub code: String,
}

/// The files below a folder of `src` that are compiled without tests; the whole of `src` for an empty name.
pub(super) fn sources(folder: &str) -> Vec<&'static Source> {
    static ALL: LazyLock<Vec<Source>> = LazyLock::new(read_all);
    let below =
        |file: &&Source| folder.is_empty() || file.name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    ALL.iter().filter(below).collect()
}

fn read_all() -> Vec<Source> {
    let (mut files, mut test_modules) = (Vec::new(), Vec::new());
    read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    for file in &mut files {
        let (code, modules) = without_tests(&file.code);
        file.code = code;
        let own = file.name.trim_end_matches(".rs");
        let below = if own == "lib" { String::new() } else { format!("{own}/") };
        test_modules.extend(modules.into_iter().map(|module| format!("{below}{module}")));
    }
    files.retain(|file| {
        let below = |module: &String| {
            let rest = file.name.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        !test_modules.iter().any(below)
    });
    files
}

fn read(folder: &Path, into: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap().display().to_string();
            into.push(Source { name, code: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// The code of a text without the items that only tests compile, and the modules among those.
pub(super) fn without_tests(text: &str) -> (String, Vec<String>) {
    let code = bare(text);
    let (mut kept, mut modules, mut at) = (String::new(), Vec::new(), 0);
    while at < code.len() {
        let ahead = if code[at] == '#' { 15 } else { 1 };
        let attribute: String = code[at..].iter().take(ahead).collect();
        if attribute.starts_with("#![cfg(test)]") {
            break;
        }
        if attribute.starts_with("#[cfg(test)]") || attribute.starts_with("#[cfg(all(test,") {
            let end = item_end(&code, at);
            let item: String = code[at..end].iter().collect();
            let words: Vec<&str> = item.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            if let Some(module) = words.iter().position(|word| *word == "mod").and_then(|mod_at| words.get(mod_at + 1))
            {
                modules.push((*module).to_owned());
            }
            at = end;
        } else {
            kept.push(code[at]);
            at += 1;
        }
    }
    (kept, modules)
}

/// Where the item ends that begins at `at` with its attributes.
fn item_end(code: &[char], mut at: usize) -> usize {
    let blank = |at: usize| code.get(at).is_some_and(|c| c.is_whitespace());
    loop {
        while blank(at) {
            at += 1;
        }
        if code.get(at) != Some(&'#') {
            break;
        }
        let mut depth = 0;
        while let Some(c) = code.get(at) {
            depth += i32::from(*c == '[') - i32::from(*c == ']');
            at += 1;
            if *c == ']' && depth == 0 {
                break;
            }
        }
    }
    let begin: String = code[at..].iter().take(80).collect();
    let words: Vec<&str> =
        begin.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
    let words: Vec<&str> =
        words.into_iter().skip_while(|word| ["pub", "crate", "super", "in"].contains(word)).take(2).collect();
    let (semicolon, item) = match words.as_slice() {
        ["const" | "unsafe" | "async", "fn" | "unsafe" | "impl" | "extern", ..] => (false, true),
        ["use" | "const" | "static" | "type" | "let", ..] => (true, true),
        ["fn" | "mod" | "impl" | "struct" | "enum" | "trait" | "extern" | "macro_rules" | "union", ..] => (false, true),
        // A field, a variant, an arm of a match, a statement.
        _ => (false, false),
    };
    let mut depth = 0;
    while let Some(c) = code.get(at) {
        match c {
            '(' | '[' | '{' => depth += 1,
            // The end of what the item is in.
            ')' | ']' | '}' if depth == 0 => return at,
            ')' | ']' | '}' => {
                depth -= 1;
                if *c == '}' && depth == 0 && !semicolon {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            ',' if depth == 0 && !item => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// The characters of a text without comments, and without what is inside its literals.
fn bare(text: &str) -> Vec<char> {
    let text: Vec<char> = text.chars().collect();
    let (mut bare, mut at) = (Vec::with_capacity(text.len()), 0);
    let is = |at: usize, what: &str| what.chars().enumerate().all(|(i, c)| text.get(at + i) == Some(&c));
    while let Some(&c) = text.get(at) {
        let in_word = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
        if is(at, "//") {
            while text.get(at).is_some_and(|c| *c != '\n') {
                at += 1;
            }
        } else if is(at, "/*") {
            let mut depth = 0;
            while at < text.len() {
                let (opens, closes) = (is(at, "/*"), is(at, "*/"));
                depth += i32::from(opens) - i32::from(closes);
                at += if opens || closes { 2 } else { 1 };
                if depth == 0 {
                    break;
                }
            }
        } else if !in_word && (is(at, "r\"") || is(at, "r#") || is(at, "br\"") || is(at, "br#")) {
            let start = at + text[at..].iter().take_while(|c| **c != '#' && **c != '"').count();
            let hashes = text[start..].iter().take_while(|c| **c == '#').count();
            if text.get(start + hashes) != Some(&'"') {
                // A raw identifier.
                bare.push(c);
                at += 1;
                continue;
            }
            let close = format!("\"{}", "#".repeat(hashes));
            at = start + hashes + 1;
            while at < text.len() && !is(at, &close) {
                at += 1;
            }
            at += close.len();
            bare.extend("\"\"".chars());
        } else if c == '"' {
            at += 1;
            while text.get(at).is_some_and(|c| *c != '"') {
                at += if text[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
            bare.extend("\"\"".chars());
        } else if c == '\'' && (text.get(at + 1) == Some(&'\\') || text.get(at + 2) == Some(&'\'')) {
            at += if text[at + 1] == '\\' { 3 } else { 2 };
            while text.get(at).is_some_and(|c| *c != '\'') {
                at += 1;
            }
            at += 1;
            bare.extend("' '".chars());
        } else {
            bare.push(c);
            at += 1;
        }
    }
    bare
}

#[test]
fn what_stands_after_a_module_of_tests_is_read() {
    let (code, modules) = without_tests(
        "#[cfg(test)]\nmod tests;\n#[cfg(test)]\n#[allow(dead_code)]\npub(crate) mod testkit;\n\
         use crate::config::Environment;\nfn f() {}\n",
    );
    assert_eq!(modules, ["tests", "testkit"]);
    assert_eq!(code.trim(), "use crate::config::Environment;\nfn f() {}");
}

#[test]
fn only_the_item_that_tests_compile_is_cut() {
    for (text, kept) in [
        ("#[cfg(test)]\nuse a::{b, c};\nuse d;", "use d;"),
        ("struct S { #[cfg(test)] a: Vec<(u8, u8)>, b: u8 }", "struct S {  b: u8 }"),
        ("match x { #[cfg(test)] A => { 1 } B => 2 }", "match x {  B => 2 }"),
        (
            "impl S { #[cfg(test)] pub(super) fn f<A, B>(a: A) -> [u8; 2] { [1, 2] } fn g() {} }",
            "impl S {  fn g() {} }",
        ),
        ("#[cfg(test)] const fn f() {} fn g() {}", "fn g() {}"),
        ("#[cfg(test)] const X: S = S { a: 1 }; fn g() {}", "fn g() {}"),
        ("#[cfg(all(test, feature = \"x\"))] mod tests { const B: char = '{'; } fn g<'a>() {}", "fn g<'a>() {}"),
        ("#[cfg(test)] mod tests { fn f() { g(\"}\\\"}\", r#\"}\"}\"#, '}', b'\\''); } } fn g() {}", "fn g() {}"),
        (
            "#[cfg(any(test, feature = \"x\"))] mod kit; fn g() {}",
            "#[cfg(any(test, feature = \"\"))] mod kit; fn g() {}",
        ),
        ("fn f() { /* #[cfg(test)] /* } */ */ } // crate::no\nfn g() {}", "fn f() {  } \nfn g() {}"),
        ("#![cfg(test)]\nfn f() {}", ""),
    ] {
        assert_eq!(without_tests(text).0.trim(), kept, "{text}");
    }
}

/// A reader that stops early, or that loses its place in a literal, does not see the last item of a file.
#[test]
fn every_file_is_read_to_its_end() {
    let files = sources("");
    let mut at_the_end = 0;
    for file in &files {
        let depth = file.code.chars().fold(0i32, |depth, c| depth + i32::from(c == '{') - i32::from(c == '}'));
        assert_eq!(depth, 0, "{} is cut in the middle", file.name);
        let text = fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).join(&file.name)).unwrap();
        let last = text.lines().rfind(|line| line.starts_with("fn ") || line.starts_with("pub fn "));
        if let Some(signature) = last.and_then(|line| line.split(['(', '<']).next()) {
            assert!(file.code.contains(signature), "{}: `{signature}` is not read", file.name);
            at_the_end += 1;
        }
    }
    assert!(at_the_end > 150, "only {at_the_end} of {} files were looked at", files.len());
    for name in ["adapters/keyring.rs", "adapters/vault.rs", "app/worker.rs", "aws.rs"] {
        let file = files.iter().find(|file| file.name == name).unwrap();
        assert!(file.code.contains("use crate::"), "{name}: what stands after its module of tests is not read");
    }
}
