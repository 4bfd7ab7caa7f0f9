//! The protocol of external planners: one JSON value per line.
//!
//! The network is written first, and again whenever a recipe has changed; then one request per plan, each of
//! which is answered by one line. Nodes and items are identified by their numbers, from 0 in the order of the
//! lists.

use dmos_core::strategy::{Change, PlanRequest};
use dmos_core::{Flow, NodeId, Share, SupplyEdge};
use serde::{Deserialize, Serialize};

/// The network: the line before the first request.
#[derive(Debug, Serialize)]
pub struct NetworkLine<'a> {
    /// Identifies the kind of the line.
    pub network: NetworkOf<'a>,
    /// True for the first plan of a planner: the program is to forget all earlier ones, which may be of other runs. False
    /// where only a recipe has changed.
    pub reset: bool,
    /// Seed of the planner's random choices.
    pub seed: u64,
    /// Mean transit time, in seconds, where no route is listed.
    pub transit_s: f64,
    /// Transit time that is exceeded at most in one of twenty transports, in seconds.
    pub transit_upper_s: f64,
    /// Routes between sites.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteOf<'a>>,
}

/// A route from one site to another.
#[derive(Debug, Serialize)]
pub struct RouteOf<'a> {
    /// Site of the producer.
    pub from: &'a str,
    /// Site of the consumer.
    pub to: &'a str,
    /// Mean transit time, in seconds.
    pub transit_s: f64,
    /// Transit time that is exceeded at most in one of twenty transports, in seconds.
    pub transit_upper_s: f64,
    /// Cost of moving one batch.
    pub cost: u32,
}

/// Items and nodes.
#[derive(Debug, Serialize)]
pub struct NetworkOf<'a> {
    /// Names of the items.
    pub items: Vec<String>,
    /// Final items.
    pub final_items: Vec<usize>,
    /// Weights of the final items: the number of batches in a complete set.
    pub final_weights: Vec<u32>,
    /// The nodes.
    pub nodes: Vec<NodeOf<'a>>,
}

/// A node with its recipe.
#[derive(Debug, Serialize)]
pub struct NodeOf<'a> {
    /// The name.
    pub name: std::borrow::Cow<'a, str>,
    /// The item that it makes.
    pub makes: usize,
    /// Number of batches per production run.
    pub quantity: u32,
    /// Mean process time of a production run, in seconds.
    pub process_time_s: f64,
    /// Cost of the node.
    pub cost: u32,
    /// Its site, if routes lead between sites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<&'a str>,
    /// Inputs of a production run: item and quantity.
    pub requires: Vec<(usize, u32)>,
}

/// A request for a plan.
#[derive(Debug, Serialize)]
pub struct RequestLine {
    /// Number of the request, counting from 1.
    pub plan: u64,
    /// The nodes that are alive.
    pub alive: Vec<usize>,
    /// Broken links, as pairs of nodes, over which no node may supply another.
    pub broken_links: Vec<(usize, usize)>,
    /// Edges of the active flow: producer, consumer, item and share in millionths; `None` before the first.
    pub active: Option<Vec<(usize, usize, usize, u32)>>,
    /// Changes since then.
    pub changes: Vec<ChangeOf>,
}

/// A change that makes a new plan necessary.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeOf {
    /// A node failed, or retired.
    Failed(usize),
    /// A node rejoined, or joined.
    Rejoined(usize),
    /// The recipe of a node changed.
    RecipeChanged(usize),
    /// Links have broken, or work again.
    LinksChanged,
}

/// An answer: `edges` or `no_flow`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerLine {
    /// Number of the answered request.
    pub plan: u64,
    /// Producer, consumer, item, and the share in millionths if a requirement has several suppliers.
    #[serde(default)]
    pub edges: Option<Vec<EdgeOf>>,
    /// Reason why there is no flow.
    #[serde(default)]
    pub no_flow: Option<String>,
    /// Elementary steps of the plan; the number of edges by default.
    #[serde(default)]
    pub steps: Option<u64>,
    /// A remark, shown to users.
    #[serde(default)]
    pub remark: Option<String>,
}

/// An edge with or without a share.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "an edge is [producer, consumer, item], optionally with a share in millionths")]
pub enum EdgeOf {
    /// Producer, consumer, item, share in millionths.
    Shared(u32, u32, u32, u32),
    /// Producer, consumer, item.
    Plain(u32, u32, u32),
}

/// Returns the line that describes the network of a request, and whether all that came before is to be forgotten.
#[must_use]
pub fn network_line(request: &PlanRequest<'_>, reset: bool) -> String {
    let (network, routes) = (request.network, request.routes);
    let site = |index: usize| routes.site_names()[index].as_str();
    let default = routes.default_route().transit();
    let node = |node: NodeId| NodeOf {
        name: network.node_name(node),
        makes: network.makes(node).index(),
        quantity: network.yield_per_run(node),
        process_time_s: network.process_time(node).as_secs_f64(),
        cost: network.cost(node),
        site: routes.site(node).map(site),
        requires: network.requirements(node).iter().map(|r| (r.item.index(), r.quantity)).collect(),
    };
    line(&NetworkLine {
        network: NetworkOf {
            items: network.items().map(|item| network.item_name(item).into_owned()).collect(),
            final_items: network.final_items().iter().map(|item| item.index()).collect(),
            final_weights: network.final_weights().map(|(_, weight)| weight).collect(),
            nodes: network.nodes().map(node).collect(),
        },
        reset,
        seed: request.seed,
        transit_s: default.mean().as_secs_f64(),
        transit_upper_s: default.upper().as_secs_f64(),
        routes: routes
            .site_routes()
            .map(|(from, to, route)| RouteOf {
                from: site(from),
                to: site(to),
                transit_s: route.transit().mean().as_secs_f64(),
                transit_upper_s: route.transit().upper().as_secs_f64(),
                cost: route.cost(),
            })
            .collect(),
    })
}

/// Returns the line that requests a plan.
#[must_use]
pub fn request_line(request: &PlanRequest<'_>, plan: u64) -> String {
    let edge = |(edge, share): (SupplyEdge, Share)| {
        (edge.producer.index(), edge.consumer.index(), edge.item.index(), share.millionths())
    };
    let change = |change: &Change| match *change {
        Change::Failed(node) => ChangeOf::Failed(node.index()),
        Change::Rejoined(node) => ChangeOf::Rejoined(node.index()),
        Change::RecipeChanged(node) => ChangeOf::RecipeChanged(node.index()),
        Change::LinksChanged => ChangeOf::LinksChanged,
    };
    line(&RequestLine {
        plan,
        alive: request.alive.iter().map(NodeId::index).collect(),
        broken_links: request.broken_links.iter().map(|(a, b)| (a.index(), b.index())).collect(),
        active: request.active.map(|flow| flow.supplies().map(edge).collect()),
        changes: request.changes.iter().map(change).collect(),
    })
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("numbers and names can be written") + "\n"
}

/// Returns the flow of an answer.
///
/// # Errors
/// If an edge is given twice, or a share exceeds the whole.
pub fn flow(edges: &[EdgeOf]) -> Result<Flow, String> {
    let plain = |&edge: &EdgeOf| match edge {
        EdgeOf::Shared(producer, consumer, item, _) | EdgeOf::Plain(producer, consumer, item) => SupplyEdge {
            producer: NodeId::new(producer as usize),
            consumer: NodeId::new(consumer as usize),
            item: dmos_core::ItemId::new(item as usize),
        },
    };
    let all: Vec<_> = edges.iter().map(plain).collect();
    let mut sorted = all.clone();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        let SupplyEdge { producer, consumer, item } = twice[0];
        return Err(format!("it lists an edge twice: [{producer}, {consumer}, {item}]"));
    }
    // Shares may be left out for a single supplier; if they are left out for all suppliers, they are equal.
    let equal = Flow::new(all.clone());
    let by_edge: std::collections::BTreeMap<_, _> = equal.supplies().collect();
    let share = |(edge, supply): (&EdgeOf, SupplyEdge)| match *edge {
        EdgeOf::Shared(.., share) => Ok((supply, Share::try_from(share)?)),
        EdgeOf::Plain(..) => Ok((supply, by_edge[&supply])),
    };
    let supplies = edges.iter().zip(all).map(share).collect::<Result<Vec<_>, &str>>()?;
    Ok(Flow::with_shares(supplies))
}
