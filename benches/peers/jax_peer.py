"""JAX: one compiled scan over all steps of an epoch; one compiled step for a stream, and for convolutions, which are
many times slower inside of a scan. ctr is by dense gradients of its tables; optax has no optimizer of sparse ones.
"""

import workloads

task = workloads.start("jax")

import jax
import jax.numpy as jnp
import optax
from jax import lax


def dense_parameters(dims):
    keys = jax.random.split(jax.random.PRNGKey(0), len(dims))
    return [(0.05 * jax.random.normal(k, (i, o)), jnp.zeros(o)) for k, i, o in zip(keys, dims, dims[1:])]


def dense(parameters, x):
    for weight, bias in parameters[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    weight, bias = parameters[-1]
    return x @ weight + bias


def convolution_parameters():
    keys = jax.random.split(jax.random.PRNGKey(0), 2)
    kernels = [0.05 * jax.random.normal(keys[0], (3, 3, 1, 16)), 0.05 * jax.random.normal(keys[1], (3, 3, 16, 32))]
    return [(kernel, jnp.zeros(kernel.shape[-1])) for kernel in kernels], dense_parameters([800, 10])


def convolution(parameters, x):
    blocks, head = parameters
    x = x.reshape(-1, 28, 28, 1)
    for kernel, bias in blocks:
        x = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = lax.reduce_window(jax.nn.relu(x + bias), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return dense(head, x.reshape(len(x), -1))


def tables_parameters():
    shape = (workloads.CTR_COLUMNS, task.categories, workloads.CTR_WIDTH)
    return jax.random.uniform(jax.random.PRNGKey(1), shape, minval=-0.05, maxval=0.05), dense_parameters(workloads.CTR_DIMS)


def tables(parameters, inputs):
    (vectors, head), (x, categories) = parameters, inputs
    vectors = vectors[jnp.arange(workloads.CTR_COLUMNS), categories]
    return dense(head, jnp.concatenate([x, vectors.reshape(len(x), -1)], 1))


if task.workload == "cnn":
    model, parameters = convolution, convolution_parameters()
elif task.workload == "ctr":
    model, parameters = tables, tables_parameters()
else:
    model, parameters = dense, dense_parameters(task.dims)
optimizer = optax.adam(1e-3)


def loss(parameters, x, y):
    logits = model(parameters, x)
    if task.loss == "ce":
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
    return optax.sigmoid_binary_cross_entropy(logits, y).mean()


def step(state, batch):
    parameters, memory = state
    value, gradient = jax.value_and_grad(loss)(parameters, *batch)
    updates, memory = optimizer.update(gradient, memory, parameters)
    return (optax.apply_updates(parameters, updates), memory), value


state, last = (parameters, optimizer.init(parameters)), None
compiled = jax.jit(step)


def train(*batch):
    """A step; without a batch, waits for the last."""
    global state, last
    if batch:
        state, last = compiled(state, batch)
    else:
        jax.block_until_ready((state, last))


def stepped(x, y):
    for batch in zip(x, y):
        train(*batch)
    train()


@jax.jit
def scan(state, x, y):
    return lax.scan(step, state, (x, y))


def scanned(x, y):
    global state, last
    state, last = scan(state, x, y)
    train()


if task.workload == "stream":
    task.report_training(train)
else:
    rows = task.steps * task.batch
    found = task.clicks() if task.workload == "ctr" else task.data()
    *inputs, y = (jnp.asarray(v[:rows].reshape(task.steps, task.batch, *v.shape[1:])) for v in found)
    x = inputs if len(inputs) > 1 else inputs[0]
    if task.workload == "cnn":
        x, y = list(x), list(y)
        task.report_epochs(lambda: stepped(x, y))
    else:
        task.report_epochs(lambda: scanned(x, y))
