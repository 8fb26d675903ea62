//! What an [`Asgard`] is put together from. Every port is declared here, once: its field, how it is given and how it is asked
//! for follow from its line.

use super::{
    Asgard, Operations, ServiceCatalog,
    core::effects::{GuardedSecrets, GuardedVault},
};
use crate::{config::Config, domain::audit::AuditVocabulary, ports::world::World};
use std::sync::Arc;

/// Declares the ports. One under `needed` has no default that this layer knows: [`Parts::new`] takes it, in this order. One
/// under `replaceable` has a default, and a method of its name on [`Parts`] replaces it. Both can be asked for by their name on
/// [`Asgard`].
macro_rules! ports {
    (
        needed { $($(#[doc = $need_doc:literal])+ $need:ident: $needed:path,)* }
        replaceable { $($(#[doc = $doc:literal])+ $name:ident: $port:path = $default:expr,)* }
    ) => {
        /// The parts that an [`Asgard`] is built from. [`Parts::new`] takes those that have no default, and a method each
        /// replaces one of the others, so a part more breaks nobody.
        #[derive(Clone)]
        pub struct Parts {
            $($need: Arc<dyn $needed>,)*
            $($name: Arc<dyn $port>,)*
            pub(super) catalog: Arc<ServiceCatalog>,
            pub(super) operations: Arc<Operations>,
            pub(super) vocabulary: Arc<AuditVocabulary>,
            pub(super) world: World,
            pub(super) config: Arc<Config>,
            pub(super) fleeting: bool,
        }

        impl Parts {
            /// The parts that have no default, with the defaults for all others: the shipped operations, no services, the
            /// operating system's clock and randomness, the default configuration.
            pub fn new($($need: Arc<dyn $needed>,)*) -> Self {
                Self {
                    $($need,)*
                    $($name: $default,)*
                    catalog: Arc::default(),
                    operations: Operations::shipped(),
                    vocabulary: Arc::default(),
                    world: World::system(),
                    config: Arc::default(),
                    fleeting: false,
                }
            }

            $(
                $(#[doc = $doc])+
                #[must_use]
                pub fn $name(mut self, $name: Arc<dyn $port>) -> Self {
                    self.$name = $name;
                    self
                }
            )*
        }

        impl Asgard {
            $($(#[doc = $need_doc])+ pub fn $need(&self) -> &dyn $needed { &*self.parts.$need })*
            $($(#[doc = $doc])+ pub fn $name(&self) -> &dyn $port { &*self.parts.$name })*
        }
    };
}

ports! {
    needed {
        /// Where records are. Reading from it decides nothing; operations decide inside a transaction.
        store: crate::ports::store::Store,
        /// Where encrypted bytes are.
        vault: crate::ports::vault::Vault,
        /// Sealed tokens and marks.
        sealer: crate::ports::vault::TokenSealer,
        /// Where secret values are.
        secrets: crate::ports::secrets::SecretStore,
        /// What starts supervisors.
        runner: crate::ports::runner::Runner,
    }
    replaceable {
        /// The operator's policy, asked beside Asgard's own rules, which it can only make stricter.
        policy: crate::ports::policy::Policy = Arc::new(crate::ports::policy::BuiltIn),
        /// Where the heads of the audit log's chains are kept, out of reach of whoever can write to the database.
        anchors: crate::ports::anchors::AnchorSink = Arc::new(crate::ports::anchors::LogAnchors),
    }
}

crate::kernel::opaque!(Parts);

impl Parts {
    /// The same, where the ports with effects refuse to work inside a decision.
    pub(super) fn guarded(mut self) -> Self {
        self.secrets = Arc::new(GuardedSecrets(self.secrets));
        self.vault = Arc::new(GuardedVault(self.vault));
        self
    }

    /// What can be asked for.
    #[must_use]
    pub fn catalog(mut self, catalog: ServiceCatalog) -> Self {
        self.catalog = Arc::new(catalog);
        self
    }

    /// What callers can have done: the shipped operations, and those of the host's own.
    #[must_use]
    pub fn operations(mut self, operations: Arc<Operations>) -> Self {
        self.operations = operations;
        self
    }

    /// What may be written to the audit log.
    #[must_use]
    pub fn vocabulary(mut self, vocabulary: AuditVocabulary) -> Self {
        self.vocabulary = Arc::new(vocabulary);
        self
    }

    /// Time and randomness.
    #[must_use]
    pub fn world(mut self, world: World) -> Self {
        self.world = world;
        self
    }

    /// The settings.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Arc::new(config);
        self
    }

    /// Whether each second of the process is paid for, as a function's is: waiting is shorter there, and looks less often.
    #[must_use]
    pub const fn fleeting(mut self, fleeting: bool) -> Self {
        self.fleeting = fleeting;
        self
    }
}

impl Asgard {
    /// What can be asked for.
    pub fn catalog(&self) -> &ServiceCatalog {
        &self.parts.catalog
    }

    /// What callers can have done here: the table that every surface is made from.
    pub fn operations(&self) -> &Arc<Operations> {
        &self.parts.operations
    }

    /// What may be written to the audit log.
    pub fn vocabulary(&self) -> &AuditVocabulary {
        &self.parts.vocabulary
    }

    /// Time and randomness.
    pub fn world(&self) -> &World {
        &self.parts.world
    }

    /// Whether each second of this process is paid for.
    pub(crate) fn is_fleeting(&self) -> bool {
        self.parts.fleeting
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.parts.config
    }
}
