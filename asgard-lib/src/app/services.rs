//! The services that can be asked for: the catalogue of manifests, and the operations that show it.

pub(crate) mod kept;
mod list;
mod offered;

pub use list::{GetService, ListServices, OutputView, ServiceSummary, ServiceView};
pub use offered::{LOCAL, Service, ServiceCatalog, read_manifest};

crate::app::core::entry::table! {
    ListServices,
    GetService,
}
