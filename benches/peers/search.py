"""An independent implementation of the prototype's search for a flow: its calls, scanned list items, and time.

From the final node upstream, the producers of each missing item are searched in order, and the first feasible one is
chosen. Results are not memoized, and one growing list of edges is passed through the search and scanned completely at
each return. The counts are those of `dmos plan --flow exhaustive` on the same network.
"""

import json
import subprocess
import sys
import time


def read_json(dmos, command, types):
    arguments = [dmos, *command, "--format", "json", "--set", f"network.generate.types={types}"]
    return json.loads(subprocess.run(arguments, check=True, capture_output=True).stdout)


class Search:
    def __init__(self, nodes, source):
        self.makes = {node["id"]: node["produces"] for node in nodes}
        self.requires = {node["id"]: node["requires"] for node in nodes}
        self.source, self.calls, self.scanned = source, 0, 0
        # Every possible supply edge, listed by consumer in the order of producers.
        self.incoming = {c: [p for p in self.makes if self.makes[p] in self.requires[c]] for c in self.makes}

    def call(self, node, path):
        self.calls += 1
        if node == self.source:
            return [(node, None)]
        missing = set(self.requires[node])
        for producer in self.incoming[node]:
            if self.makes[producer] in missing:
                found = self.call(producer, path)
                self.scanned += len(found)
                if [edge for edge in found if edge[0] == self.source]:
                    path.append((producer, node))
                    missing.remove(self.makes[producer])
        return path if not missing else []


def main():
    dmos, sizes = sys.argv[1], [int(types) for types in sys.argv[2:]]
    for types in sizes:
        small = "scenarios/seed/small-no-fail.yaml"
        nodes = read_json(dmos, ["network", small], types)["nodes"]
        begun = time.process_time()
        search = Search(nodes, nodes[0]["id"])
        flow = set(search.call(nodes[-1]["id"], []))
        took = time.process_time() - begun
        plan = read_json(dmos, ["plan", small, "--flow", "exhaustive"], types)
        counters = plan["counters"]
        assert (search.calls, search.scanned) == (counters["calls"], counters["scanned"]), (search.calls, counters)
        assert flow == {(producer, consumer) for producer, consumer, _ in plan["edges"]}, "the same flow"
        print(f"search, {types} items: {search.calls} calls, {search.scanned} list items, {len(flow)} edges, {took:.4f} s")


main()
