"""The models and losses of the workloads, in Keras over TensorFlow; for two peers."""

import os


def build(task):
    """The model and its loss, of logits."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(task.threads)
    tf.config.threading.set_inter_op_parallelism_threads(task.threads)
    keras.utils.set_random_seed(0)
    layers = keras.layers
    if task.workload == "cnn":
        model = keras.Sequential([keras.Input((784,)), layers.Reshape((28, 28, 1))])
        for channels in (16, 32):
            model.add(layers.Conv2D(channels, 3, activation="relu"))
            model.add(layers.MaxPool2D(2))
        model.add(layers.Flatten())
    else:
        model = keras.Sequential([keras.Input((task.dims[0],))])
        for width in task.dims[1:-1]:
            model.add(layers.Dense(width, activation="relu"))
    model.add(layers.Dense(task.dims[-1]))
    if task.loss == "ce":
        return model, keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return model, keras.losses.BinaryCrossentropy(from_logits=True)
