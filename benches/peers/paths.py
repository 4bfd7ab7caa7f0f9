"""Enumerates all paths from the source to the final node with networkx and rustworkx, on the network of `dmos network`.

Their searches do not prune nodes that cannot reach the target, so both get the network downstream of the source, in
which every node reaches the final node.
"""

import json
import subprocess
import sys
import time

import networkx
import rustworkx


def network(dmos, types):
    """Returns the prototype's network with this number of items: producers to consumers, the source and the final node."""
    command = [dmos, "network", "scenarios/seed/small-no-fail.yaml", "--format", "json"]
    command += ["--set", f"network.generate.types={types}"]
    described = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    nodes = described["nodes"]
    edges = [(p["id"], c["id"]) for c in nodes for p in nodes if p["produces"] in c["requires"]]
    source = next(node["id"] for node in nodes if not node["requires"])
    final = next(node["id"] for node in nodes if node["produces"] == described["final"][0])
    return edges, source, final, int(described["paths"])


def timed(name, types, counted, count):
    begun = time.process_time()
    found = count()
    took = time.process_time() - begun
    assert found == counted, f"{name} finds {found} paths, and dmos counts {counted}"
    print(f"{name}, {types} items: {found} paths, {found / took / 1e6:.3f} million/s")


def main():
    dmos = sys.argv[1]
    for types in (10, 12, 15):
        edges, source, final, counted = network(dmos, types)
        graph = networkx.DiGraph(edges)
        name = f"networkx {networkx.__version__}"
        timed(name, types, counted, lambda: sum(1 for _ in networkx.all_simple_paths(graph, source, final)))
        other = rustworkx.PyDiGraph()
        other.extend_from_edge_list(edges)
        name = f"rustworkx {rustworkx.__version__}"
        timed(name, types, counted, lambda: len(rustworkx.all_simple_paths(other, source, final)))


main()
