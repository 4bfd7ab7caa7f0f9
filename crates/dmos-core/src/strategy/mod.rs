//! Strategies: plugins that plan flows, elect leaders and detect failures.
//!
//! A strategy is a type that implements [`FlowStrategy`], [`LeaderStrategy`] or [`DetectorStrategy`], and a
//! [`Descriptor`] that states its name, parameters and constructor:
//!
//! ```
//! use dmos_core::strategy::{register_flow, FlowDescriptor, FlowStrategy, Meter, NoFlow, Params, PlanRequest};
//! use dmos_core::{Flow, SupplyEdge};
//!
//! /// Every live producer supplies every live consumer that requires its item.
//! struct AllEdges;
//!
//! impl FlowStrategy for AllEdges {
//!     fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
//!         let mut edges = Vec::new();
//!         for edge in request.network.supply_edges() {
//!             meter.charge(1)?;
//!             if request.alive.contains(edge.producer) && request.alive.contains(edge.consumer) {
//!                 edges.push(edge);
//!             }
//!         }
//!         Ok(Flow::new(edges))
//!     }
//! }
//!
//! register_flow!(FlowDescriptor {
//!     name: "all-edges",
//!     summary: "all live producers supply all live consumers",
//!     source: "none",
//!     notes: "may plan nodes that cannot make anything",
//!     guarantees: |_| &[],
//!     params: &[],
//!     build: |_: &Params| Box::new(AllEdges),
//! });
//! ```

mod descriptor;
mod detector;
mod flow;
mod leader;
mod params;
mod registry;

pub use descriptor::{Descriptor, DetectorDescriptor, Family, FlowDescriptor, Guarantee, LeaderDescriptor};
pub use detector::{ArrivalHistory, DetectorConfig, DetectorStrategy};
pub use flow::{Change, FlowStrategy, Meter, NoFlow, PlanRequest, Rating, ThroughputBound};
pub use leader::{Election, ElectionConfig, ElectionEffects, ElectionInput, LeaderStrategy};
pub use params::{ParamKind, ParamSpec, ParamValue, Params};
pub use registry::{
    DetectorChoice, FlowChoice, LeaderChoice, Registry, RegistryError, StrategyCall, StrategyChoice,
    StrategyError,
};

/// Registers a [`FlowDescriptor`] with every program that links the crate.
#[macro_export]
macro_rules! register_flow {
    ($descriptor:expr) => {
        $crate::inventory::submit! { $descriptor }
    };
}

/// Registers a [`LeaderDescriptor`] with every program that links the crate.
#[macro_export]
macro_rules! register_leader {
    ($descriptor:expr) => {
        $crate::inventory::submit! { $descriptor }
    };
}

/// Registers a [`DetectorDescriptor`] with every program that links the crate.
#[macro_export]
macro_rules! register_detector {
    ($descriptor:expr) => {
        $crate::inventory::submit! { $descriptor }
    };
}

#[doc(inline)]
pub use crate::{register_detector, register_flow, register_leader};
