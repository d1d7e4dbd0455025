"""The model of ctr in PyTorch; for two peers."""

import torch
from torch import nn

import workloads


class Tables(nn.Module):
    """A table for each column of categories; their vectors, behind the numbers of a row, go through dense layers."""

    def __init__(self, categories, sparse):
        super().__init__()
        tables = [nn.Embedding(categories, workloads.CTR_WIDTH, sparse=sparse) for _ in range(workloads.CTR_COLUMNS)]
        self.tables = nn.ModuleList(tables)
        for table in tables:
            nn.init.uniform_(table.weight, -0.05, 0.05)
        dims = workloads.CTR_DIMS
        layers = [layer for i, o in zip(dims, dims[1:]) for layer in (nn.Linear(i, o), nn.ReLU())]
        self.dense = nn.Sequential(*layers[:-1])

    def forward(self, x, categories):
        vectors = [table(column) for table, column in zip(self.tables, categories.unbind(1))]
        return self.dense(torch.cat([x, *vectors], 1))
