//! Form fields: a label, a control, help, and what is wrong with it. Every form is made of these.

use super::form_data::FormData;
use crate::error::Error;
use askama::Template;

/// One of the values that a field may have.
pub(crate) struct Choice {
    value: String,
    label: String,
}

impl Choice {
    /// A value and what people call it.
    pub(crate) fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into() }
    }
}

/// What a field is filled in with.
pub(crate) enum Control {
    /// One line; the text is the type of the HTML input.
    Line(&'static str),
    /// A number between limits.
    Number { min: Option<String>, max: Option<String>, step: &'static str },
    /// A password; it is never sent back.
    Password,
    /// Several lines.
    Area { rows: u8 },
    /// One of some values.
    Choice(Vec<Choice>),
}

/// A field of a form.
#[derive(Template)]
#[template(path = "parts/field.html")]
pub(crate) struct Field {
    id: String,
    name: String,
    label: String,
    help: String,
    control: Control,
    required: bool,
    read_only: bool,
    longest: Option<u32>,
    placeholder: String,
    value: String,
    wrong: Option<String>,
    first: bool,
    mono: bool,
    autocomplete: &'static str,
}

impl askama::filters::HtmlSafe for Field {}

impl Field {
    /// A field of one control.
    pub(crate) fn new(name: impl Into<String>, label: impl Into<String>, control: Control) -> Self {
        let name = name.into();
        Self {
            id: format!("f-{}", name.replace('.', "-")),
            name,
            label: label.into(),
            help: String::new(),
            control,
            required: false,
            read_only: false,
            longest: None,
            placeholder: String::new(),
            value: String::new(),
            wrong: None,
            first: false,
            mono: false,
            autocomplete: "off",
        }
    }

    /// A line of text.
    pub(crate) fn line(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::new(name, label, Control::Line("text"))
    }

    /// An e-mail address.
    pub(crate) fn email(name: &str, label: &str) -> Self {
        Self::new(name, label, Control::Line("email")).longest(254)
    }

    /// A password.
    pub(crate) fn password(name: &str, label: &str, autocomplete: &'static str) -> Self {
        Self::new(name, label, Control::Password).required().longest(200).autocomplete(autocomplete)
    }

    /// A whole number.
    pub(crate) fn whole(name: &str, label: &str, min: u64, max: u64) -> Self {
        Self::new(name, label, Control::Number { min: Some(min.to_string()), max: Some(max.to_string()), step: "1" })
    }

    /// Dollars.
    pub(crate) fn dollars(name: &str, label: &str) -> Self {
        Self::new(name, label, Control::Number { min: Some("0".into()), max: None, step: "any" })
    }

    /// Some lines of text.
    pub(crate) fn area(name: impl Into<String>, label: impl Into<String>, rows: u8) -> Self {
        Self::new(name, label, Control::Area { rows })
    }

    /// One of some values.
    pub(crate) fn choice(name: impl Into<String>, label: impl Into<String>, choices: Vec<Choice>) -> Self {
        Self::new(name, label, Control::Choice(choices))
    }

    /// It has to be filled in.
    #[must_use]
    pub(crate) fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// It is shown and cannot be changed here.
    #[must_use]
    pub(crate) fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// It holds names or code.
    #[must_use]
    pub(crate) fn mono(self) -> Self {
        Self { mono: true, ..self }
    }

    /// It is where typing begins.
    #[must_use]
    pub(crate) fn first(self) -> Self {
        Self { first: true, ..self }
    }

    /// What a browser may fill in by itself.
    #[must_use]
    pub(crate) fn autocomplete(self, token: &'static str) -> Self {
        Self { autocomplete: token, ..self }
    }

    /// What it is for.
    #[must_use]
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: help.into(), ..self }
    }

    /// What an answer looks like.
    #[must_use]
    pub(crate) fn placeholder(self, text: impl Into<String>) -> Self {
        Self { placeholder: text.into(), ..self }
    }

    /// The most characters.
    #[must_use]
    pub(crate) fn longest(self, characters: u32) -> Self {
        Self { longest: Some(characters), ..self }
    }

    /// What it holds at first.
    #[must_use]
    pub(crate) fn value(self, value: impl Into<String>) -> Self {
        Self { value: value.into(), ..self }
    }

    /// Several forms on one page keep their fields apart by this.
    #[must_use]
    pub(crate) fn within(self, scope: &str) -> Self {
        Self { id: format!("{}-{scope}", self.id), ..self }
    }

    /// What it is sent as.
    #[cfg(test)]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Says what is wrong with it.
    pub(crate) fn refuse(&mut self, message: impl Into<String>) {
        self.wrong = Some(message.into());
    }

    fn described_by(&self) -> String {
        let help = (!self.help.is_empty()).then(|| format!("{}-help", self.id));
        let wrong = self.wrong.as_ref().map(|_| format!("{}-wrong", self.id));
        [wrong, help].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn is(&self, choice: &Choice) -> bool {
        self.value == choice.value
    }
}

/// The fields of a form.
pub(crate) struct Fields(pub Vec<Field>);

impl Fields {
    /// Fills in what was sent, so that nothing has to be typed twice. Passwords are.
    #[must_use]
    pub(crate) fn keep(mut self, form_data: Option<&FormData>) -> Self {
        for (field, form_data) in self.0.iter_mut().zip(std::iter::repeat(form_data)) {
            if let Some(text) = form_data.and_then(|form_data| form_data.raw(&field.name))
                && !matches!(field.control, Control::Password)
                && !field.read_only
            {
                field.value = text.to_owned();
            }
        }
        self
    }

    /// Shows an error beside the field that it names. Says whether there is one.
    pub(crate) fn blame(&mut self, error: &Error) -> bool {
        let Some(wrong) = error.field() else { return false };
        let within = |name: &str| wrong == name || wrong.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        let best = self.0.iter_mut().filter(|field| within(&field.name)).max_by_key(|field| field.name.len());
        match best {
            Some(field) => {
                field.refuse(error.message());
                field.first = true;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_go_to_the_longest_field_that_they_are_about() {
        let mut fields =
            Fields(vec![Field::area("spec.grants", "Grants", 3), Field::area("spec.grants.read", "Read", 3)]);
        assert!(fields.blame(&Error::invalid("spec.grants.read.0", "Not that.")));
        assert!(fields.0[0].wrong.is_none() && fields.0[1].wrong.is_some());
        assert!(!fields.blame(&Error::invalid("spec.grantsx", "No.")));
        assert!(!fields.blame(&Error::not_found("project")));
    }

    #[test]
    fn a_field_escapes_what_it_holds_and_ties_help_and_error_to_the_control() {
        let mut field = Field::line("name", "Name <b>").help("What & why").value("\"><script>").required();
        field.refuse("No <i>");
        let html = field.to_string();
        assert!(!html.contains("<script>") && !html.contains("<b>") && !html.contains("<i>"), "{html}");
        assert!(html.contains(r#"aria-describedby="f-name-wrong f-name-help""#), "{html}");
        assert!(
            html.contains(r#"for="f-name""#) && html.contains("required") && html.contains("aria-invalid"),
            "{html}"
        );
    }

    #[test]
    fn passwords_are_never_kept() {
        let field = Fields(vec![Field::password("password", "Password", "current-password")]).keep(None).0.remove(0);
        assert!(field.value.is_empty());
    }
}
