//! What pages are made of: form fields, badges, times and money, tables. They know no page and no request.

mod field;
mod form_data;
mod format;
mod pager;
mod tables;

pub use field::{Choice, Control, Field, Fields};
pub use form_data::{FormData, number};
pub use format::{Badge, When, exact, money, wait, who, words};
pub use pager::Pager;
pub use tables::{
    EventTable, PlanTable, RequestTable, ResourceTable, RunTable, Values, lasted, operation, plan_in_words, verb,
};
