"""Keras over TensorFlow: fit()."""

import workloads

task = workloads.start("keras")

import keras_models

model, loss = keras_models.build(task)

import keras

model.compile(optimizer=keras.optimizers.Adam(1e-3, epsilon=1e-8), loss=loss)
x, y = task.data()
task.report_epochs(lambda: model.fit(x, y, batch_size=task.batch, epochs=1, shuffle=False, verbose=0))
