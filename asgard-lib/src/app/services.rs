//! The services that can be asked for: the catalogue of manifests, and the operations that show it.

mod catalog;
pub(crate) mod kept;
mod list;

pub use catalog::{LOCAL, Service, ServiceCatalog, read_manifest};
pub use list::{GetService, ListServices, OutputView, ServiceSummary, ServiceView};
