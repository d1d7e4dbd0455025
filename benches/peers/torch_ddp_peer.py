"""PyTorch: DistributedDataParallel over gloo, a process a rank, each with its part of every batch, and fused Adam."""

import os
import socket
import time

import workloads


def rank(number, task, port):
    import torch
    import torch.distributed as dist
    import torch.nn.functional as F
    from torch import nn

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(task.threads)
    torch.manual_seed(0)
    dist.init_process_group("gloo", rank=number, world_size=task.ranks)
    layers = [layer for i, o in zip(task.dims, task.dims[1:]) for layer in (nn.Linear(i, o), nn.ReLU())]
    model = nn.parallel.DistributedDataParallel(nn.Sequential(*layers[:-1]))
    loss = F.cross_entropy if task.loss == "ce" else F.binary_cross_entropy_with_logits
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    x, y = map(torch.from_numpy, task.data())
    y = y.long() if task.loss == "ce" else y
    part = task.batch // task.ranks

    def epoch():
        for first in range(0, task.steps * task.batch, task.batch):
            mine = slice(first + number * part, first + (number + 1) * part)
            optimizer.zero_grad(set_to_none=True)
            loss(model(x[mine]), y[mine]).backward()
            optimizer.step()

    epoch()
    times = []
    for _ in range(task.repeats):
        dist.barrier()
        began = time.perf_counter()
        epoch()
        times.append(time.perf_counter() - began)
    if number == 0:
        task.report_times(times, task.rows, task.steps)
    dist.destroy_process_group()


if __name__ == "__main__":
    task = workloads.start("torch-ddp")

    import torch.multiprocessing

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(rank, args=(task, port), nprocs=task.ranks)
