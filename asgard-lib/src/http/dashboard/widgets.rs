//! What pages are made of: form fields, badges, times and money, tables. They know no page and no request.

mod field;
mod form_data;
mod format;
mod pager;
mod tables;

pub(crate) use field::{Choice, Control, Field, Fields};
pub(crate) use form_data::{FormData, number};
pub(crate) use format::{Badge, When, exact, money, wait, who, words};
pub(crate) use pager::Pager;
pub(crate) use tables::{
    EventTable, PlanTable, RequestTable, ResourceTable, RunTable, Values, lasted, operation, plan_in_words, verb,
};
