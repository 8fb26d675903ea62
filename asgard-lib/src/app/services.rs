//! The services that can be asked for: the catalogue of manifests, and the operations that show it.

mod catalog;
mod list;

pub use catalog::{LOCAL, Service, ServiceCatalog, read_manifest};
pub use list::{GetService, ListServices, OutputView, ServiceSummary, ServiceView};
