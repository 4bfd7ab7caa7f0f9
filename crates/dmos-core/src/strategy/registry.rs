//! The registry of all linked strategies, and the choice of one with its parameters.

use std::fmt;

use thiserror::Error;

use super::descriptor::{
    Descriptor, DetectorDescriptor, Family, FlowDescriptor, Guarantee, LeaderDescriptor,
};
use super::detector::DetectorStrategy;
use super::flow::FlowStrategy;
use super::leader::LeaderStrategy;
use super::params::{ParamKind, ParamSpec, ParamValue, Params};
use crate::network::Network;

/// A strategy by name, with its parameters as written, not yet checked.
///
/// ```
/// use dmos_core::strategy::StrategyCall;
/// let call: StrategyCall = "last-writer:last=6,planners=4".parse().unwrap();
/// assert_eq!(call.name, "last-writer");
/// assert_eq!(call.params[1], ("planners".to_owned(), "4".to_owned()));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrategyCall {
    /// The name.
    pub name: String,
    /// Parameters and their values.
    pub params: Vec<(String, String)>,
}

impl fmt::Display for StrategyCall {
    /// Formats the call so that it can be parsed again, if no value has a comma.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (nth, (name, value)) in self.params.iter().enumerate() {
            write!(f, "{}{name}={value}", if nth == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

impl std::str::FromStr for StrategyCall {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, params) = text.split_once(':').unwrap_or((text, ""));
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            None => Err(format!("`{pair}` is not a parameter; write `{name}:parameter=value`")),
        };
        let params = params.split(',').filter(|part| !part.is_empty()).map(pair).collect::<Result<_, _>>()?;
        Ok(Self { name: name.trim().to_owned(), params })
    }
}

/// Error of choosing a strategy.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum StrategyError {
    /// There is no strategy of that name.
    #[error("there is no {family} strategy `{name}`{}; there are {}", of_other_family(.other), list(.known))]
    UnknownName {
        /// The family.
        family: Family,
        /// The name.
        name: String,
        /// Another family that has a strategy of that name.
        other: Option<Family>,
        /// The known names.
        known: Vec<&'static str>,
    },
    /// There is no parameter of that name.
    #[error("strategy `{strategy}` has no parameter `{param}`; {}", parameters(.known))]
    UnknownParam {
        /// The strategy.
        strategy: &'static str,
        /// The parameter.
        param: String,
        /// The known parameters.
        known: Vec<&'static str>,
    },
    /// A parameter is given twice.
    #[error("parameter `{param}` of strategy `{strategy}` is given twice")]
    ParamTwice {
        /// The strategy.
        strategy: &'static str,
        /// The parameter.
        param: String,
    },
    /// A required parameter is missing.
    #[error("strategy `{strategy}` needs its parameter `{param}`: {summary}")]
    ParamMissing {
        /// The strategy.
        strategy: &'static str,
        /// The parameter.
        param: &'static str,
        /// Its description.
        summary: &'static str,
    },
    /// A value has the wrong type or is out of range.
    #[error("parameter `{param}` of strategy `{strategy}`: {problem}")]
    BadValue {
        /// The strategy.
        strategy: &'static str,
        /// The parameter.
        param: &'static str,
        /// Description of the problem.
        problem: String,
    },
}

fn of_other_family(other: &Option<Family>) -> String {
    other.map_or_else(String::new, |other| format!(", but a {other} strategy"))
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn parameters(names: &[&str]) -> String {
    if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", list(names)) }
}

/// A strategy with all its parameters, ready to be constructed any number of times.
pub struct StrategyChoice<S: ?Sized + 'static> {
    descriptor: &'static Descriptor<S>,
    params: Params,
    shown: String,
    /// The call as given, without defaults.
    brief: String,
}

/// A chosen flow strategy.
pub type FlowChoice = StrategyChoice<dyn FlowStrategy>;

/// A chosen leader strategy.
pub type LeaderChoice = StrategyChoice<dyn LeaderStrategy>;

/// A chosen failure detector.
pub type DetectorChoice = StrategyChoice<dyn DetectorStrategy>;

impl<S: ?Sized> Clone for StrategyChoice<S> {
    fn clone(&self) -> Self {
        let (shown, brief) = (self.shown.clone(), self.brief.clone());
        Self { descriptor: self.descriptor, params: self.params.clone(), shown, brief }
    }
}

impl<S: ?Sized> fmt::Debug for StrategyChoice<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StrategyChoice({self})")
    }
}

impl<S: ?Sized> fmt::Display for StrategyChoice<S> {
    /// Formats the name with every parameter, as it can be written in a call.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl<S: ?Sized> StrategyChoice<S> {
    fn new(
        descriptor: &'static Descriptor<S>,
        call: &StrategyCall,
        network: &Network,
    ) -> Result<Self, StrategyError> {
        let specs = descriptor.params;
        let strategy = descriptor.name;
        let defaults = specs.iter().map(|spec| (spec.name, spec.kind.default_in(network)));
        let mut params: Vec<(&str, Option<ParamValue>)> = defaults.collect();
        for (nth, (name, text)) in call.params.iter().enumerate() {
            let Some(index) = specs.iter().position(|spec| spec.name == name) else {
                let known = specs.iter().map(|spec| spec.name).collect();
                return Err(StrategyError::UnknownParam { strategy, param: name.clone(), known });
            };
            if call.params[..nth].iter().any(|earlier| earlier.0 == *name) {
                return Err(StrategyError::ParamTwice { strategy, param: name.clone() });
            }
            let spec = &specs[index];
            let value = spec.kind.read(text, network).map_err(|problem| StrategyError::BadValue {
                strategy,
                param: spec.name,
                problem,
            })?;
            params[index].1 = Some(value);
        }
        let given = |((param, value), spec): ((&'static str, Option<ParamValue>), &ParamSpec)| match value {
            Some(value) => Ok((param, value)),
            None => Err(StrategyError::ParamMissing { strategy, param, summary: spec.summary }),
        };
        let params = params.into_iter().zip(specs).map(given).collect::<Result<Vec<_>, _>>()?;
        let show = |(name, value): &(&str, _)| format!("{name}={}", ParamKind::show(value, network));
        let shown: Vec<_> = params.iter().map(show).collect();
        let separator = if shown.is_empty() { "" } else { ":" };
        let shown = format!("{strategy}{separator}{}", shown.join(","));
        Ok(Self { descriptor, params: Params(params), shown, brief: call.to_string() })
    }

    /// Returns the name with the parameters that were given, without defaults.
    #[must_use]
    pub fn brief(&self) -> &str {
        &self.brief
    }

    /// Returns the strategy's descriptor.
    #[must_use]
    pub fn descriptor(&self) -> &'static Descriptor<S> {
        self.descriptor
    }

    /// Returns all guarantees under these parameters.
    #[must_use]
    pub fn all_guarantees(&self) -> &'static [Guarantee] {
        (self.descriptor.guarantees)(&self.params)
    }

    /// Returns whether the strategy gives this guarantee under these parameters.
    #[must_use]
    pub fn guarantees(&self, guarantee: Guarantee) -> bool {
        self.all_guarantees().contains(&guarantee)
    }

    /// Constructs the strategy.
    #[must_use]
    pub fn build(&self) -> Box<S> {
        (self.descriptor.build)(&self.params)
    }
}

/// All strategies linked into this program, by name.
pub struct Registry {
    flows: Vec<&'static FlowDescriptor>,
    leaders: Vec<&'static LeaderDescriptor>,
    detectors: Vec<&'static DetectorDescriptor>,
}

/// Error of a registry: two strategies of one family have the same name.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("two {family} strategies are called `{name}`; rename one or leave out its crate")]
pub struct RegistryError {
    family: Family,
    name: &'static str,
}

fn sorted<S: ?Sized>(
    family: Family,
    descriptors: impl Iterator<Item = &'static Descriptor<S>>,
) -> Result<Vec<&'static Descriptor<S>>, RegistryError> {
    let mut all: Vec<_> = descriptors.collect();
    all.sort_unstable_by_key(|descriptor| descriptor.name);
    match all.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(RegistryError { family, name: pair[0].name }),
        None => Ok(all),
    }
}

fn names<S: ?Sized>(all: &[&'static Descriptor<S>]) -> Vec<&'static str> {
    all.iter().map(|descriptor| descriptor.name).collect()
}

impl Registry {
    /// Collects all linked strategies.
    ///
    /// # Errors
    /// If two of one family have the same name.
    pub fn collect() -> Result<Self, RegistryError> {
        Ok(Self {
            flows: sorted(Family::Flow, inventory::iter::<FlowDescriptor>.into_iter())?,
            leaders: sorted(Family::Leader, inventory::iter::<LeaderDescriptor>.into_iter())?,
            detectors: sorted(Family::Detector, inventory::iter::<DetectorDescriptor>.into_iter())?,
        })
    }

    /// Returns all flow strategies, sorted by name.
    #[must_use]
    pub fn flows(&self) -> &[&'static FlowDescriptor] {
        &self.flows
    }

    /// Returns all leader strategies, sorted by name.
    #[must_use]
    pub fn leaders(&self) -> &[&'static LeaderDescriptor] {
        &self.leaders
    }

    /// Returns all failure detectors, sorted by name.
    #[must_use]
    pub fn detectors(&self) -> &[&'static DetectorDescriptor] {
        &self.detectors
    }

    /// Returns the names of all strategies of a family, sorted.
    #[must_use]
    pub fn names(&self, family: Family) -> Vec<&'static str> {
        match family {
            Family::Flow => names(&self.flows),
            Family::Leader => names(&self.leaders),
            Family::Detector => names(&self.detectors),
        }
    }

    /// Returns the flow strategy that `call` names, with its parameters checked for use on `network`.
    ///
    /// # Errors
    /// If the name or a parameter is unknown, or a value is out of range.
    pub fn flow(&self, call: &StrategyCall, network: &Network) -> Result<FlowChoice, StrategyError> {
        self.choose(Family::Flow, &self.flows, call, network)
    }

    /// Returns the leader strategy that `call` names, with its parameters checked for use on `network`.
    ///
    /// # Errors
    /// If the name or a parameter is unknown, or a value is out of range.
    pub fn leader(&self, call: &StrategyCall, network: &Network) -> Result<LeaderChoice, StrategyError> {
        self.choose(Family::Leader, &self.leaders, call, network)
    }

    /// Returns the failure detector that `call` names, with its parameters checked for use on `network`.
    ///
    /// # Errors
    /// If the name or a parameter is unknown, or a value is out of range.
    pub fn detector(&self, call: &StrategyCall, network: &Network) -> Result<DetectorChoice, StrategyError> {
        self.choose(Family::Detector, &self.detectors, call, network)
    }

    fn choose<S: ?Sized>(
        &self,
        family: Family,
        all: &[&'static Descriptor<S>],
        call: &StrategyCall,
        network: &Network,
    ) -> Result<StrategyChoice<S>, StrategyError> {
        match all.iter().find(|descriptor| descriptor.name == call.name) {
            Some(descriptor) => StrategyChoice::new(descriptor, call, network),
            None => Err(StrategyError::UnknownName {
                family,
                name: call.name.clone(),
                other: Family::ALL.into_iter().find(|other| self.names(*other).contains(&call.name.as_str())),
                known: names(all),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ItemId, NodeId};
    use crate::network::{Names, Recipe};
    use crate::strategy::{ArrivalHistory, DetectorConfig, Election, ElectionConfig};
    use crate::time::{Span, Time};

    /// A detector and an election that do nothing.
    #[derive(Clone, Debug)]
    struct Nothing(Span);

    impl DetectorStrategy for Nothing {
        fn history(&self, _: &DetectorConfig) -> Box<dyn ArrivalHistory> {
            Box::new(self.clone())
        }
    }

    impl ArrivalHistory for Nothing {
        fn on_response(&mut self, _: Time) -> Span {
            self.0
        }
    }

    impl LeaderStrategy for Nothing {
        fn election(&self, _: ElectionConfig) -> Box<dyn Election> {
            Box::new(self.clone())
        }
    }

    impl Election for Nothing {
        fn handle(
            &mut self,
            _: Time,
            _: crate::strategy::ElectionInput<'_>,
            _: &mut crate::strategy::ElectionEffects,
        ) {
        }
    }

    const fn param(name: &'static str, kind: ParamKind) -> ParamSpec {
        ParamSpec { name, summary: "a parameter", kind }
    }

    const SECOND: Span = Span::from_secs(1);

    static LATE: DetectorDescriptor = Descriptor {
        name: "late",
        summary: "",
        source: "",
        notes: "",
        guarantees: |params| if params.flag("exact") { &[Guarantee::Accuracy] } else { &[] },
        params: &[
            param("times", ParamKind::Integer { min: 2, max: 5, default: 3 }),
            param("exact", ParamKind::Flag { default: true }),
            param("wait", ParamKind::Duration { min: SECOND, default: SECOND }),
            param("node", ParamKind::Node),
        ],
        build: |params| Box::new(Nothing(params.duration("wait") * params.integer("times"))),
    };

    static EARLY: DetectorDescriptor = Descriptor {
        name: "early",
        summary: "",
        source: "",
        notes: "",
        guarantees: |_| &[],
        params: &[param("file", ParamKind::Text)],
        build: |_| Box::new(Nothing(SECOND)),
    };

    static FIRST: LeaderDescriptor = Descriptor {
        name: "first",
        summary: "",
        source: "",
        notes: "",
        guarantees: |_| &[],
        params: &[],
        build: |_| Box::new(Nothing(SECOND)),
    };

    fn registry() -> Registry {
        let detectors = sorted(Family::Detector, [&LATE, &EARLY].into_iter()).expect("different names");
        Registry { flows: Vec::new(), leaders: vec![&FIRST], detectors }
    }

    fn network() -> Network {
        let wood = ItemId::new(0);
        let nodes = Names::Words(vec!["a".to_owned(), "b".to_owned()]);
        let recipes = [Recipe::of(wood, []), Recipe::of(wood, [])].into_iter();
        Network::new(Names::Numbers(1), nodes, recipes, vec![wood]).expect("a valid network")
    }

    fn call(text: &str) -> StrategyCall {
        text.parse().expect("a valid call")
    }

    fn chosen(text: &str) -> Result<DetectorChoice, String> {
        registry().detector(&call(text), &network()).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_have_defaults() {
        let choice = chosen("late").expect("a known strategy");
        assert_eq!(
            (choice.to_string().as_str(), choice.brief()),
            ("late:times=3,exact=true,wait=1s,node=b", "late")
        );
        assert!(choice.guarantees(Guarantee::Accuracy) && !choice.guarantees(Guarantee::FindsFlow));
        assert!(LATE.stands_alone() && !EARLY.stands_alone());
    }

    #[test]
    fn parameters_are_given_by_name() {
        let choice = chosen("late:times=5, exact=false,node=a").expect("valid parameters");
        assert_eq!(choice.brief(), "late:times=5,exact=false,node=a");
        assert_eq!(choice.all_guarantees(), []);
        assert_eq!(choice.params.node("node"), NodeId::new(0));
        let config = DetectorConfig { heartbeat: SECOND, suspect_after: SECOND };
        assert_eq!(choice.build().history(&config).on_response(Time::ZERO), SECOND * 5);
        assert_eq!(choice.build().silence_max(&config), config.silence_max(), "by default");
        assert_eq!(chosen("early:file=x y").expect("a text").params.text("file"), "x y");
    }

    #[test]
    fn every_error_has_a_remedy() {
        let error = |text: &str| chosen(text).err().unwrap_or_default();
        assert_eq!(error("slow"), "there is no detector strategy `slow`; there are `early`, `late`");
        let other = "there is no detector strategy `first`, but a leader strategy; there are `early`, `late`";
        assert_eq!(error("first"), other);
        let known = "strategy `late` has no parameter `time`; it has `times`, `exact`, `wait`, `node`";
        assert_eq!(error("late:time=3"), known);
        assert_eq!(error("late:times=3,times=3"), "parameter `times` of strategy `late` is given twice");
        assert_eq!(error("early"), "strategy `early` needs its parameter `file`: a parameter");
        for (value, problem) in [
            ("times=1", "must be an integer from 2 to 5 (default 3), not `1`"),
            ("times=6", "must be an integer from 2 to 5 (default 3), not `6`"),
            ("times=x", "must be an integer from 2 to 5 (default 3), not `x`"),
            ("exact=1", "must be true or false (default true), not `1`"),
            ("wait=999ms", "must be a duration of at least 1s (default 1s), not `999ms`"),
            ("wait=5", "`5` has no unit; write for example `5s` or `5ms`"),
            ("node=c", "is not a node of the network: `c`"),
        ] {
            let name = value.split('=').next().unwrap_or_default();
            assert_eq!(
                error(&format!("late:{value}")),
                format!("parameter `{name}` of strategy `late`: {problem}")
            );
        }
        assert_eq!(error("early:file= "), "parameter `file` of strategy `early`: must not be empty");
        let none = registry().leader(&call("first:x=1"), &network()).err().map(|error| error.to_string());
        assert_eq!(none.as_deref(), Some("strategy `first` has no parameter `x`; it has none"));
        let malformed = "late:times".parse::<StrategyCall>();
        assert_eq!(malformed, Err("`times` is not a parameter; write `late:parameter=value`".to_owned()));
    }

    #[test]
    fn names_of_a_family_are_unique_and_sorted() {
        let registry = registry();
        let names = Family::ALL.map(|family| (family.name(), registry.names(family)));
        assert_eq!(names, [("flow", vec![]), ("leader", vec!["first"]), ("detector", vec!["early", "late"])]);
        assert_eq!((registry.flows().len(), registry.leaders().len(), registry.detectors().len()), (0, 1, 2));
        assert!(registry.leader(&call("first"), &network()).is_ok());
        let twice = sorted(Family::Detector, [&LATE, &EARLY, &LATE].into_iter()).err();
        let message = "two detector strategies are called `late`; rename one or leave out its crate";
        assert_eq!(twice.map(|error| error.to_string()).as_deref(), Some(message));
    }
}
