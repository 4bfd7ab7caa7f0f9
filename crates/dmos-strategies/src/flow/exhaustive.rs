//! The prototype's exhaustive search: every route from the final node to the source is followed repeatedly.
//!
//! From the final node upstream, the producers of each missing item are searched in the order of node
//! numbers, and the first that can be supplied is chosen. Results are not memoized: a node reached by k
//! routes is searched k times. The prototype passes one growing list of edges through the whole search and
//! scans it at each return, so its work is quadratic in the number of calls, which is exponential in the
//! depth of the network.
//!
//! The calls of the search are really made here. The scans are counted and charged but not executed, because
//! their results are known.

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, Params, PlanRequest, register_flow,
};
use dmos_core::{Flow, NodeId};

use super::ends::{Ends, SUBSTITUTE_ENDS};

register_flow!(FlowDescriptor {
    name: "exhaustive",
    summary: "exhaustive recursion of the prototype, without memoization",
    source: "the published prototype's flow bootstrap",
    notes: "finds a flow if one exists and the budget suffices; exponential in the depth of the network",
    guarantees: |params| if params.flag("substitute_ends") { &[] } else { &[Guarantee::FindsFlow] },
    params: &[SUBSTITUTE_ENDS],
    build: |params: &Params| Box::new(Exhaustive { substitute_ends: params.flag("substitute_ends") }),
});

struct Exhaustive {
    substitute_ends: bool,
}

impl FlowStrategy for Exhaustive {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let ends = Ends::of(request, self.substitute_ends)?;
        let edges = possible_edges(request);
        meter.note("possible_edges", edges);
        meter.charge(edges)?;
        let mut search = Search::new(request, &ends, meter);
        let supplied = ends.supplied(request.network, |end| Ok(search.from(end)? != Reached::Nothing));
        let Search { calls, scanned, suppliers, .. } = search;
        meter.note("calls", calls);
        meter.note("scanned", scanned);
        let supplied = supplied?;
        let supplier = |consumer: NodeId, nth: usize| {
            let suppliers = suppliers[consumer.index()].as_ref().expect("a planned node was visited");
            suppliers[nth].expect("a planned node can be supplied")
        };
        Ok(ends.flow_upstream_of(request.network, supplied, supplier))
    }
}

/// Returns the number of possible supply edges between live nodes, which the search lists first.
fn possible_edges(request: &PlanRequest<'_>) -> u64 {
    let (network, links) = (request.network, request.broken_links);
    let alive = |nodes: &[NodeId]| nodes.iter().filter(|&&node| request.alive.contains(node)).count() as u64;
    let live: Vec<u64> = network.items().map(|item| alive(network.producers(item))).collect();
    let requirements = request.alive.iter().flat_map(|node| network.requirements(node));
    let listed: u64 = requirements.map(|required| live[required.item.index()]).sum();
    let is_edge = |producer: NodeId, consumer: NodeId| {
        let requires = |item| network.requirements(consumer).iter().any(|required| required.item == item);
        request.alive.contains(producer)
            && request.alive.contains(consumer)
            && requires(network.makes(producer))
    };
    let broken = links.iter().filter(|&(a, b)| is_edge(a, b) || is_edge(b, a)).count() as u64;
    listed - broken
}

/// Result of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// A source: a new list of one edge.
    Source,
    /// All supplies were found: the shared list.
    Supplies,
    /// Some supplies are missing: an empty list.
    Nothing,
}

/// A possible supply edge into a node: its producer, and the requirement that it would meet.
type Incoming = (NodeId, u32);

/// An unfinished call.
struct Call {
    node: NodeId,
    /// Index of the next incoming edge.
    next: usize,
    /// Start of the flags of its requirements in `Search::met`.
    met_from: usize,
    /// Number of unmet requirements.
    missing: u32,
}

/// The search, with an explicit stack, because a network can be deeper than a thread's stack.
struct Search<'a> {
    request: &'a PlanRequest<'a>,
    ends: &'a Ends,
    meter: &'a mut Meter,
    /// Incoming edges of each searched node, in the order of producers.
    incoming: Vec<Option<Box<[Incoming]>>>,
    stack: Vec<Call>,
    met: Vec<bool>,
    /// Suppliers of each searched node, by requirement. All searches of a node have the same result, so the
    /// last one is kept.
    suppliers: Vec<Option<Box<[Option<NodeId>]>>>,
    /// Length of the prototype's list, from which nothing is ever removed.
    list: u64,
    calls: u64,
    scanned: u64,
}

impl<'a> Search<'a> {
    fn new(request: &'a PlanRequest<'a>, ends: &'a Ends, meter: &'a mut Meter) -> Self {
        let incoming = vec![None; request.network.node_count()];
        let suppliers = vec![None; request.network.node_count()];
        let (stack, met) = (Vec::new(), Vec::new());
        Self { request, ends, meter, incoming, suppliers, stack, met, list: 0, calls: 0, scanned: 0 }
    }

    fn from(&mut self, end: NodeId) -> Result<Reached, NoFlow> {
        let mut answer = self.call(end)?;
        while let Some(call) = self.stack.last_mut() {
            let incoming = self.incoming[call.node.index()].as_ref().expect("set by the call of the node");
            if let Some(reached) = answer.take() {
                // The result of the last recursive call decides on the edge before `next`.
                let (producer, requirement) = incoming[call.next - 1];
                let scan = match reached {
                    Reached::Source => 1,
                    Reached::Supplies => self.list,
                    Reached::Nothing => 0,
                };
                self.scanned += scan;
                self.meter.charge(scan)?;
                if reached != Reached::Nothing {
                    let suppliers =
                        self.suppliers[call.node.index()].as_mut().expect("set by the call of the node");
                    suppliers[requirement as usize] = Some(producer);
                    self.list += 1;
                    self.met[call.met_from + requirement as usize] = true;
                    call.missing -= 1;
                }
                continue;
            }
            let met = &self.met[call.met_from..];
            match incoming[call.next..].iter().position(|&(_, requirement)| !met[requirement as usize]) {
                Some(skipped) => {
                    let producer = incoming[call.next + skipped].0;
                    call.next += skipped + 1;
                    answer = self.call(producer)?;
                }
                None => answer = Some(self.end_call()),
            }
        }
        Ok(answer.expect("the last call has ended with an answer"))
    }

    /// Starts a call; sources return at once.
    fn call(&mut self, node: NodeId) -> Result<Option<Reached>, NoFlow> {
        self.calls += 1;
        self.meter.charge(1)?;
        let network = self.request.network;
        if self.ends.is_source(network, node) {
            return Ok(Some(Reached::Source));
        }
        let request = self.request;
        self.incoming[node.index()].get_or_insert_with(|| {
            let producers = network.requirements(node).iter().zip(0..).flat_map(|(required, nth)| {
                network.producers(required.item).iter().map(move |&producer| (producer, nth))
            });
            let mut incoming: Vec<Incoming> =
                producers.filter(|edge| request.is_usable(edge.0, node)).collect();
            incoming.sort_unstable();
            incoming.into()
        });
        let missing = network.requirements(node).len();
        self.suppliers[node.index()].get_or_insert_with(|| vec![None; missing].into());
        let met_from = self.met.len();
        self.met.resize(met_from + missing, false);
        let missing = u32::try_from(missing).expect("fewer requirements than items");
        self.stack.push(Call { node, next: 0, met_from, missing });
        Ok(None)
    }

    fn end_call(&mut self) -> Reached {
        let call = self.stack.pop().expect("the stack holds the current call");
        self.met.truncate(call.met_from);
        if call.missing == 0 { Reached::Supplies } else { Reached::Nothing }
    }
}
