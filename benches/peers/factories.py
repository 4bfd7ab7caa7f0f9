"""Small factories in SimPy and in DMOS, whose intervals must overlap.

Usage: factories.py DMOS. Each figure is a mean of ten replications with an interval of 99.9 %. Machines are modelled in
the textbook's way, without messages, orders or logs. Exits with 1 if two intervals are disjoint. Takes two minutes.
"""

import json
import math
import random
import subprocess
import sys
import tempfile

import simpy

RUNS = 10
T_OF_TEN = 4.781  # Student's t for 99.9 %, nine degrees of freedom
QUIET = "heartbeat: 1h, suspect_after: 10h"


def exponential(mean):
    return lambda rng: rng.expovariate(1 / mean)


def constant(value):
    return lambda rng: value


def single_server(between, process, seconds):
    """Returns the mean time in system of a queue with one server."""

    def replication(seed):
        rng, env = random.Random(seed), simpy.Environment()
        server, times = simpy.Resource(env), []

        def part():
            arrived = env.now
            with server.request() as request:
                yield request
                yield env.timeout(process(rng))
            times.append(env.now - arrived)

        def source():
            while True:
                yield env.timeout(rng.expovariate(1 / between))
                env.process(part())

        env.process(source())
        env.run(seconds)
        return sum(times) / len(times)

    return replication


def line(processes, room, transit, seconds):
    """Returns the throughput of a saturated line, with `room` batches between each pair of machines."""

    def replication(seed):
        rng, env = random.Random(seed), simpy.Environment()
        # A machine hands its product over when there is room, so one more batch waits in the machine itself.
        buffers = [simpy.Store(env, room) for _ in processes[1:]]
        made = [0]

        def carry(buffer, place):
            yield env.timeout(transit(rng))
            place.succeed()

        def machine(index):
            while True:
                if index > 0:
                    arrival = yield buffers[index - 1].get()
                    yield arrival
                yield env.timeout(processes[index](rng))
                if index < len(buffers):
                    arrival = env.event()
                    env.process(carry(buffers[index], arrival))
                    yield buffers[index].put(arrival)
                else:
                    made[0] += 1

        for index in range(len(processes)):
            env.process(machine(index))
        env.run(seconds)
        return made[0] / seconds

    return replication


def repairs(uptime, downtime, seconds):
    """Returns the share of time down of a machine with exponential failures and repairs."""

    def replication(seed):
        rng, env = random.Random(seed), simpy.Environment()
        down = [0.0]

        def machine():
            while True:
                yield env.timeout(rng.expovariate(1 / uptime))
                repair = rng.expovariate(1 / downtime)
                down[0] += min(repair, seconds - env.now)
                yield env.timeout(repair)

        env.process(machine())
        env.run(seconds)
        return down[0] / seconds

    return replication


def dmos(binary, text, figure):
    """Returns a figure of each of ten runs of a scenario."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        command = [binary, "run", file.name, "--seed", f"1..{RUNS}", "--format", "json"]
        output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [figure(json.loads(run)) for run in output.splitlines()]


def interval(values):
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, T_OF_TEN * math.sqrt(variance / len(values))


def scenario(nodes, seconds, protocol="", transit="0s", faults="{}"):
    return (
        f"network: {{nodes: [{nodes}]}}\nduration: {seconds}s\nsample_every: {seconds}s\n"
        f"delays: {{message: 0s, transit: {transit}}}\nprotocol: {{{QUIET}{protocol}}}\nfaults: {faults}\n"
    )


def time_in_system(run):
    source, server = run["nodes"]["a"], run["nodes"]["b"]
    levels = [source["output_mean"]] + [server[f"{place}_mean"] for place in ("incoming", "input", "in_process")]
    return sum(levels) * run["duration_s"] / server["successful_manufacture_cycles"]


def throughput(run):
    return run["finished_goods"] / run["duration_s"]


def cases():
    for load, seconds in [(0.5, 50_000), (0.8, 150_000), (0.9, 300_000)]:
        for name, process, text in [("M", exponential(1), "{exponential: 1s}"), ("D", constant(1), "1s")]:
            between = 1 / load
            nodes = (
                f"{{makes: a, process_time: {{exponential: {between * 1e9:.0f}ns}}}}, {{makes: b, needs: [a], process_time: {text}}}"
            )
            text = scenario(nodes, seconds, ", stock_limit: null, runs_ahead: 1, compact_after: 100")
            yield f"M/{name}/1 at {load}, time in system", single_server(between, process, seconds), text, time_in_system
    for limit, ahead in [(2, 1), (2, 4), (6, 1), (9, 2)]:
        nodes = "{makes: a, process_time: {exponential: 1s}}, {makes: b, needs: [a], process_time: {exponential: 1s}}"
        text = scenario(nodes, 20_000, f", stock_limit: {limit}, runs_ahead: {ahead}")
        # The first machine of DMOS keeps no product: it is blocked before a run, not after one.
        peer = line([exponential(1)] * 2, limit + ahead - 1, constant(0), 20_000)
        yield f"two exponential machines, N = {limit + ahead + 1}", peer, text, throughput
    for transit, text in [(constant(37), "37s"), (lambda rng: rng.uniform(0, 100), "{uniform: [0s, 100s]}")]:
        nodes = "{makes: a, process_time: 3s}, {makes: b, needs: [a], process_time: 10s}, {makes: c, needs: [b], process_time: 7s}"
        peer = line([constant(3), constant(10), constant(7)], 100, transit, 100_000)
        yield f"line of 3, 10 and 7 s, transit {text}", peer, scenario(nodes, 100_000, "", text), throughput
    faults = "{random_failures: [{nodes: [b], time_to_failure: {exponential: 90s}, time_to_repair: {exponential: 30s}}]}"
    text = scenario("{makes: a}, {makes: b, needs: [a]}", 300_000, "", "0s", faults)
    yield "share of time down", repairs(90, 30, 300_000), text, lambda run: run["nodes"]["b"]["down"] / run["duration_s"]


def main():
    disjoint = 0
    for name, replication, text, figure in cases():
        ours, peers = interval(dmos(sys.argv[1], text, figure)), interval([replication(seed) for seed in range(RUNS)])
        # Lines of constant machines hardly vary, and differ in how they fill, by a few batches.
        filling = 0.003 * ours[0] if name.startswith("line") else 0.0
        agrees = abs(ours[0] - peers[0]) <= ours[1] + peers[1] + filling
        disjoint += not agrees
        figures = f"DMOS {ours[0]:.4f} +- {ours[1]:.4f}, SimPy {peers[0]:.4f} +- {peers[1]:.4f}"
        print(f"{name}: {figures}{'' if agrees else ': DISJOINT'}", flush=True)
    sys.exit(disjoint > 0)


if __name__ == "__main__":
    main()
