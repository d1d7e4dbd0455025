"""River: logistic regression by plain gradient descent, a dict a row: predicted, then learned.

Rows of memory are fewer than elsewhere, as dicts of all of them would not fit; what is reported is a rate.
"""

import time

import workloads

task = workloads.start("river")

from river import linear_model, optim

ROWS = 20_000


def dicts():
    if task.mode == "parquet":
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(task.file).iter_batches(4096, use_threads=task.threads > 1):
            columns = [batch.column(name).to_pylist() for name in workloads.NAMES]
            for values, label in zip(zip(*columns), batch.column("label").to_pylist()):
                yield dict(zip(workloads.NAMES, values)), label > 0.5
    else:
        import numpy as np

        for row in np.random.default_rng(7).standard_normal((ROWS, 28)):
            yield dict(zip(workloads.NAMES, row.tolist())), bool(row[0] + row[1] > 0)


model = linear_model.LogisticRegression(optim.SGD(0.01))
rows = list(dicts()) if task.mode != "parquet" else None


def learn():
    count, began = 0, time.perf_counter()
    for x, y in dicts() if rows is None else rows:
        model.predict_proba_one(x)
        model.learn_one(x, y)
        count += 1
    return time.perf_counter() - began, count


if rows is not None:
    learn()
times, counts = zip(*(learn() for _ in range(task.repeats if rows is not None else 1)))
task.report_times(times, counts[0], counts[0])
