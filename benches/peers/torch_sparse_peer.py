"""PyTorch: eager, tables with sparse gradients and SparseAdam, the rest with fused Adam."""

import workloads

task = workloads.start("torch-sparse")

import torch
import torch.nn.functional as F

from torch_tables import Tables

torch.set_num_threads(task.threads)
torch.manual_seed(0)
model = Tables(task.categories, sparse=True)
optimizers = [
    torch.optim.SparseAdam(list(model.tables.parameters()), lr=1e-3),
    torch.optim.Adam(model.dense.parameters(), lr=1e-3, fused=True),
]
x, categories, y = map(torch.from_numpy, task.clicks())


def epoch():
    for first in range(0, task.steps * task.batch, task.batch):
        batch = slice(first, first + task.batch)
        model.zero_grad(set_to_none=True)
        F.binary_cross_entropy_with_logits(model(x[batch], categories[batch]), y[batch]).backward()
        for optimizer in optimizers:
            optimizer.step()


task.report_epochs(epoch)
