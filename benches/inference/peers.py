"""One peer measured in a process of its own: throughput, latency alone, logits.

    python peers.py openvino|onnxruntime FILE --texts F.jsonl --tokenizer T.json --precision int8

Prints one JSON object with the names of `portcullis model bench --json`. Texts are tokenized
beforehand and sorted by length into batches under a budget of padded tokens, which suits an engine
that pads best; of several budgets the fastest counts. Tokenizing is not in a peer's time.
"""

import argparse
import json
import os
import pathlib
import time

import numpy as np

import workload

LATENCY_AT = (16, 64, 128, 256, 512)
MAX_BATCH = 64
WARM_UP = 3
VOCABULARY = 30_522


def openvino_run(file, precision, n_threads):
    """OpenVINO on the CPU; an 8-bit file keeps its other operators in f32 or bf16 as hinted."""
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": n_threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }
    compiled = openvino.Core().compile_model(file, "CPU", settings)
    request = compiled.create_infer_request()
    return lambda ids, mask: request.infer({"input_ids": ids, "attention_mask": mask})[0].copy()


def onnxruntime_run(file, _precision, n_threads):
    """ONNX Runtime's own CPU kernels."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    narrow = any(field.type == "tensor(int32)" for field in session.get_inputs())
    kind = np.int32 if narrow else np.int64

    def run(ids, mask):
        feed = {"input_ids": ids.astype(kind), "attention_mask": mask.astype(kind)}
        return session.run(None, feed)[0]

    return run


ENGINES = {"openvino": openvino_run, "onnxruntime": onnxruntime_run}


def batches(ids, budget):
    """Indexes by length, cut where the padded batch would pass the budget."""
    cut, batch = [], []
    for idx in sorted(range(len(ids)), key=lambda idx: len(ids[idx])):
        if batch and (budget < len(ids[idx]) * (len(batch) + 1) or MAX_BATCH <= len(batch)):
            cut.append(batch)
            batch = []
        batch.append(idx)
    return [*cut, batch]


def padded(ids, batch):
    """The batch as two rectangles: ids and mask."""
    shape = len(batch), max(len(ids[idx]) for idx in batch)
    tokens, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, idx in enumerate(batch):
        tokens[row, : len(ids[idx])] = ids[idx]
        mask[row, : len(ids[idx])] = 1
    return tokens, mask


def throughput(run, ids, budget):
    """Seconds for all texts, their logits, and the padding."""
    cut = batches(ids, budget)
    feeds = [padded(ids, batch) for batch in cut]
    for feed in feeds[:: max(1, len(feeds) // 4)]:
        run(*feed)
    started = time.perf_counter()
    outputs = [run(*feed) for feed in feeds]
    seconds = time.perf_counter() - started
    logits = np.zeros((len(ids), outputs[0].shape[1]), np.float32)
    for batch, output in zip(cut, outputs):
        logits[batch] = output
    return seconds, logits, sum(tokens.size for tokens, _ in feeds)


def latency(run, seconds_each):
    """Milliseconds of one sequence alone, by its length: medians, and the best."""
    draw, medians, best = np.random.default_rng(1), {}, {}
    for n_tokens in LATENCY_AT:
        ids = draw.integers(1000, VOCABULARY - 10, (1, n_tokens))
        mask = np.ones_like(ids)
        for _ in range(WARM_UP):
            run(ids, mask)
        times, end = [], time.perf_counter() + seconds_each
        while len(times) < 5 or time.perf_counter() < end:
            started = time.perf_counter()
            run(ids, mask)
            times.append(time.perf_counter() - started)
        medians[str(n_tokens)] = float(np.median(times)) * 1e3
        best[str(n_tokens)] = min(times) * 1e3
    return {"latency_ms": medians, "latency_best_ms": best}


def measure(args):
    """The figures, and the logits to `--logits` when it is given."""
    os.sched_setaffinity(0, range(args.threads))
    tokenizer = workload.load_tokenizer(args.tokenizer)
    texts = workload.read_texts(args.texts)
    ids = [np.array(encoding.ids, np.int64) for encoding in tokenizer.encode_batch(texts)]
    run = ENGINES[args.engine](args.file, args.precision, args.threads)
    runs = {budget: throughput(run, ids, budget) for budget in args.budgets}
    budget = min(runs, key=lambda budget: runs[budget][0])
    seconds, logits, n_padded = runs[budget]
    if args.logits:
        np.save(args.logits, logits)
    n_tokens = sum(map(len, ids))
    figures = {
        "texts_per_s": len(ids) / seconds,
        "tokens_per_s": n_tokens / seconds,
        "padding": n_padded / n_tokens - 1,
        "budget": budget,
    }
    if args.latency_s:
        figures |= latency(run, args.latency_s)
    return figures


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    cli.add_argument("engine", choices=ENGINES)
    cli.add_argument("file")
    cli.add_argument("--texts", type=pathlib.Path, required=True)
    cli.add_argument("--tokenizer", type=pathlib.Path, required=True)
    cli.add_argument("--precision", choices=("f32", "bf16", "int8"), required=True)
    cli.add_argument("--threads", type=int, default=2)
    cli.add_argument("--budgets", type=int, nargs="+", default=[1024, 2048, 4096])
    cli.add_argument("--latency-s", type=float, default=0.6, help="for each length; 0: none")
    cli.add_argument("--logits", help="where the logits go, .npy")
    print(json.dumps(measure(cli.parse_args())))
