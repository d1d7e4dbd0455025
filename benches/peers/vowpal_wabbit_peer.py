"""Vowpal Wabbit: logistic regression by plain gradient descent, from its binary cache of rows.

Each row is predicted before it is learned, for the progressive loss that it counts.
"""

import os
import tempfile
import time

import workloads

task = workloads.start("vowpal-wabbit")

import numpy as np
from vowpalwabbit import Workspace

rng = np.random.default_rng(7)
with tempfile.TemporaryDirectory() as folder:
    text, cache = os.path.join(folder, "rows.txt"), os.path.join(folder, "rows.cache")
    with open(text, "w") as lines:
        for _ in range(0, task.rows, 10_000):
            for row in rng.standard_normal((10_000, 28)):
                features = " ".join(f"{i}:{value:.5f}" for i, value in enumerate(row))
                lines.write(f"{1 if row[0] + row[1] > 0 else -1} | {features}\n")
    rows = -(-task.rows // 10_000) * 10_000

    def learn():
        began = time.perf_counter()
        Workspace(
            f"--data {text} --cache_file {cache} --sgd --learning_rate 0.01 --loss_function logistic --quiet"
        ).finish()
        return time.perf_counter() - began

    learn()  # Writes the cache.
    task.report_times([learn() for _ in range(task.repeats)], rows, rows)
