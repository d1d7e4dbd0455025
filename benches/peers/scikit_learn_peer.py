"""scikit-learn: MLPClassifier, an epoch by each partial_fit()."""

import workloads

task = workloads.start("scikit-learn")

import numpy as np
from sklearn.neural_network import MLPClassifier

x, y = task.data()
y = y.ravel().astype(int)
model = MLPClassifier(tuple(task.dims[1:-1]), batch_size=task.batch, shuffle=False, alpha=0.0, random_state=0)
task.report_epochs(lambda: model.partial_fit(x, y, classes=np.unique(y)))
