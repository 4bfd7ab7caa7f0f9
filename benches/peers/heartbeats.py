"""Heartbeats in SimPy: the workload of `benches/src/heartbeats.rs`, with the same count of events."""

import sys
import time

import simpy

ROUND, PRODUCTION_PERIOD, TRANSIT = 1.0, 0.5, 0.001
# Distance of each neighbour, and the index of the opposite direction.
NEIGHBOURS = [(1, 1), (-1, 0), (2, 3), (-2, 2)]


class Node:
    """A node: two processes for its timers, and a callback for each message."""

    def __init__(self, env, nodes, index, handled):
        self.env, self.nodes, self.index, self.handled = env, nodes, index, handled
        self.heard, self.made = [0.0] * 4, 0

    def neighbour(self, nth):
        return self.nodes[(self.index + NEIGHBOURS[nth][0]) % len(self.nodes)]

    def rounds(self, first):
        yield self.env.timeout(first)
        while True:
            self.handled[0] += 1
            for nth, (_, back) in enumerate(NEIGHBOURS):
                self.send(self.neighbour(nth), back, Node.request)
            yield self.env.timeout(ROUND)

    def production_runs(self, first):
        yield self.env.timeout(first)
        while True:
            self.handled[0] += 1
            self.made += 1
            yield self.env.timeout(PRODUCTION_PERIOD)

    def send(self, to, by, handle):
        self.env.timeout(TRANSIT).callbacks.append(lambda _: handle(to, by))

    def request(self, by):
        self.handled[0] += 1
        self.send(self.neighbour(by), NEIGHBOURS[by][1], Node.answer)

    def answer(self, by):
        self.handled[0] += 1
        self.heard[by] = self.env.now


def main():
    count, seconds = int(sys.argv[1]), int(sys.argv[2])
    env, nodes, handled = simpy.Environment(), [], [0]
    nodes.extend(Node(env, nodes, index, handled) for index in range(count))
    for index, node in enumerate(nodes):
        env.process(node.rounds(ROUND * index / count))
        env.process(node.production_runs(PRODUCTION_PERIOD + PRODUCTION_PERIOD * index / count))
    begun = time.process_time()
    env.run(until=seconds)
    took = time.process_time() - begun
    print(f"simpy {simpy.__version__}, {count} nodes: {handled[0]} events, {handled[0] / took / 1e6:.3f} million/s")


main()
