"""TensorFlow: one step compiled by XLA."""

import workloads

task = workloads.start("tensorflow")

import keras_models

model, loss = keras_models.build(task)

import keras
import tensorflow as tf

optimizer = keras.optimizers.Adam(1e-3, epsilon=1e-8)
optimizer.build(model.trainable_variables)
x, y = map(tf.constant, task.data())


@tf.function(jit_compile=True)
def step(x, y):
    with tf.GradientTape() as tape:
        value = loss(y, model(x, training=True))
    optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
    return value


def epoch():
    for first in range(0, task.steps * task.batch, task.batch):
        value = step(x[first : first + task.batch], y[first : first + task.batch])
    value.numpy()


task.report_epochs(epoch)
