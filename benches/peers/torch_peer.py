"""PyTorch: eager, with fused Adam."""

import workloads

task = workloads.start("torch")

import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(task.threads)
torch.manual_seed(0)
if task.workload == "cnn":
    model = nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        *(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(800, 10)),
    )
elif task.workload == "ctr":
    from torch_tables import Tables

    model = Tables(task.categories, sparse=False)
else:
    layers = [layer for i, o in zip(task.dims, task.dims[1:]) for layer in (nn.Linear(i, o), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
loss = F.cross_entropy if task.loss == "ce" else F.binary_cross_entropy_with_logits
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)


def step(*batch):
    *inputs, y = batch
    optimizer.zero_grad(set_to_none=True)
    loss(model(*inputs), y).backward()
    optimizer.step()


if task.workload == "stream":
    task.report_training(lambda *batch: step(*map(torch.from_numpy, batch)) if batch else None)
else:
    rows = task.clicks() if task.workload == "ctr" else task.data()
    *inputs, y = map(torch.from_numpy, rows)
    y = y.long() if task.loss == "ce" else y

    def epoch():
        for first in range(0, task.steps * task.batch, task.batch):
            step(*(column[first : first + task.batch] for column in (*inputs, y)))

    task.report_epochs(epoch)
