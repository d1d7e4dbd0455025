"""Writes table.csv: rows of a table as PyTorch's SparseAdam moves them.

    pip install torch
    python table.py > table.csv

A line for each row that a step touches: the step, the row, its gradient, and the row after the step. Gradients are
multiples of 1/64, so that f32 holds them. Rows 7 and 9 are touched in no step, row 3 in all, and step 4 touches none.
"""

import random

import torch

ROWS, WIDTH, STEPS = 10, 3, 12
LR, BETAS, EPS = 0.1, (0.9, 0.99), 1e-3

random.seed(1)
start = [[(r - 4) / 4 + c / 8 for c in range(WIDTH)] for r in range(ROWS)]
table = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
optimizer = torch.optim.SparseAdam([table], lr=LR, betas=BETAS, eps=EPS)

print(f"# PyTorch {torch.__version__.split('+')[0]}, lr {LR}, betas {BETAS}, eps {EPS}")
print("step,row,g0,g1,g2,p0,p1,p2")
for step in range(STEPS):
    rows = [] if step == 4 else sorted({3} | {r for r in range(ROWS) if r not in (7, 9) and random.random() < 0.3})
    gradients = [[random.randint(-128, 128) / 64 for _ in range(WIDTH)] for _ in rows]
    indices = torch.tensor([rows], dtype=torch.long)
    values = torch.tensor(gradients, dtype=torch.float64).reshape(len(rows), WIDTH)
    table.grad = torch.sparse_coo_tensor(indices, values, (ROWS, WIDTH))
    optimizer.step()
    for row, gradient in zip(rows, gradients):
        print(",".join(map(repr, [step, row, *gradient, *table[row].tolist()])))
