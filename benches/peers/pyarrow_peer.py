"""pyarrow: decodes the file to record batches, and does nothing with them."""

import time

import workloads

task = workloads.start("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

pa.set_cpu_count(task.threads)
began, rows = time.perf_counter(), 0
for batch in pq.ParquetFile(task.file).iter_batches(workloads.STREAM_CHUNK, use_threads=task.threads > 1):
    rows += batch.num_rows
task.report_pass(rows, time.perf_counter() - began)
