//! The prototype's search: every route from the final node to the source is followed again and again.
//!
//! From the final node backwards, each producer of an item still missing is searched in its turn, in
//! the order of node numbers, and the first that can be supplied is chosen. Nothing is remembered: a
//! node reached by k routes is searched k times. The prototype passes one growing list of edges
//! through the whole search and scans it in full at each return, so its work is quadratic in the
//! number of calls, which is exponential in the depth of the network.
//!
//! Here the search is really made, call by call. The scans are counted and charged, but not made: what
//! they would find is known.

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, Params, PlanRequest, register_flow,
};
use dmos_core::{Flow, NodeId};

use super::ends::{Ends, STAND_INS};

register_flow!(FlowDescriptor {
    name: "exhaustive",
    summary: "the prototype's search, which follows every route again and again",
    source: "the published prototype's flow bootstrap",
    notes: "finds a flow if one exists and its budget allows; takes time exponential in the network's depth",
    guarantees: |params| if params.flag("stand_ins") { &[] } else { &[Guarantee::FindsFlow] },
    params: &[STAND_INS],
    build: |params: &Params| Box::new(Exhaustive { stand_ins: params.flag("stand_ins") }),
});

struct Exhaustive {
    stand_ins: bool,
}

impl FlowStrategy for Exhaustive {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let ends = Ends::of(request, self.stand_ins)?;
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
            let suppliers = suppliers[consumer.index()].as_ref().expect("a planned node was searched");
            suppliers[nth].expect("a planned node can be supplied")
        };
        Ok(ends.flow_upstream_of(request.network, supplied, supplier))
    }
}

/// Returns the number of possible supply edges between live nodes: the search's first step lists them.
fn possible_edges(request: &PlanRequest<'_>) -> u64 {
    let network = request.network;
    let alive = |nodes: &[NodeId]| nodes.iter().filter(|&&node| request.alive.contains(node)).count() as u64;
    let live: Vec<u64> = network.items().map(|item| alive(network.producers(item))).collect();
    let requirements = request.alive.iter().flat_map(|node| network.requirements(node));
    requirements.map(|required| live[required.item.index()]).sum()
}

/// What a call comes back with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// A source: a fresh list of one edge.
    Source,
    /// All supplies: the shared list.
    Supplies,
    /// Not all supplies: an empty list.
    Nothing,
}

/// A possible supply edge into a node: its producer, and which requirement it would meet.
type Incoming = (NodeId, u32);

/// A call that is not finished.
struct Call {
    node: NodeId,
    /// The next incoming edge to look at.
    next: usize,
    /// Where the flags of its requirements begin in `Search::met`.
    met_from: usize,
    /// Number of requirements still to be met.
    missing: u32,
}

/// The search, with a stack of its own: networks may be deeper than a thread's stack.
struct Search<'a> {
    request: &'a PlanRequest<'a>,
    ends: &'a Ends,
    meter: &'a mut Meter,
    /// The incoming edges of each node that was searched, in the order of producers.
    incoming: Vec<Option<Box<[Incoming]>>>,
    stack: Vec<Call>,
    met: Vec<bool>,
    /// For each node that was searched, who meets which requirement. A search of a node always ends
    /// alike, so the last one stands for all.
    suppliers: Vec<Option<Box<[Option<NodeId>]>>>,
    /// The length of the prototype's list, from which nothing is ever taken away.
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
            let incoming = self.incoming[call.node.index()].as_ref().expect("listed by its call");
            if let Some(reached) = answer.take() {
                // The call's last look brought an answer: the edge before `next` can be used or not.
                let (producer, requirement) = incoming[call.next - 1];
                let scan = match reached {
                    Reached::Source => 1,
                    Reached::Supplies => self.list,
                    Reached::Nothing => 0,
                };
                self.scanned += scan;
                self.meter.charge(scan)?;
                if reached != Reached::Nothing {
                    let suppliers = self.suppliers[call.node.index()].as_mut().expect("made by its call");
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

    /// Begins a call; sources answer at once.
    fn call(&mut self, node: NodeId) -> Result<Option<Reached>, NoFlow> {
        self.calls += 1;
        self.meter.charge(1)?;
        let network = self.request.network;
        if self.ends.is_source(network, node) {
            return Ok(Some(Reached::Source));
        }
        let alive = self.request.alive;
        self.incoming[node.index()].get_or_insert_with(|| {
            let producers = network.requirements(node).iter().zip(0..).flat_map(|(required, nth)| {
                network.producers(required.item).iter().map(move |&producer| (producer, nth))
            });
            let mut incoming: Vec<Incoming> = producers.filter(|edge| alive.contains(edge.0)).collect();
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
        let call = self.stack.pop().expect("a call is under way");
        self.met.truncate(call.met_from);
        if call.missing == 0 { Reached::Supplies } else { Reached::Nothing }
    }
}
