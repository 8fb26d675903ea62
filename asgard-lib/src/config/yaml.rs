//! The file as a tree that knows its lines. Scalars keep their spelling: a setting decides what its text means, so `account:
//! 0123` is the account 0123 and the variable and the file read alike.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Spanned, options::MergeKeyPolicy};
use std::fmt;

/// The largest file that is read.
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A value in the file and the line it starts on. Has no `Debug`: it may hold secrets.
pub(crate) struct Node {
    pub(super) line: u64,
    pub(super) content: Content,
}

/// What a node holds.
pub(crate) enum Content {
    /// Nothing, or `null`.
    Null,
    /// Text, a number or a truth value, as it is spelled.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// Keys with the line of the key and its value.
    Map(Vec<(String, u64, Node)>),
}

/// Why a file is not YAML that Asgard reads, and where.
pub(super) struct Broken {
    pub(super) line: Option<u64>,
    pub(super) reason: String,
}

impl Node {
    /// The line of `key` and its value, if this is a map that has it.
    pub(super) fn child(&self, key: &str) -> Option<(u64, &Self)> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|(name, ..)| name == key).map(|(_, line, node)| (*line, node)),
            Content::Null | Content::Scalar(_) | Content::List(_) => None,
        }
    }

    /// The line of the key at a dotted path below this node, and its value.
    pub(super) fn at(&self, path: &str) -> Option<(u64, &Self)> {
        path.split('.').try_fold((self.line, self), |(_, node), key| node.child(key))
    }
}

/// Reads one document. Anchors, aliases, merge keys, tags and a second document are refused: a file of settings needs none,
/// and each is a way to make a small file large or to hide what it says.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Broken> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 16,
            max_nodes: 20_000,
            max_events: 60_000,
            max_documents: 1,
            max_anchors: 0,
            max_aliases: 0,
        },
        with_snippet: false,
        strict_booleans: true,
        reject_unsupported_tags: true,
        merge_keys: MergeKeyPolicy::Error,
    };
    let root =
        serde_saphyr::from_str_with_options::<Option<Spanned<Raw>>>(text, options).map_err(|error| broken(&error))?;
    root.map(|root| settle(root, text)).transpose()
}

fn broken(error: &serde_saphyr::Error) -> Broken {
    use serde_saphyr::{Error, budget::BudgetBreach};
    let line = error.location().map(|at| at.line());
    let reason = match error.without_snippet() {
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("`{}` is given twice", shorten(key)),
        Error::DuplicateMappingKey { key: None, .. } => "a key is given twice".to_owned(),
        Error::Budget { breach: BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. }, .. } => {
            "anchors (`&name`) and aliases (`*name`) are not supported".to_owned()
        }
        Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => {
            "only one document is allowed in a file".to_owned()
        }
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => "nested more than 16 levels deep".to_owned(),
        Error::Budget { .. } => "too many values for a file of settings".to_owned(),
        other => {
            // The parser's own words; its position is dropped because the line is said already.
            let text = other.to_string();
            let text = text.split(" at line ").next().unwrap_or(&text);
            format!("not valid YAML: {text}")
        }
    };
    Broken { line, reason }
}

/// Text for a message: one line, printable, short.
pub(super) fn shorten(text: &str) -> String {
    const MAX: usize = 60;
    let clean: String = text.chars().take(MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX).is_some() { format!("{clean}...") } else { clean }
}

/// The tree as the parser gives it, before numbers get their spelling back.
enum Raw {
    Null,
    Plain,
    Text(String),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

fn settle(raw: Spanned<Raw>, source: &str) -> Result<Node, Broken> {
    let line = raw.referenced.line();
    let content = match raw.value {
        Raw::Null => Content::Null,
        Raw::Text(text) => Content::Scalar(text),
        Raw::Plain => {
            let span = raw.referenced.span();
            let start = span.byte_offset().and_then(|at| usize::try_from(at).ok());
            let length = span.byte_len().and_then(|n| usize::try_from(n).ok());
            let spelled = start.zip(length).and_then(|(at, n)| source.get(at..at.checked_add(n)?));
            let lost =
                || Broken { line: Some(line), reason: "a number could not be read; put it in quotes".to_owned() };
            Content::Scalar(spelled.ok_or_else(lost)?.trim().to_owned())
        }
        Raw::List(items) => {
            Content::List(items.into_iter().map(|item| settle(item, source)).collect::<Result<_, _>>()?)
        }
        Raw::Map(entries) => {
            let entry = |(key, value): (Spanned<String>, Spanned<Raw>)| {
                settle(value, source).map(|node| (key.value, key.referenced.line(), node))
            };
            Content::Map(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
        }
    };
    Ok(Node { line, content })
}

struct Any;

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
