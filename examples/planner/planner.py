"""A planner for DMOS in Python: for each item the live producer with the cheapest batches, each use paid for.

    dmos run SCENARIO --flow "exec:command=python3 examples/planner/planner.py"

DMOS writes lines of JSON: first the network, then a request for each plan; it reads a line for each request.
docs/strategies.md describes them.
"""

import json
import sys


def topological_order(network):
    """Returns the items in topological order."""
    order, seen = [], set()
    requires = [set() for _ in network["items"]]
    for node in network["nodes"]:
        requires[node["makes"]].update(item for item, _ in node["requires"])
    for start in range(len(requires)):
        stack = [(start, False)]
        while stack:
            item, is_done = stack.pop()
            if is_done:
                order.append(item)
            elif item not in seen:
                seen.add(item)
                stack.append((item, True))
                stack.extend((needed, False) for needed in requires[item])
    return order


def plan(network, order, producers, alive, broken):
    """Returns the edges of the cheapest plan and the number of steps; no edges if there is no flow."""
    nodes, steps = network["nodes"], 0
    # By item, cost and number of the producers that can be supplied, cheapest first.
    best = {}

    def supplier(item, consumer):
        usable = (known for known in best.get(item, []) if frozenset((known[1], consumer)) not in broken)
        return next(usable, None)

    for item in order:
        for number in producers[item]:
            node = nodes[number]
            steps += 1 + len(node["requires"])
            suppliers = [(supplier(needed, number), amount) for needed, amount in node["requires"]]
            if number in alive and all(known for known, _ in suppliers):
                cost = float(node["cost"]) + sum(amount * (1.0 + known[0]) for known, amount in suppliers)
                best.setdefault(item, []).append((cost / node["quantity"], number))
        if item in best:
            best[item].sort()
    ends = [best[item][0][1] for item in network["final_items"] if item in best]
    if not ends:
        return None, steps
    edges, planned = [], set()
    while ends:
        consumer = ends.pop()
        if consumer not in planned:
            planned.add(consumer)
            for item, _ in nodes[consumer]["requires"]:
                producer = supplier(item, consumer)[1]
                edges.append([producer, consumer, item])
                ends.append(producer)
    return edges, steps + len(edges)


def main():
    for line in sys.stdin:
        message = json.loads(line)
        if "network" in message:
            network = message["network"]
            order = topological_order(network)
            producers = [[] for _ in network["items"]]
            for number, node in enumerate(network["nodes"]):
                producers[node["makes"]].append(number)
            continue
        broken = {frozenset(link) for link in message["broken_links"]}
        edges, steps = plan(network, order, producers, set(message["alive"]), broken)
        if edges is None:
            answer = {"plan": message["plan"], "no_flow": "no final item can be made", "steps": steps}
        else:
            answer = {"plan": message["plan"], "edges": edges, "steps": steps}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
