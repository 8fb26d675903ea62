//! What is around every page: who asks for it, the layout, signing in, what was just done, and what cannot be shown.

mod assets;
mod flash;
mod layout;
mod page_request;
mod problem;
mod sign_in;

pub use assets::{asset, icon};
pub use flash::Flash;
pub use layout::{Layout, Section};
#[cfg(test)]
pub use page_request::encoded;
pub use page_request::{PageRequest, id};
pub use problem::in_style;
pub use sign_in::{enter, forget, leave, show};
