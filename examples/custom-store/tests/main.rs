//! What shows that the store may be used, as one program.

mod asgard;
mod contract;
mod power_cut;
