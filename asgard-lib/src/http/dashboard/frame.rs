//! What is around every page: who asks for it, the layout, signing in, what was just done, and what cannot be shown.

mod assets;
mod flash;
mod layout;
mod page_request;
mod problem;
mod sign_in;
mod unsent_form;

pub(crate) use assets::{asset, icon};
pub(crate) use flash::Flash;
pub(crate) use layout::{Layout, Section};
#[cfg(test)]
pub(crate) use page_request::encoded;
pub(crate) use page_request::{PageRequest, id};
pub(crate) use problem::in_style;
pub(crate) use sign_in::{enter, forget, leave, show};
pub(crate) use unsent_form::keep_unsent_form;
