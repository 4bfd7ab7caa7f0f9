//! Sites, and the routes between them: transit times, message delays and costs of transport.
//!
//! A node is at a site or at none. A route leads from a site to a site, which may be the same. Where there is no
//! route, and for nodes without a site, the route is the network's default route.
//!
//! The *place* of a node is what decides its routes: its site, or being at none. Planners distinguish consumers by
//! place, of which there are far fewer than nodes.

use std::collections::BTreeMap;

use crate::distribution::Distribution;
use crate::ids::NodeId;
use crate::time::Span;

/// Transport from one place to another.
#[derive(Clone, PartialEq, Debug)]
pub struct Route {
    transit: Distribution,
    message: Distribution,
    cost: u32,
    /// Bounds of the two distributions, which nodes need for every order.
    upper_transit: Span,
    upper_message: Span,
}

impl Route {
    /// The default route: a transit of one second, messages of a millisecond, no cost.
    pub const DEFAULT: Self = Self {
        transit: Distribution::Fixed(Span::from_secs(1)),
        message: Distribution::Fixed(Span::from_millis(1)),
        cost: 0,
        upper_transit: Span::from_secs(1),
        upper_message: Span::from_millis(1),
    };

    /// Returns a route with these distributions of transit times and message delays, and this cost per batch.
    #[must_use]
    pub fn new(transit: Distribution, message: Distribution, cost: u32) -> Self {
        let (upper_transit, upper_message) = (transit.upper(), message.upper());
        Self { transit, message, cost, upper_transit, upper_message }
    }

    /// Returns the transit time of a shipment, from its announcement at the consumer to its arrival in the
    /// input buffer.
    #[must_use]
    pub fn transit(&self) -> &Distribution {
        &self.transit
    }

    /// Returns the delay of a message from sending to arrival.
    #[must_use]
    pub fn message(&self) -> &Distribution {
        &self.message
    }

    /// Returns the cost of moving one batch, in the unit of the nodes' costs.
    #[must_use]
    pub fn cost(&self) -> u32 {
        self.cost
    }
}

/// Index of a route: 0 is the default route.
type RouteIndex = u16;

/// Sites of all nodes, and the routes between the sites.
#[derive(Clone, PartialEq, Debug)]
pub struct Routes {
    default: Route,
    /// Routes other than the default one.
    others: Vec<Route>,
    site_names: Vec<String>,
    /// By node, its place: the index of its site plus one, or 0 for none; empty if there are no routes.
    places: Vec<u16>,
    /// By place of the sender and place of the receiver, the index of the route.
    table: Vec<RouteIndex>,
}

impl Default for Routes {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Routes {
    /// Maximum number of sites.
    pub const SITES_MAX: usize = 1_000;

    /// Maximum number of routes.
    pub const ROUTES_MAX: usize = 60_000;

    /// The default route between all nodes.
    pub const DEFAULT: Self = Self::uniform(Route::DEFAULT);

    /// Returns the same route between all nodes.
    #[must_use]
    pub const fn uniform(default: Route) -> Self {
        Self { default, others: Vec::new(), site_names: Vec::new(), places: Vec::new(), table: Vec::new() }
    }

    /// Returns routes between named sites. `sites` has the index of the site of each node; `routes` leads from
    /// site to site.
    ///
    /// # Panics
    /// If there are more sites or routes than the maximum, or an index is out of range.
    #[must_use]
    pub fn between_sites(
        default: Route,
        site_names: Vec<String>,
        sites: impl Iterator<Item = Option<usize>>,
        routes: BTreeMap<(usize, usize), Route>,
    ) -> Self {
        if routes.is_empty() {
            return Self { site_names, ..Self::uniform(default) };
        }
        assert!(site_names.len() <= Self::SITES_MAX && routes.len() <= Self::ROUTES_MAX, "too many routes");
        let width = site_names.len() + 1;
        let place = |site: Option<usize>| {
            let place = site.map_or(0, |index| index + 1);
            assert!(place < width, "a site without a name");
            place as u16
        };
        let places = sites.map(place).collect();
        let mut table = vec![0; width * width];
        let mut others = Vec::with_capacity(routes.len());
        for ((from, to), route) in routes {
            others.push(route);
            table[(from + 1) * width + to + 1] = others.len() as RouteIndex;
        }
        Self { default, others, site_names, places, table }
    }

    /// Returns the route from one node to another. O(1).
    #[must_use]
    #[inline]
    pub fn route(&self, from: NodeId, to: NodeId) -> &Route {
        if self.table.is_empty() { &self.default } else { self.route_to_place(from, self.place(to)) }
    }

    /// Returns the route from a node to a place. O(1).
    #[must_use]
    pub fn route_to_place(&self, from: NodeId, to: usize) -> &Route {
        let at = self.place(from) * (self.site_names.len() + 1) + to;
        match self.table.get(at) {
            None | Some(0) => &self.default,
            Some(&index) => &self.others[usize::from(index) - 1],
        }
    }

    /// Returns the place of a node; always 0 if no routes lead between sites.
    #[must_use]
    pub fn place(&self, node: NodeId) -> usize {
        self.places.get(node.index()).copied().map_or(0, usize::from)
    }

    /// Returns the route if it is the same between all nodes.
    #[must_use]
    pub fn only_route(&self) -> Option<&Route> {
        self.others.is_empty().then_some(&self.default)
    }

    /// Returns the route between nodes for whose sites there is none.
    #[must_use]
    pub fn default_route(&self) -> &Route {
        &self.default
    }

    /// Returns all routes, the default one first.
    pub fn all(&self) -> impl Iterator<Item = &Route> {
        std::iter::once(&self.default).chain(&self.others)
    }

    /// Returns the routes between sites, as indices of sites with the route.
    pub fn site_routes(&self) -> impl Iterator<Item = (usize, usize, &Route)> {
        let width = self.site_names.len() + 1;
        let used = self.table.iter().enumerate().filter(|(_, index)| **index != 0);
        used.map(move |(at, &index)| (at / width - 1, at % width - 1, &self.others[usize::from(index) - 1]))
    }

    /// Returns the names of the sites.
    #[must_use]
    pub fn site_names(&self) -> &[String] {
        &self.site_names
    }

    /// Returns the index of a node's site, if routes lead between sites and the node is at one.
    #[must_use]
    pub fn site(&self, node: NodeId) -> Option<usize> {
        self.place(node).checked_sub(1)
    }

    /// Returns the mean transit time from one node to another.
    #[must_use]
    pub fn mean_transit(&self, from: NodeId, to: NodeId) -> Span {
        self.route(from, to).transit.mean()
    }

    /// Returns the maximum transit time from one node to another, or its 95th percentile if it is unbounded.
    #[must_use]
    pub fn upper_transit(&self, from: NodeId, to: NodeId) -> Span {
        self.route(from, to).upper_transit
    }

    /// Returns the time of an order from one node to another and of the answer, each by its maximum, or its 95th
    /// percentile if it is unbounded.
    #[must_use]
    pub fn upper_round_trip(&self, from: NodeId, to: NodeId) -> Span {
        self.route(from, to).upper_message + self.route(to, from).upper_message
    }

    /// Returns the cost of moving one batch from one node to another.
    #[must_use]
    pub fn cost(&self, from: NodeId, to: NodeId) -> u32 {
        self.route(from, to).cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(seconds: u64, cost: u32) -> Route {
        let message = Distribution::Fixed(Span::from_millis(1));
        Route::new(Distribution::Fixed(Span::from_secs(seconds)), message, cost)
    }

    #[test]
    fn routes_lead_from_site_to_site() {
        let names = vec!["mine".to_owned(), "mill".to_owned()];
        let sites = [Some(0), Some(1), None, Some(1)].into_iter();
        let between = BTreeMap::from([((0, 1), route(60, 7)), ((1, 1), route(3, 0))]);
        let routes = Routes::between_sites(Route::DEFAULT, names, sites, between);
        let cost = |from, to| routes.cost(NodeId::new(from), NodeId::new(to));
        assert_eq!(
            [cost(0, 1), cost(0, 3), cost(1, 0), cost(0, 2), cost(2, 1), cost(1, 3)],
            [7, 7, 0, 0, 0, 0]
        );
        let seconds = |from, to| routes.mean_transit(NodeId::new(from), NodeId::new(to)).as_secs_f64();
        assert_eq!([seconds(0, 1), seconds(1, 3), seconds(1, 0), seconds(2, 1)], [60.0, 3.0, 1.0, 1.0]);
        let listed: Vec<_> = routes.site_routes().map(|(from, to, route)| (from, to, route.cost())).collect();
        assert_eq!(listed, [(0, 1, 7), (1, 1, 0)]);
        assert_eq!((routes.site(NodeId::new(3)), routes.site(NodeId::new(2))), (Some(1), None));
        assert_eq!((routes.all().count(), routes.only_route()), (3, None));
        assert_eq!(routes.site_names(), ["mine", "mill"]);
        let upper = |from, to| routes.upper_transit(NodeId::new(from), NodeId::new(to));
        assert_eq!((upper(0, 3), upper(3, 0)), (Span::from_secs(60), Span::from_secs(1)));
        assert_eq!([0, 1, 2, 3].map(|node| routes.place(NodeId::new(node))), [1, 2, 0, 2]);
        assert_eq!(routes.route_to_place(NodeId::new(0), 2).cost(), 7);
        assert_eq!(routes.default_route(), &Route::DEFAULT);
    }

    #[test]
    fn without_routes_every_pair_has_the_default() {
        let routes = Routes::uniform(route(5, 2));
        assert_eq!(routes.cost(NodeId::new(3), NodeId::new(9)), 2);
        assert_eq!(routes.upper_round_trip(NodeId::new(0), NodeId::new(1)), Span::from_millis(2));
        assert_eq!(routes.only_route(), Some(&route(5, 2)));
        let names = vec!["mine".to_owned()];
        let sites = Routes::between_sites(route(5, 2), names.clone(), [Some(0)].into_iter(), BTreeMap::new());
        assert_eq!((sites.site_names(), sites.site(NodeId::new(0))), (&names[..], None));
    }
}
