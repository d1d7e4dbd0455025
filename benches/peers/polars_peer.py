"""polars: decodes the file to a data frame, with its streaming engine."""

import time

import workloads

task = workloads.start("polars")

import polars as pl

began = time.perf_counter()
rows = pl.scan_parquet(task.file).collect(engine="streaming").height
task.report_pass(rows, time.perf_counter() - began)
