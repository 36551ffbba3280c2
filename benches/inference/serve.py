"""The engine as a server: `POST /predict`, one text a request, beside `infinity_emb`.

    python serve.py WORK --binary target/release/portcullis --json OUT.json [--infinity BIN]

Server and load share the same cores. In each round: our throughput offline (`model bench`), 64
connections on us, 64 connections on infinity (when its command is given), each server alone on the
machine. Then, on us: an open loop at 30 % of the peak with the wait in the queue as the server
counts it, and one at ten times the peak. All logits of a served pass are held to the f32 export.
"""

import argparse
import asyncio
import contextlib
import datetime
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import numpy as np

import compare
import load
import workload

N_CONNECTIONS = 64
WARM_UP_S = 2.0
#: For the overload row only: answers that come later than this are of no use to its clients.
OVERLOAD_DEADLINE = "500ms"
LABELLED = re.compile(r'_bucket\{.*le="([^"]+)".*\} (\S+)')


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


def start(command, cores, ready, log):
    """A server on these cores, once `ready` answers."""
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=log,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            get(*ready)
            return process
        except OSError:
            time.sleep(0.1)
    process.kill()
    log.seek(0)
    raise SystemExit(f"{command[0]} did not become ready:\n{log.read()[-2000:].decode()}")


@contextlib.contextmanager
def stopping(process):
    """SIGTERM at the end, and SIGKILL when that is not heard."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def ours(args, **timeouts):
    """The gate with the encoder; gives process, port and admin port."""
    port, admin = free_port(), free_port()
    config = {
        "listen": f"127.0.0.1:{port}",
        "admin": f"127.0.0.1:{admin}",
        "encoder": {
            "model": str(args.model.resolve()),
            "precision": args.precision,
            "workers": args.threads,
        },
        "record": "none",
        "timeouts": timeouts,
        "policy": "balanced",
    }
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        file = pathlib.Path(folder) / "portcullis.yaml"
        file.write_text(json.dumps(config))  # JSON is YAML
        command = [args.binary, "serve", "--config", file]
        with stopping(start(command, range(args.threads), (admin, "/readyz"), log)) as process:
            yield process, port, admin


@contextlib.contextmanager
def infinity(args, batch_size):
    """infinity_emb with PyTorch on the CPU, f32; gives its port."""
    port = free_port()
    command = [args.infinity, "v2", "--model-id", args.model, "--served-model-name", "encoder"]
    command += ["--engine", "torch", "--device", "cpu", "--dtype", "float32"]
    command += ["--batch-size", batch_size, "--host", "127.0.0.1", "--port", port]
    command += ["--no-bettertransformer", "--no-model-warmup"]
    with tempfile.TemporaryFile() as log:
        with stopping(start(command, range(args.threads), (port, "/health"), log)):
            yield port


def to_us(texts, **settings):
    bodies = [{"inputs": text, "truncate": True} | settings for text in texts]
    return [load.post("/predict", json.dumps(body).encode()) for body in bodies]


def to_infinity(texts):
    bodies = [{"model": "encoder", "input": [text]} for text in texts]
    return [load.post("/classify", json.dumps(body).encode()) for body in bodies]


def measured(args, run, seconds):
    """Runs a loop and gives its figures, with the share of a core that the load itself took."""
    used, started = time.process_time(), time.perf_counter()
    samples = asyncio.run(run)
    busy = (time.process_time() - used) / (time.perf_counter() - started)
    return load.figures(samples, seconds, args.n_tokens, WARM_UP_S) | {"load_cores": busy}


def saturated(args, port, requests, seconds):
    seconds += WARM_UP_S
    loop = load.closed_loop(port, requests, N_CONNECTIONS, seconds)
    return measured(args, loop, seconds)


def offline(args):
    """Our throughput without HTTP, and the size of the weights."""
    return compare.Bench(args, args.model.name, args.precision).ours(False)


def served_error(args, port, texts):
    """All texts once, logits as served against the f32 export's."""
    bench = compare.Bench(args, args.model.name, args.precision)
    reference = np.load(bench.reference())
    labels = json.loads((args.model / "config.json").read_text())["id2label"]
    bodies = asyncio.run(load.each(port, to_us(texts, raw_scores=True), N_CONNECTIONS))
    by_label = [{one["label"]: one["score"] for one in json.loads(body)} for body in bodies]
    rows = [[row[labels[str(idx)]] for idx in range(len(labels))] for row in by_label]
    return compare.error(reference, np.array(rows, np.float32))


def resident(process):
    """Resident memory in mebibytes."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def queue_buckets(admin):
    """Counts of the queue wait by upper bound in seconds, over all classes."""
    counts = {}
    for line in get(admin, "/metrics").splitlines():
        if line.startswith("portcullis_classifier_queue_seconds_bucket"):
            bound, count = LABELLED.search(line).groups()
            counts[float(bound)] = counts.get(float(bound), 0) + float(count)
    return counts


def queue_wait(before, after):
    """The p99, linear within its bucket, and the shares up to 5 and 10 ms."""
    if not after:
        raise SystemExit("the server counts no waits; is an encoder configured?")
    counts = {bound: count - before.get(bound, 0) for bound, count in sorted(after.items())}
    n_waits = counts[float("inf")]
    low, below = 0.0, 0.0
    for bound, count in counts.items():
        if 0.99 * n_waits <= count:
            break
        low, below = bound, count
    p99 = low + (bound - low) * (0.99 * n_waits - below) / (count - below)
    return {
        "queue_p99_ms": p99 * 1e3,
        "queue_p99_bucket_ms": [low * 1e3, bound * 1e3],
        "queue_share_to_5_ms": counts[0.005] / n_waits,
        "queue_share_to_10_ms": counts[0.01] / n_waits,
        "n_waits": n_waits,
    }


def rounds(args, texts):
    """Offline, served and infinity in turn."""
    done = []
    for _ in range(args.rounds):
        one = {"offline": offline(args)}
        with ours(args) as (process, port, _):
            one["rest_mib"] = resident(process)
            one["served"] = saturated(args, port, to_us(texts), args.seconds)
            one["loaded_mib"] = resident(process)
        for batch_size in args.infinity_batches if args.infinity else ():
            with infinity(args, batch_size) as port:
                found = saturated(args, port, to_infinity(texts), args.infinity_seconds)
                one[f"infinity, batches of {batch_size}"] = found
        done.append(one)
    return done


def at_light_load(args, texts, peak):
    """30 % of the peak, in an open loop."""
    with ours(args) as (_, port, admin):
        saturated(args, port, to_us(texts), 1.0)  # the engine learns what a batch takes
        before, seconds = queue_buckets(admin), args.seconds + WARM_UP_S
        loop = load.open_loop(port, to_us(texts), 0.3 * peak, seconds)
        return measured(args, loop, seconds) | queue_wait(before, queue_buckets(admin))


def overloaded(args, texts, peak):
    """Ten times the peak, in an open loop, with a deadline that a client would set."""
    with ours(args, screen=OVERLOAD_DEADLINE) as (_, port, _):
        seconds = args.seconds + WARM_UP_S
        loop = load.open_loop(port, to_us(texts), 10 * peak, seconds)
        return measured(args, loop, seconds)


def verdicts(found):
    """What issue 4 asks of the server, as Markdown."""
    peak, medians = found["peak_per_s"], found["medians"]
    weights = medians["offline"]["weight_bytes"] / 2**20
    light, over = found["light"], found["overload"]
    share = peak / medians["offline"]["texts_per_s"]
    rows = [compare.verdict("served, share of offline", share, 0.8, 0.9, at_least=True)]
    others = [one for name, one in medians.items() if name.startswith("infinity")]
    if others:
        ratio = peak / max(one["answered_per_s"] for one in others)
        rows.append(compare.verdict("served, times infinity", ratio, 8, 12, at_least=True))
    p99 = light["queue_p99_ms"]
    rows.append(compare.verdict("30 % load, p99 of queue wait, ms", p99, 10, 5, at_least=False))
    for unit, figure in (("texts", "answered_per_s"), ("tokens", "answered_tokens_per_s")):
        goodput = over[figure] / medians["served"][figure]
        what = f"overload, goodput over peak, in {unit}"
        rows.append(compare.verdict(what, goodput, 0.9, 0.95, at_least=True))
    if "refused_p99_ms" in over:
        p99 = over["refused_p99_since_sent_ms"]
        what = "overload, p99 of refusals since sent, ms"
        rows.append(compare.verdict(what, p99, 5, 5, at_least=False))
    rest = medians["rest_mib"] - weights
    rows.append(compare.verdict("at rest, MiB over the weights", rest, 64, 32, at_least=False))
    return "\n".join(["| figure | measured | must | goal | |", "|---|---|---|---|---|", *rows])


def table(found):
    """The rows under load, as Markdown."""
    rows = [
        "| row | offered/s | answered/s | tokens/s | p50 ms | p99 ms | refused p50 / p99 ms "
        "| load's cores |",
        "|---|---|---|---|---|---|---|---|",
    ]
    named = {name: one for name, one in found["medians"].items() if "answered_per_s" in one_of(one)}
    named |= {"open loop, 30 %": found["light"], "open loop, 10 times": found["overload"]}
    for name, one in named.items():
        refused = "-"
        if "refused_p99_ms" in one:
            refused = f"{one['refused_p50_ms']:.1f} / {one['refused_p99_ms']:.1f}"
        cells = [name, f"{one['offered_per_s']:.0f}", f"{one['answered_per_s']:.1f}"]
        cells.append(f"{one['answered_tokens_per_s']:.0f}")
        cells += [f"{one['answered_p50_ms']:.1f}", f"{one['answered_p99_ms']:.1f}", refused]
        rows.append("| " + " | ".join([*cells, f"{one['load_cores']:.2f}"]) + " |")
    return "\n".join(rows)


def one_of(figure):
    return figure if isinstance(figure, dict) else {}


def scale(args):
    """The encoder's score scale, which the gate asks for; `/predict` shows no scores of it."""
    if (args.model / "portcullis.json").exists():
        return
    texts = compare.subset(args.work / "texts.jsonl", 5)
    command = [args.binary, "model", "scale", args.model, "--texts", texts]
    subprocess.run([str(word) for word in command], check=True)


def main(args):
    args.model, args.every = args.work / "models" / "minilm", 1
    compare.models.main(args.work, ["minilm"])
    texts = workload.read_texts(args.work / "texts.jsonl")
    tokenizer = workload.load_tokenizer(args.model / "tokenizer.json")
    args.n_tokens = [len(encoding.ids) for encoding in tokenizer.encode_batch(texts)]
    scale(args)
    with ours(args) as (_, port, _):
        error = served_error(args, port, texts)
    done = rounds(args, texts)
    medians = compare.median(done)
    peak = medians["served"]["answered_per_s"]
    found = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": args.commit or compare.commit(),
        "precision": args.precision,
        "threads": args.threads,
        "peak_per_s": peak,
        "served_error": error,
        "medians": medians,
        "rounds": done,
        "light": at_light_load(args, texts, peak),
        "overload": overloaded(args, texts, peak),
    }
    document = {"runs": {}}
    if args.json and args.json.exists():
        document = json.loads(args.json.read_text())
    document |= {"machine": compare.machine(), "serve": found}
    if args.json:
        args.json.write_text(json.dumps(document, indent=1) + "\n")
    print(table(found), verdicts(found), sep="\n\n")
    print(f"\nserved logits against the f32 export: {error}")
    print(f"offline {medians['offline']['texts_per_s']:.1f} texts/s")


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    cli.add_argument("work", type=pathlib.Path, help="folder for models and texts")
    cli.add_argument("--binary", type=pathlib.Path, default="target/release/portcullis")
    cli.add_argument("--precision", default="int8", choices=compare.PEERS)
    cli.add_argument("--threads", type=int, default=2)
    cli.add_argument("--rounds", type=int, default=3)
    cli.add_argument("--seconds", type=float, default=10.0, help="of each loop")
    cli.add_argument("--infinity", help="the `infinity_emb` command of its own environment")
    cli.add_argument("--infinity-seconds", type=float, default=20.0)
    cli.add_argument("--infinity-batches", type=int, nargs="+", default=[32, 4])
    cli.add_argument("--json", type=pathlib.Path, help="where the run is added")
    cli.add_argument("--commit", help="of the binary; the tree's")
    main(cli.parse_args())
