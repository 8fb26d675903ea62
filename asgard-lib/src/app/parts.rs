//! What an [`Asgard`] is put together from. Every port is declared here, once: its field, how it is given and how it is asked
//! for follow from its line.

use super::{
    Asgard, Operations, ServiceCatalog,
    core::effects::{GuardedAnchors, GuardedRunner, GuardedSecrets, GuardedVault},
};
use crate::{config::Config, domain::audit::AuditVocabulary, ports::world::World};
use std::sync::Arc;

/// Puts the guard around a port that a decision must not use; a port without one decides nothing by what it does.
macro_rules! guarded {
    (unguarded, $port:expr) => {
        $port
    };
    ($guard:ident, $port:expr) => {
        Arc::new($guard($port))
    };
}

/// Declares the ports. One under `needed` has no default that this layer knows: [`Parts::new`] takes it, in this order. One
/// under `defaulted` has a default. A method of its name on [`Parts`] replaces either, and on [`Asgard`] either can be asked for
/// by its name. Each says what guards it: the type that refuses its calls inside a decision, or `unguarded`.
macro_rules! ports {
    (
        needed { $($(#[doc = $need_doc:literal])+ $need:ident: $needed:path, $need_guard:ident;)* }
        defaulted { $($(#[doc = $doc:literal])+ $name:ident: $port:path = $default:expr, $guard:ident;)* }
    ) => {
        /// The parts that an [`Asgard`] is built from. [`Parts::new`] takes those that have no default, and a method each
        /// replaces one of all, so a part with a default more breaks nobody.
        #[derive(Clone)]
        pub struct Parts {
            $($need: Arc<dyn $needed>,)*
            $($name: Arc<dyn $port>,)*
            pub(super) services: Arc<ServiceCatalog>,
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
                    services: Arc::default(),
                    operations: Operations::shipped(),
                    vocabulary: Arc::default(),
                    world: World::system(),
                    config: Arc::default(),
                    fleeting: false,
                }
            }

            $(
                $(#[doc = $need_doc])+
                #[must_use]
                pub fn $need(mut self, $need: Arc<dyn $needed>) -> Self {
                    self.$need = $need;
                    self
                }
            )*

            $(
                $(#[doc = $doc])+
                #[must_use]
                pub fn $name(mut self, $name: Arc<dyn $port>) -> Self {
                    self.$name = $name;
                    self
                }
            )*

            /// The same, where the ports with effects refuse to work inside a decision.
            pub(super) fn guarded(self) -> Self {
                $(let $need = guarded!($need_guard, self.$need);)*
                $(let $name = guarded!($guard, self.$name);)*
                Self { $($need,)* $($name,)* ..self }
            }
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
        store: crate::ports::store::Store, unguarded;
        /// Where encrypted bytes are.
        vault: crate::ports::vault::Vault, GuardedVault;
        /// Sealed tokens and marks.
        sealer: crate::ports::vault::TokenSealer, unguarded;
        /// Where secret values are.
        secrets: crate::ports::secrets::SecretStore, GuardedSecrets;
        /// What starts supervisors.
        runner: crate::ports::runner::Runner, GuardedRunner;
    }
    defaulted {
        /// The operator's policy, asked beside Asgard's own rules, which it can only make stricter.
        policy: crate::ports::policy::Policy = Arc::new(crate::ports::policy::BuiltIn), unguarded;
        /// Where the heads of the audit log's chains are kept, out of reach of whoever can write to the database.
        anchors: crate::ports::anchors::AnchorSink = Arc::new(crate::ports::anchors::LogAnchors), GuardedAnchors;
    }
}

crate::kernel::opaque!(Parts);

impl Parts {
    /// What can be asked for.
    #[must_use]
    pub fn services(mut self, services: ServiceCatalog) -> Self {
        self.services = Arc::new(services);
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
    pub fn services(&self) -> &ServiceCatalog {
        &self.parts.services
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
