"""What every peer measures: the workloads of the benches crate, and the one line of JSON in which a peer answers.

usage of a peer: PYTHON x_peer.py WORKLOAD [--threads N] [--repeats N] [--mode MODE] [--file FILE] [--rows N] [--categories N] [--ranks N]

A peer calls start() before it imports its framework, which may count processors on import.
"""

import argparse
import json
import os
import time

# Name: inputs, then the outputs of each layer; loss; rows a step; rows. The layers of cnn are each peer's to build.
EPOCHS = {
    "seed": ([10, 10, 1], "bce", 32, 100_000),
    "mlp": ([784, 512, 512, 10], "ce", 128, 12_800),
    "wide": ([28, 256, 256, 1], "bce", 1024, 102_400),
    "cnn": ([784, 10], "ce", 64, 3_200),
}
# ctr: numbers and categories of a row, the width of a category's vector, and the dense layers behind.
CTR_REALS, CTR_COLUMNS, CTR_WIDTH = 13, 26, 8
CTR_DIMS = [CTR_REALS + CTR_COLUMNS * CTR_WIDTH, 64, 32, 1]
CTR_BATCH, CTR_ROWS = 1024, 200_000
ONLINE_ROWS = 400_000
STREAM_BATCH = 1024
STREAM_CHUNK = 65_536
NAMES = [f"f{i:02d}" for i in range(28)]


def start(engine):
    """Reads the command line, and binds this process to as many processors as it is to have threads."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workload")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--mode")
    parser.add_argument("--file")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--categories", type=int, default=100_000)
    parser.add_argument("--ranks", type=int, default=1)
    task = Task(engine, **vars(parser.parse_args()))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task.threads * task.ranks])
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ[name] = str(task.threads)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    return task


class Task:
    """One thing to measure."""

    def __init__(self, engine, workload, threads, repeats, mode, file, rows, categories, ranks):
        self.engine, self.workload, self.threads, self.repeats = engine, workload, threads, repeats
        self.mode, self.file, self.rows, self.ranks = mode, file, rows or ONLINE_ROWS, ranks
        if workload in EPOCHS:
            self.dims, self.loss, self.batch, self.rows = EPOCHS[workload]
            self.steps = self.rows // self.batch
        elif workload == "ctr":
            self.loss, self.batch, self.categories = "bce", CTR_BATCH, categories
            self.steps = (rows or CTR_ROWS) // self.batch
            self.rows = self.steps * self.batch
        elif workload == "stream":
            self.dims, self.loss, self.batch = EPOCHS["wide"][0], "bce", STREAM_BATCH

    def data(self):
        """Features [rows, inputs], and targets: classes [rows], or zeros and ones [rows, 1]."""
        import numpy as np

        rng = np.random.default_rng(0)
        x = rng.standard_normal((self.rows, self.dims[0]), dtype=np.float32)
        if self.loss == "ce":
            return x, rng.integers(0, self.dims[-1], self.rows, dtype=np.int32)
        return x, (x[:, :1] + x[:, 1:2] > 0).astype(np.float32)

    def clicks(self):
        """Rows of ctr: numbers [rows, 13], categories by Zipf's law [rows, 26], and zeros and ones [rows, 1]."""
        import numpy as np

        rng = np.random.default_rng(0)
        x = rng.standard_normal((self.rows, CTR_REALS), dtype=np.float32)
        below = np.cumsum(np.arange(1, self.categories + 1) ** -1.2)
        drawn = rng.random((self.rows, CTR_COLUMNS)) * below[-1]
        categories = np.minimum(np.searchsorted(below, drawn), self.categories - 1)
        effects = 0.3 * rng.standard_normal((CTR_COLUMNS, self.categories), dtype=np.float32)
        score = x[:, 0] + effects[np.arange(CTR_COLUMNS), categories].sum(1) + rng.standard_normal(self.rows)
        return x, categories, (score > 0).astype(np.float32).reshape(-1, 1)

    def arrow_chunks(self):
        """The file's rows, a row group at a time: [rows, 28] features and [rows, 1] labels, copied from Arrow columns."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq

        pa.set_cpu_count(self.threads)
        for chunk in pq.ParquetFile(self.file).iter_batches(STREAM_CHUNK, use_threads=self.threads > 1):
            x = np.empty((chunk.num_rows, len(NAMES)), np.float32)
            for i, name in enumerate(NAMES):
                x[:, i] = chunk.column(name).to_numpy()
            yield x, chunk.column("label").to_numpy().reshape(-1, 1)

    def arrow_batches(self):
        """The same, in whole batches."""
        for x, y in self.arrow_chunks():
            for first in range(0, len(x) - self.batch + 1, self.batch):
                yield x[first : first + self.batch], y[first : first + self.batch]

    def memory_batches(self):
        """The same, from memory; and the seconds that reading it took."""
        import numpy as np

        began = time.perf_counter()
        xs, ys = zip(*self.arrow_chunks())
        x, y = np.concatenate(xs), np.concatenate(ys)
        loading = time.perf_counter() - began
        whole = range(0, len(x) - self.batch + 1, self.batch)
        return ((x[i : i + self.batch], y[i : i + self.batch]) for i in whole), loading

    def report_epochs(self, epoch, rows=None, steps=None):
        """Takes the time of epoch() after one to warm up."""
        rows, steps = rows or self.rows, steps or self.steps
        epoch()
        times = []
        for _ in range(self.repeats):
            began = time.perf_counter()
            epoch()
            times.append(time.perf_counter() - began)
        self.report_times(times, rows, steps)

    def report_times(self, times, rows, steps):
        times = sorted(times)
        median = times[len(times) // 2]
        self._print(best=round(rows / times[0]), median=round(rows / median), us_per_step=round(1e6 * median / steps, 2))

    def report_training(self, step):
        """Takes the time of one pass of step(x, y) over the file, or over its rows in memory; step() waits for the last."""
        import numpy as np

        step(np.zeros((self.batch, 28), np.float32), np.zeros((self.batch, 1), np.float32))
        step()
        batches, extra = self.arrow_batches(), {}
        if self.mode == "memory":
            batches, loading = self.memory_batches()
            extra["load_s"] = round(loading, 2)
        began, rows = time.perf_counter(), 0
        for x, y in batches:
            step(x, y)
            rows += len(x)
        step()
        self.report_pass(rows, time.perf_counter() - began, **extra)

    def report_pass(self, rows, seconds, **extra):
        """Reports one pass."""
        self._print(rows_per_s=round(rows / seconds), peak_rss_mb=peak_rss_mb(), **extra)

    def _print(self, **found):
        line = dict(engine=self.engine, workload=self.workload)
        if self.mode:
            line["mode"] = self.mode
        if self.workload == "ctr":
            line["categories"] = self.categories
        print(json.dumps(line | dict(threads=self.threads) | found), flush=True)


def peak_rss_mb():
    """The most memory that this process ever had; not getrusage, which may tell that of the process that started it."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        return None
